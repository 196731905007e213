"""Anthropic's stream: what its client puts together is what the model said, live or held back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from router.chat import Completion, Delta
from serving.errors import ApiError
from serving.gateway.writers import reply_body, stream_writer
from tests.behaviours import answer, answer_anthropic, send_events, send_json, stream
from tests.serving.gateway.conftest import MakeAgent
from tests.serving.gateway.reading import Told, anthropic_message, events_in, tell
from tests.upstream import Upstream

both_ways = pytest.mark.parametrize("live", [True, False], ids=["live", "held back"])
both_providers = pytest.mark.parametrize("speaks", ["anthropic", "openai"])
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
USE = {"id": "toolu_1", "name": "weather", "input": {"city": "Rome", "days": list(range(40))}}
CALL = {
    "id": "toolu_1",
    "type": "function",
    "function": {"name": "weather", "arguments": json.dumps(USE["input"])},
}
LONG = "Das Wetter 🌦️ in Zürich: 今天很好 — naïve café, 👩‍👩‍👧‍👦 and more.\n\n" * 40


async def told_by(make_agent: MakeAgent, *, live: bool, speaks: str, **params: Any) -> Told:
    agent = make_agent(live=live, speaks=speaks)
    return await tell(agent, params={"max_tokens": 500, **params}, dialect="anthropic")


def events_of(told: Told) -> list[dict[str, Any]]:
    """The events, in the one order that there is: blocks one after the other, then the end."""
    events = events_in(told.body)
    for event in events:
        EVENT.validate_python(event)
    assert events[0]["type"] == "message_start"
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    open_at, count = None, 0
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert (open_at, event["index"]) == (None, count)
            open_at, count = count, count + 1
        else:
            assert event["index"] == open_at
            if event["type"] == "content_block_stop":
                open_at = None
    assert open_at is None
    return events


@both_providers
@both_ways
async def test_the_text_comes_in_pieces(
    make_agent: MakeAgent, upstream: Upstream, live: bool, speaks: str
) -> None:
    pieces = [LONG[at : at + 37] for at in range(0, len(LONG), 37)]
    behaviour = answer_anthropic if speaks == "anthropic" else answer
    upstream.then(behaviour(LONG, pieces=pieces))
    told = await told_by(make_agent, live=live, speaks=speaks)
    assert told.live is live
    assert len(events_of(told)) > 20
    message = anthropic_message(told.body)
    assert [(one.type, one.text) for one in message.content] == [("text", LONG)]
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (12, 5)


@both_providers
@both_ways
async def test_nothing_says_complete_before_the_end(
    make_agent: MakeAgent, upstream: Upstream, live: bool, speaks: str
) -> None:
    upstream.then(answer_anthropic("It is 42.") if speaks == "anthropic" else answer("It is 42."))
    told = await told_by(make_agent, live=live, speaks=speaks)
    assert b"message_delta" not in told.before
    assert b"message_stop" not in told.before
    assert b"end_turn" not in told.before
    assert told.end.startswith(b': sluice {"x-sluice-cost-usd":"0.000022"}\n\n')
    assert told.end.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


@both_providers
@both_ways
async def test_tool_use_is_put_together(
    make_agent: MakeAgent, upstream: Upstream, live: bool, speaks: str
) -> None:
    upstream.then(
        answer_anthropic("Let me look.", tool_uses=[USE, {**USE, "id": "toolu_2"}])
        if speaks == "anthropic"
        else answer("Let me look.", tool_calls=[CALL, {**CALL, "id": "toolu_2"}])
    )
    told = await told_by(make_agent, live=live, speaks=speaks)
    deltas = [one["delta"] for one in events_of(told) if one["type"] == "content_block_delta"]
    assert sum(one["type"] == "input_json_delta" for one in deltas) >= 4
    text, first, second = anthropic_message(told.body).content
    assert text.text == "Let me look."
    assert (first.id, first.name, first.input) == ("toolu_1", "weather", USE["input"])
    assert (second.id, second.input) == ("toolu_2", USE["input"])
    assert anthropic_message(told.body).stop_reason == "tool_use"


NATIVE = {
    "id": "msg_7",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "Well, well. " * 20, "signature": "c2lnbmVk"},
        {"type": "redacted_thinking", "data": "AAAA"},
        {
            "type": "text",
            "text": "It is 42.",
            "citations": [
                {
                    "type": "char_location",
                    "cited_text": "42",
                    "document_index": 0,
                    "document_title": None,
                    "start_char_index": 0,
                    "end_char_index": 2,
                    "file_id": None,
                }
            ],
        },
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {"query": "x"},
        },
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    ],
    "stop_reason": "stop_sequence",
    "stop_sequence": "END",
    "usage": {
        "input_tokens": 12,
        "output_tokens": 5,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "service_tier": "standard",
    },
}


async def test_a_held_back_message_keeps_all_its_blocks(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(send_json(NATIVE))
    told = await told_by(make_agent, live=False, speaks="anthropic")
    events_of(told)
    found = anthropic_message(told.body).to_dict(mode="json", exclude_unset=True)
    found["content"] = [
        {name: value for name, value in block.items() if value is not None or name in given}
        for block, given in zip(found["content"], NATIVE["content"], strict=True)
    ]
    del found["stop_details"]  # None where there are none: the client's own
    assert found == NATIVE


async def test_a_message_of_the_providers_own_is_passed_through_untouched(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(send_json(NATIVE))
    completion = (await told_by(make_agent, live=False, speaks="anthropic")).completion
    body = reply_body(completion, "anthropic")
    assert json.loads(body) == NATIVE
    Message.model_validate_json(body)


async def test_events_of_the_providers_own_are_passed_through_untouched(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    begun = {**NATIVE, "content": [], "stop_reason": None, "stop_sequence": None, "own": [1]}
    text = {"type": "text", "text": "", "own": 2}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun, "own": 3},
        {"type": "content_block_start", "index": 0, "content_block": text},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Yes."},
        },
        {"type": "news", "own": 4},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 5, "own": 5},
        },
        {"type": "message_stop", "own": 6},
    ]
    upstream.then(send_events(*events, done=False))
    told = await told_by(make_agent, live=True, speaks="anthropic")
    assert events_in(told.body) == events
    assert anthropic_message(told.body).content[0].text == "Yes."


@both_ways
async def test_reasoning_becomes_thinking(
    make_agent: MakeAgent, upstream: Upstream, live: bool
) -> None:
    head = {"id": "c", "created": 1, "model": "m"}
    said = {"role": "assistant", "reasoning_content": "Well, well.", "content": "Yes."}
    end = {"finish_reason": "stop", "index": 0}
    upstream.then(
        lambda request: (
            send_events({**head, "choices": [{**end, "delta": said}]})(request)
            if request.streams
            else send_json({**head, "choices": [{**end, "message": said}]})(request)
        )
    )
    told = await told_by(make_agent, live=live, speaks="openai")
    events_of(told)
    thinking, text = anthropic_message(told.body).content
    assert (thinking.thinking, text.text) == ("Well, well.", "Yes.")


async def test_an_answer_that_broke_off_in_a_call_is_told_as_far_as_it_came(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    broken = {**CALL, "function": {"name": "weather", "arguments": '{"city": "Ro'}}
    message = {"role": "assistant", "content": "Look.", "tool_calls": [broken]}
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    upstream.then(send_json({"id": "c", "model": "m", "choices": [choice]}))
    told = await told_by(make_agent, live=True, speaks="openai")
    assert b'\\"city\\": \\"Ro' in told.body
    message_found = anthropic_message(told.body)
    assert message_found.stop_reason == "max_tokens"


@pytest.mark.parametrize("arguments", ['["Rome"]', "{"])
def test_arguments_that_are_no_object_are_an_error_of_the_providers(arguments: str) -> None:
    call = {**CALL, "function": {"name": "weather", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    reply = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    completion = Completion(
        text="", model="m", provider="p", reply={**reply, "choices": [choice]}, latency_ms=1.0
    )
    for ask in (
        lambda: reply_body(completion, "anthropic"),
        lambda: stream_writer("anthropic", {}).whole(completion),
    ):
        with pytest.raises(ApiError, match="arguments") as caught:
            ask()
        assert (caught.value.status, caught.value.code) == (502, "upstream_failed")
        assert "Rome" not in caught.value.message


def test_arguments_that_go_on_after_their_end_are_an_error_of_the_providers() -> None:
    writer = stream_writer("anthropic", {})

    def delta(*calls: dict[str, Any]) -> Delta:
        choice = {"index": 0, "delta": {"tool_calls": list(calls)}}
        return Delta(chunk={"id": "c", "model": "m", "choices": [choice]})

    first = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    second = {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}
    writer.live(delta(first))
    writer.live(delta(second))
    with pytest.raises(ApiError, match="went on after they were complete"):
        writer.live(delta({"index": 0, "function": {"arguments": "}"}}))


async def test_an_answer_without_an_id_gets_one(make_agent: MakeAgent, upstream: Upstream) -> None:
    def nameless(request: Any) -> Any:
        said = {"role": "assistant", "content": "Yes."}
        choice = {"index": 0, "finish_reason": "stop"}
        if request.streams:
            return send_events({"choices": [{**choice, "delta": said}]})(request)
        return send_json({"choices": [{**choice, "message": said}]})(request)

    upstream.then(nameless)
    live = await told_by(make_agent, live=True, speaks="openai")
    held_back = await told_by(make_agent, live=False, speaks="openai")
    body = json.loads(reply_body(held_back.completion, "anthropic"))
    ids = [anthropic_message(live.body).id, anthropic_message(held_back.body).id, body["id"]]
    assert all(one.startswith("msg_") and len(one) > 20 for one in ids)


async def test_stop_texts_are_named(make_agent: MakeAgent, upstream: Upstream) -> None:
    upstream.then(stream(["one ", "two"], finish_reason="length"))
    told = await told_by(make_agent, live=True, speaks="openai")
    assert anthropic_message(told.body).stop_reason == "max_tokens"


def test_an_event_whose_name_would_break_its_line_is_left_out() -> None:
    writer = stream_writer("anthropic", {})
    start = {"type": "message_start", "message": {}}
    assert writer.live(Delta(chunk={}, native=start))
    assert writer.live(Delta(chunk={}, native={"type": "x\ndata: {}"})) == b""
