"""Anthropic's Python client and the gateway, in front of providers of either format."""

from __future__ import annotations

import time
from typing import Any

import anthropic
import pytest

from tests.behaviours import (
    answer,
    answer_anthropic,
    fail,
    hang_midway,
    send_events,
    send_json,
)
from tests.serving.clients.running_gateway import RunningGateway
from tests.serving.clients.said import CALL, LONG, SCHEMA, USE, bytewise
from tests.upstream import Upstream

ASK: list[Any] = [{"role": "user", "content": "How warm is it in Zürich?"}]
TOOLS: list[Any] = [{"name": "weather", "description": "?", "input_schema": SCHEMA}]
each_model = pytest.mark.parametrize(
    "model", ["claude-large", "claude-drafts", "large", "drafts", "auto"]
)


def speak(model: str, text: str | None, **said: Any) -> Any:
    """What the provider of a model says: in Anthropic's format, or in OpenAI's."""
    if model.startswith("claude"):
        uses = [USE] if said.pop("calls", False) else []
        return answer_anthropic(text, tool_uses=uses, **said)
    calls = [CALL] if said.pop("calls", False) else []
    return answer(text, tool_calls=calls, **said)


@each_model
def test_a_whole_message(
    anthropic_client: anthropic.Anthropic, upstream: Upstream, model: str
) -> None:
    upstream.then(speak(model, LONG))
    found = anthropic_client.messages.create(model=model, messages=ASK, max_tokens=500)
    assert [(one.type, one.text) for one in found.content if one.type == "text"] == [("text", LONG)]
    assert found.stop_reason == "end_turn"
    assert (found.usage.input_tokens, found.usage.output_tokens) == (12, 5)
    assert found.id.startswith("msg_")


@each_model
def test_a_streamed_message(
    anthropic_client: anthropic.Anthropic, upstream: Upstream, model: str
) -> None:
    upstream.then(bytewise(speak(model, LONG)))
    kinds, text = [], ""
    with anthropic_client.messages.stream(model=model, messages=ASK, max_tokens=500) as stream:
        for event in stream:
            kinds.append(event.type)
            text += event.text if event.type == "text" else ""
        found = stream.get_final_message()
    assert text == LONG
    assert found.stop_reason == "end_turn"
    assert found.usage.output_tokens == 5
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


@each_model
def test_tools_whole_and_streamed(
    anthropic_client: anthropic.Anthropic, upstream: Upstream, model: str
) -> None:
    upstream.then(bytewise(speak(model, "Let me look.", calls=True)))
    asked: dict[str, Any] = {"model": model, "messages": ASK, "max_tokens": 500, "tools": TOOLS}
    whole = anthropic_client.messages.create(**asked)
    with anthropic_client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for found in (whole, streamed):
        text, use = found.content
        assert text.type == "text"
        assert use.type == "tool_use"
        assert (use.name, use.input) == ("weather", USE["input"])
        assert found.stop_reason == "tool_use"


