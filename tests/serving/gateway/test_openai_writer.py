"""OpenAI's stream: what its clients put together is what the model said, live or held back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from router.chat import Delta
from serving.errors import ApiError
from serving.gateway.writers import reply_body, stream_writer
from tests.behaviours import Behaviour, Received, answer, answer_anthropic, send_events, send_json
from tests.serving.gateway.conftest import MakeAgent
from tests.serving.gateway.reading import TRAILER, Told, events_in, openai_completion, tell
from tests.upstream import Upstream

both_ways = pytest.mark.parametrize("live", [True, False], ids=["live", "held back"])
CALLS = [
    {
        "id": f"call_{city}",
        "type": "function",
        "function": {"name": "weather", "arguments": f'{{"city": "{city}", "days": [1, 2, 3]}}'},
    }
    for city in ("Rome", "Oslo")
]
LONG = "Das Wetter 🌦️ in Zürich: 今天很好 — naïve café, 👩‍👩‍👧‍👦 and more.\n\n" * 40


def chunks_of(told: Told) -> list[dict[str, Any]]:
    *chunks, done = events_in(told.body)
    assert done == "[DONE]"
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    assert len({(one["id"], one["created"], one["model"], one["object"]) for one in chunks}) == 1
    return chunks


@both_ways
async def test_the_text_comes_in_pieces_after_the_role(
    make_agent: MakeAgent, upstream: Upstream, live: bool
) -> None:
    upstream.then(answer(LONG))
    told = await tell(make_agent(live=live))
    assert told.live is live
    first, *rest = chunks_of(told)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "role" not in json.dumps([one["choices"] for one in rest])
    assert len(rest) > 20
    completion = openai_completion(told.body)
    assert completion.choices[0].message.content == LONG
    assert completion.choices[0].finish_reason == "stop"


@both_ways
async def test_nothing_says_complete_before_the_end(
    make_agent: MakeAgent, upstream: Upstream, live: bool
) -> None:
    upstream.then(answer("It is 42."))
    told = await tell(make_agent(live=live), params={"stream_options": {"include_usage": True}})
    assert b"[DONE]" not in told.before
    assert b'"stop"' not in told.before
    assert b"total_tokens" not in told.before
    comment, rest = told.end.split(b"\n\n", 1)
    assert comment == b": sluice " + json.dumps(TRAILER, separators=(",", ":")).encode()
    finish, usage, done = events_in(rest)
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["total_tokens"], done) == ([], 17, "[DONE]")


@both_ways
async def test_usage_is_told_only_to_who_asked(
    make_agent: MakeAgent, upstream: Upstream, live: bool
) -> None:
    upstream.then(answer("It is 42."))
    unasked = await tell(make_agent(live=live))
    assert all("usage" not in chunk for chunk in chunks_of(unasked))
    told = await tell(make_agent(live=live), params={"stream_options": {"include_usage": True}})
    *chunks, last = chunks_of(told)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 5)
    assert openai_completion(told.body).usage.total_tokens == 17


@both_ways
async def test_tool_calls_are_put_together(
    make_agent: MakeAgent, upstream: Upstream, live: bool
) -> None:
    upstream.then(answer("Let me look.", tool_calls=CALLS))
    told = await tell(make_agent(live=live))
    first = next(
        call
        for chunk in chunks_of(told)
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", ())
    )
    assert first == {**CALLS[0], "index": 0, "function": {"name": "weather", "arguments": ""}}
    choice = openai_completion(told.body).choices[0]
    assert choice.message.content == "Let me look."
    found = [(one.id, one.type, one.function) for one in choice.message.tool_calls]
    assert [(name, kind) for name, kind, _ in found] == [
        ("call_Rome", "function"),
        ("call_Oslo", "function"),
    ]
    for (_, _, function), call in zip(found, CALLS, strict=True):
        assert function.name == "weather"
        assert function.arguments == call["function"]["arguments"]
    assert choice.finish_reason == "tool_calls"


def repeating(request: Received) -> Any:
    """A server that says role, id and name of a call with every piece, or no id at all."""
    head = {"id": "", "model": "m"}
    with_id = {"id": "call_a", "type": "function"}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": "Look: "},
        {"role": "assistant", "content": "here."},
        {"tool_calls": [{"index": 0, **with_id, "function": {"name": "f", "arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, **with_id, "function": {"name": "f", "arguments": ": 1}"}}]},
        {"tool_calls": [{"index": 1, "function": {"name": "g", "arguments": "{}"}}]},
        {"tool_calls": [{"index": 1, "function": None}]},
    ]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return send_events(*chunks)(request)


@both_ways
async def test_what_servers_repeat_or_leave_out_is_mended(
    make_agent: MakeAgent, upstream: Upstream, live: bool
) -> None:
    upstream.then(repeating)
    told = await tell(make_agent(live=live))
    chunks = chunks_of(told)
    assert chunks[0]["id"].startswith("chatcmpl-")
    assert chunks[0]["created"] > 1_700_000_000
    message = openai_completion(told.body).choices[0].message
    assert (message.role, message.content) == ("assistant", "Look: here.")
    calls = [(one.id, one.function.name, one.function.arguments) for one in message.tool_calls]
    assert calls == [("call_a", "f", '{"a": 1}'), ("call_1", "g", "{}")]


def several(request: Received) -> Any:
    """Three choices, the last one first, each finished before others go on."""
    head = {"id": "c", "created": 1_700_000_000, "model": "m"}

    def choice(index: int, text: str | None, reason: str | None = None) -> dict[str, Any]:
        delta = {} if text is None else {"content": text}
        return {"index": index, "delta": delta, "finish_reason": reason}

    return send_events(
        {**head, "choices": [choice(2, "two")]},
        {**head, "choices": [choice(2, None, "stop")]},
        {**head, "choices": [choice(0, "no"), choice(1, "o")]},
        {**head, "choices": [choice(1, "ne", "length")]},
        {**head, "choices": [choice(0, "ught", "stop")]},
    )(request)


@both_ways
async def test_all_choices_are_told_in_an_order_that_clients_can_follow(
    make_agent: MakeAgent, upstream: Upstream, live: bool
) -> None:
    upstream.then(several)
    told = await tell(make_agent(live=live), params={"n": 3})
    assert b'"length"' not in told.before
    found = openai_completion(told.body).choices
    assert [(one.index, one.message.content, one.finish_reason) for one in found] == [
        (0, "nought", "stop"),
        (1, "one", "length"),
        (2, "two", "stop"),
    ]


@both_ways
async def test_logprobs_come_to_who_asked(
    make_agent: MakeAgent, upstream: Upstream, live: bool
) -> None:
    upstream.then(answer("t0t1t2", logprobs=[-0.1, -0.2, -0.3], pieces=["t0", "t1t2"]))
    told = await tell(make_agent(live=live), params={"logprobs": True})
    content = openai_completion(told.body).choices[0].logprobs.content
    assert [one.logprob for one in content] == [-0.1, -0.2, -0.3]
    unasked = await tell(make_agent(live=live))
    assert b"-0.1" not in unasked.body


async def test_held_back_logprobs_go_with_their_text(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    words = [f"word{at} " for at in range(60)]
    tokens = [{"token": one, "logprob": -1.0, "bytes": None, "top_logprobs": []} for one in words]
    message = {"role": "assistant", "content": "".join(words)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "c", "choices": [{**choice, "logprobs": {"content": tokens, "refusal": None}}]}
    upstream.then(send_json(body))
    told = await tell(make_agent(live=False), params={"logprobs": True})
    pieces = [chunk["choices"][0] for chunk in chunks_of(told)[1:-1]]
    assert len(pieces) > 5
    for piece in pieces:
        said = "".join(one["token"] for one in piece["logprobs"]["content"])
        assert piece["delta"]["content"] == said


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
@both_ways
async def test_a_refusal_is_told_as_one(
    make_agent: MakeAgent, upstream: Upstream, live: bool, streams: bool
) -> None:
    refusal = "I cannot help with that."
    body: dict[str, Any] = {"id": "c", "created": 1, "model": "m"}
    if streams:
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        piece = {"index": 0, "delta": {"role": "assistant", "refusal": refusal}}
        streamed = send_events({**body, "choices": [piece]}, {**body, "choices": [end]})
    else:
        streamed = None
    message = {"role": "assistant", "content": None, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    plain = send_json({**body, "choices": [choice]})
    upstream.then(
        lambda request: streamed(request) if streamed and request.streams else plain(request)
    )
    told = await tell(make_agent(live=live))
    found = openai_completion(told.body).choices[0].message
    assert (found.content or None, found.refusal) == (None, refusal)


@both_ways
async def test_a_provider_of_anthropics_format_is_told_in_openais(
    make_agent: MakeAgent, upstream: Upstream, live: bool
) -> None:
    use = {"id": "toolu_1", "name": "weather", "input": {"city": "Rome"}}
    upstream.then(answer_anthropic("Let me look.", tool_uses=[use], pieces=["Let me ", "look."]))
    params = {"stream_options": {"include_usage": True}}
    told = await tell(make_agent(live=live, speaks="anthropic"), params=params)
    assert not [one for one in chunks_of(told) if one["choices"] and not _says_something(one)]
    completion = openai_completion(told.body)
    message = completion.choices[0].message
    assert message.content == "Let me look."
    (call,) = message.tool_calls
    assert (call.id, json.loads(call.function.arguments)) == ("toolu_1", {"city": "Rome"})
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.usage.total_tokens == 17


def _says_something(chunk: dict[str, Any]) -> bool:
    return any(one["delta"] or one["finish_reason"] for one in chunk["choices"])


@both_ways
async def test_fields_that_nobody_has_heard_of_pass(
    make_agent: MakeAgent, upstream: Upstream, live: bool
) -> None:
    def behave(request: Received) -> Any:
        own = {"mood": {"calm": True}}
        body: dict[str, Any] = {"id": "c", "created": 1, "model": "m", "x_own": {"a": 1}}
        said = {"role": "assistant", "content": "Yes.", **own}
        choice = {"index": 0, "finish_reason": "stop", "stop_reason": "END"}
        if request.streams:
            return send_events({**body, "choices": [{**choice, "delta": said}]})(request)
        return send_json({**body, "choices": [{**choice, "message": said}]})(request)

    upstream.then(behave)
    told = await tell(make_agent(live=live))
    assert all(chunk["x_own"] == {"a": 1} for chunk in chunks_of(told))
    assert b'"stop_reason":"END"' in told.end
    completion = openai_completion(told.body)
    assert completion.choices[0].message.mood == {"calm": True}
    assert completion.choices[0].message.content == "Yes."


async def test_thoughts_are_told_before_the_text(make_agent: MakeAgent, upstream: Upstream) -> None:
    message = {"role": "assistant", "content": "Yes.", "reasoning_content": "Well, well. " * 20}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    upstream.then(send_json({"id": "c", "model": "m", "choices": [choice]}))
    told = await tell(make_agent(live=False))
    names = [name for one in chunks_of(told) for name in one["choices"][0]["delta"]]
    assert names[:2] == ["role", "content"]
    assert names[-1] == "content"
    assert names.count("reasoning_content") > 2
    found = openai_completion(told.body).choices[0].message
    assert found.reasoning_content == message["reasoning_content"]


@pytest.mark.parametrize(
    "behaviour",
    [answer("Yes.", tool_calls=CALLS), answer("t0", logprobs=[-0.5])],
    ids=["calls", "logprobs"],
)
async def test_a_whole_answer_is_a_chat_completion(
    make_agent: MakeAgent, upstream: Upstream, behaviour: Behaviour
) -> None:
    upstream.then(behaviour)
    completion = (await tell(make_agent(live=False), params={"logprobs": True})).completion
    body = json.loads(reply_body(completion, "openai"))
    ChatCompletion.model_validate(body, strict=True)
    assert body == completion.reply


async def test_an_answer_without_an_id_gets_one(make_agent: MakeAgent, upstream: Upstream) -> None:
    message = {"role": "assistant", "content": "Yes."}
    upstream.then(send_json({"choices": [{"message": message, "finish_reason": "stop"}]}))
    completion = (await tell(make_agent(live=False))).completion
    body = json.loads(reply_body(completion, "openai"))
    assert body["id"].startswith("chatcmpl-")
    assert body["model"] == "small"
    assert body["created"] > 1_700_000_000


def test_a_providers_own_chunk_without_choices_passes() -> None:
    chunk = {"id": "", "choices": [], "prompt_filter_results": [1], "usage": None}
    (told,) = events_in(stream_writer("openai", {}).live(Delta(chunk=chunk)))
    assert told["prompt_filter_results"] == [1]
    assert told["choices"] == []


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 1}])
def test_a_chunk_that_says_nothing_is_left_out(usage: Any) -> None:
    chunk = {"id": "c", "model": "m", "choices": [], "usage": usage, "service_tier": "default"}
    assert stream_writer("openai", {}).live(Delta(chunk=chunk)) == b""


def test_a_choice_that_nobody_asked_for_costs_little() -> None:
    choice = {"index": 10**9, "delta": {"content": "?"}, "finish_reason": None}
    chunk = {"id": "c", "model": "m", "choices": [choice]}
    assert len(stream_writer("openai", {}).live(Delta(chunk=chunk))) < 20_000


def test_an_error_after_the_start_is_an_event_that_clients_raise() -> None:
    error = ApiError(502, "every model failed", code="upstream_failed", kind="upstream_error")
    (told,) = events_in(stream_writer("openai", {}).failure(error))
    assert told == {
        "error": {
            "message": "every model failed",
            "type": "upstream_error",
            "param": None,
            "code": "upstream_failed",
        }
    }