def test_a_tools_result_and_a_system_prompt_reach_either_provider(
    anthropic_client: anthropic.Anthropic, upstream: Upstream
) -> None:
    use = {"type": "tool_use", **USE}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "31"}
    turns: list[Any] = [
        *ASK,
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    for model in ("claude-large", "large"):
        upstream.then(speak(model, "It is 31 degrees."))
        found = anthropic_client.messages.create(
            model=model, messages=turns, system="Be brief.", max_tokens=500, tools=TOOLS
        )
        assert found.content[0].type == "text"
    native, translated = upstream.bodies
    assert native["system"] == "Be brief."
    assert native["messages"] == turns
    assert native["max_tokens"] == 500
    assert [one["role"] for one in translated["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
    ]


def test_thinking_of_the_providers_own_is_passed_through(
    anthropic_client: anthropic.Anthropic, upstream: Upstream
) -> None:
    thinking = {"type": "thinking", "thinking": "Well, well.", "signature": "c2ln"}
    message = {
        "id": "msg_9",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [thinking, {"type": "text", "text": "Yes."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 5},
    }
    upstream.then(send_json(message))
    wanted: Any = {"type": "enabled", "budget_tokens": 1024}
    whole = anthropic_client.messages.create(
        model="claude-large", messages=ASK, max_tokens=2000, thinking=wanted
    )
    held_back = anthropic_client.messages.stream(
        model="claude-drafts", messages=ASK, max_tokens=2000, thinking=wanted
    )
    with held_back as stream:
        streamed = stream.get_final_message()
    for found in (whole, streamed):
        first, second = found.content
        assert first.type == "thinking"
        assert (first.thinking, first.signature) == ("Well, well.", "c2ln")
        assert second.type == "text"
    assert upstream.bodies[0]["thinking"] == wanted


def test_reasoning_of_an_openai_provider_is_thinking(
    anthropic_client: anthropic.Anthropic, upstream: Upstream
) -> None:
    head = {"id": "c", "created": 1_700_000_000, "model": "m"}
    said = {"role": "assistant", "reasoning_content": "Well.", "content": "Yes."}
    upstream.then(
        send_events({**head, "choices": [{"index": 0, "delta": said, "finish_reason": "stop"}]})
    )
    with anthropic_client.messages.stream(model="large", messages=ASK, max_tokens=500) as stream:
        thinking, text = stream.get_final_message().content
    assert thinking.type == "thinking"
    assert text.type == "text"
    assert (thinking.thinking, text.text) == ("Well.", "Yes.")


def test_request_ids_and_headers(anthropic_client: anthropic.Anthropic) -> None:
    raw = anthropic_client.messages.with_raw_response.create(
        model="drafts", messages=ASK, max_tokens=500
    )
    found = raw.parse()
    assert found._request_id
    assert raw.headers["request-id"] == raw.headers["x-sluice-request-id"] == found._request_id
    assert raw.headers["x-sluice-action"] == "accepted"


def test_models_in_pages(anthropic_client: anthropic.Anthropic) -> None:
    first = anthropic_client.models.list(limit=4)
    assert [model.id for model in first.data][:2] == ["auto", "drafts"]
    assert first.has_more
    every = [model.id for model in anthropic_client.models.list(limit=4)]
    assert len(every) == len(set(every)) == len(list(anthropic_client.models.list(limit=1000)))
    assert "claude-large" in every
    found = anthropic_client.models.retrieve("claude-large")
    assert (found.type, found.display_name, found.max_tokens) == ("model", "claude-large", 1000)
    with pytest.raises(anthropic.NotFoundError) as caught:
        anthropic_client.models.retrieve("nobody")
    assert _error(caught)["type"] == "not_found_error"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_errors_have_anthropics_form(
    gateway: RunningGateway,
    anthropic_client: anthropic.Anthropic,
    upstream: Upstream,
    frail: str,
    streams: bool,
) -> None:
    def ask(client: anthropic.Anthropic, model: str, messages: list[Any]) -> Any:
        return client.messages.create(
            model=model, messages=messages, max_tokens=500, stream=streams
        )

    with pytest.raises(anthropic.NotFoundError) as missing:
        ask(anthropic_client, "gpt-99", ASK)
    assert _error(missing)["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as wrong:
        ask(anthropic_client, "small", [{"role": "user", "content": 7}])
    assert _error(wrong)["param"] == "messages[0].content"
    upstream.then(fail(500))
    with pytest.raises(anthropic.InternalServerError) as failed:
        ask(anthropic_client, frail, ASK)
    assert failed.value.status_code == 502
    assert _error(failed)["code"] == "upstream_failed"
    with anthropic.Anthropic(base_url=gateway.origin, api_key="none", max_retries=0) as stranger:
        with pytest.raises(anthropic.AuthenticationError) as unknown:
            ask(stranger, "small", ASK)
        with pytest.raises(anthropic.AuthenticationError) as unlisted:
            stranger.models.list()
    assert _error(unknown)["type"] == _error(unlisted)["type"] == "authentication_error"
    assert unknown.value.request_id == unknown.value.body["request_id"]


def _error(caught: Any) -> Any:
    assert caught.value.body["type"] == "error"
    return caught.value.body["error"]


def test_a_stream_that_breaks_is_an_error_after_what_came(
    anthropic_client: anthropic.Anthropic, upstream: Upstream, frail: str
) -> None:
    head = {"id": "c", "created": 1_700_000_000, "model": "m"}
    piece = {"index": 0, "delta": {"role": "assistant", "content": "It is "}}
    upstream.then(send_events({**head, "choices": [piece]}, done=False, end="cut"))
    seen: list[str] = []
    with (
        anthropic_client.messages.stream(model=frail, messages=ASK, max_tokens=500) as stream,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        seen.extend(stream.text_stream)
    assert seen == ["It is "]
    assert "upstream_failed" in str(caught.value.body)


def test_a_client_that_leaves_ends_the_providers_call(
    anthropic_client: anthropic.Anthropic, upstream: Upstream
) -> None:
    upstream.then(hang_midway(answer_anthropic(LONG, pieces=list(LONG))))
    with anthropic_client.messages.create(
        model="claude-large", messages=ASK, max_tokens=500, stream=True
    ) as events:
        for event in events:
            if event.type == "content_block_delta":
                break
        during = upstream.open_connections
    deadline = time.monotonic() + 3.0
    while upstream.open_connections >= during:
        assert time.monotonic() < deadline, "the provider's call goes on"
        time.sleep(0.005)
