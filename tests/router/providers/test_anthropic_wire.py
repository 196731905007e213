"""Anthropic's wire: what is sent, what a reply may look like, and what each fault is called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from router.chat import ChatRequest, Delta
from router.errors import ConfigError
from router.providers.anthropic_wire import AnthropicWire
from router.providers.wire import ReplyReader, Wire, WireError

WIRE = AnthropicWire(clock=lambda: 17)
NATIVE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "Hi there"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**NATIVE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "Hi there"},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
]


def read(events: Sequence[dict[str, Any]]) -> tuple[ReplyReader, list[Delta]]:
    """A reader that has been fed, and its deltas."""
    reader = WIRE.reader()
    return reader, [d for event in events for d in reader.feed(event["type"], json.dumps(event))]


def body_of(request: ChatRequest, *, stream: bool = False, limit: int | None = 50) -> Any:
    return WIRE.body(request, model="claude-x", stream=stream, max_tokens=limit, ask_logprobs=True)


def test_it_is_a_wire() -> None:
    wire: Wire = WIRE
    assert wire.path == "/v1/messages"
    assert AnthropicWire().read_reply(NATIVE).reply["created"] > 1_700_000_000


def test_headers_hold_the_key_and_the_version() -> None:
    assert WIRE.headers("k") == {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    assert WIRE.headers(None) == {"anthropic-version": "2023-06-01"}


def test_a_body_has_the_model_and_a_limit_and_never_asks_for_log_probabilities() -> None:
    request = ChatRequest.of("Hi", {"seed": 1})
    messages = [{"role": "user", "content": "Hi"}]
    body = {"model": "claude-x", "messages": messages, "max_tokens": 50}
    assert body_of(request) == body
    assert body_of(request, stream=True) == {**body, "stream": True}
    assert WIRE.dropped(request) == ("seed",)
    with pytest.raises(ConfigError, match="set max_tokens on the model"):
        body_of(request, limit=None)


def test_an_anthropic_body_arrives_untouched() -> None:
    params = {"max_tokens": 4, "system": "Be brief.", "made_up": [1], "top_k": 2}
    request = ChatRequest.of("Hi", params, dialect="anthropic")
    messages = [{"role": "user", "content": "Hi"}]
    assert body_of(request) == {"model": "claude-x", "messages": messages, **params}


def test_a_reply_is_read_as_both() -> None:
    reply = WIRE.read_reply(NATIVE)
    assert reply.native == NATIVE
    completion = ChatCompletion.model_validate(reply.reply)
    assert completion.choices[0].message.content == "Hi there"
    assert completion.created == 17
    assert Message.model_validate(reply.native).content[0].type == "text"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"content": []}, "empty"),
        ({"content": [{"type": "text", "text": " \n"}]}, "empty"),
        ({"content": [{"type": "thinking", "thinking": "Hm.", "signature": "c"}]}, "empty"),
        ({"stop_reason": "refusal"}, "content_filter"),
        ({"stop_reason": "refusal", "content": []}, "content_filter"),
        ({"content": None}, "protocol"),
        ({"content": "Hi"}, "protocol"),
        ({"content": ["Hi"]}, "protocol"),
        ({"content": [{"text": "Hi"}]}, "protocol"),
        ({"content": [{"type": "text"}]}, "protocol"),
        ({"content": [{"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]}, "protocol"),
        ({"stop_reason": None}, "protocol"),
        ({"type": "completion"}, "protocol"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}, "server"),
        ({"type": "error"}, "unknown"),
    ],
)
def test_a_reply_without_an_answer_is_an_error(change: dict[str, Any], cause: str) -> None:
    with pytest.raises(WireError) as caught:
        WIRE.read_reply({**NATIVE, **change})
    assert caught.value.cause == cause
    assert "Hi" not in str(caught.value)


@pytest.mark.parametrize("body", [None, [], "text", 1])
def test_a_reply_that_is_no_object_is_an_error(body: Any) -> None:
    with pytest.raises(WireError, match="expected a message object"):
        WIRE.read_reply(body)


def test_a_call_alone_is_an_answer_and_so_is_a_tool_of_anthropics_own() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    reply = WIRE.read_reply({**NATIVE, "content": [call], "stop_reason": "tool_use"})
    assert reply.reply["choices"][0]["message"]["content"] is None
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    assert WIRE.read_reply({**NATIVE, "content": [search], "stop_reason": "pause_turn"}).native


def test_a_stream_gives_a_delta_an_event_and_the_same_reply() -> None:
    reader, deltas = read(EVENTS)
    assert reader.done
    assert reader.reply() == WIRE.read_reply(NATIVE)
    assert "".join(delta.content for delta in deltas) == "Hi there"
    told = [delta.native for delta in deltas if delta.native is not None]
    assert told == [event for event in EVENTS if event["type"] != "ping"]
    for delta in deltas:
        ChatCompletionChunk.model_validate(delta.chunk)
    assert deltas[-1].chunk["usage"]["total_tokens"] == 5


def test_tool_calls_are_on_the_deltas() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    start = {"type": "content_block_start", "index": 0, "content_block": call}
    _, deltas = read([EVENTS[0], start, EVENTS[4]])
    assert [delta.tool_calls for delta in deltas[1:]] == [
        (
            {
                "index": 0,
                "id": "toolu_1",
                "type": "function",
                "function": {"name": "f", "arguments": ""},
            },
        ),
        ({"index": 0, "function": {"arguments": "{}"}},),
    ]


@pytest.mark.parametrize("length", range(len(EVENTS)))
def test_a_stream_that_ends_early_is_disconnected(length: int) -> None:
    reader, _ = read(EVENTS[:length])
    assert not reader.done
    with pytest.raises(WireError) as caught:
        reader.reply()
    assert caught.value.cause == "disconnected"


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("overloaded_error", "server"),
        ("api_error", "server"),
        ("rate_limit_error", "rate_limit"),
        ("timeout_error", "timeout"),
        ("authentication_error", "auth"),
        ("permission_error", "auth"),
        ("billing_error", "auth"),
        ("invalid_request_error", "bad_request"),
        ("request_too_large", "bad_request"),
        ("not_found_error", "not_found"),
        ("secret prompt", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_error_in_the_stream_has_its_cause(kind: Any, cause: str) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "secret prompt"}}
    with pytest.raises(WireError) as caught:
        read([*EVENTS[:3], error])
    assert caught.value.cause == cause
    assert "secret" not in str(caught.value)


def test_a_stream_without_an_answer_is_an_error() -> None:
    reader, _ = read([EVENTS[0], *EVENTS[5:]])
    with pytest.raises(WireError) as caught:
        reader.reply()
    assert caught.value.cause == "empty"


def test_a_refusal_in_the_stream_is_an_error() -> None:
    delta = {"stop_reason": "refusal", "stop_sequence": None}
    reader, _ = read([*EVENTS[:5], {**EVENTS[5], "delta": delta}, EVENTS[6]])
    with pytest.raises(WireError) as caught:
        reader.reply()
    assert caught.value.cause == "content_filter"


@pytest.mark.parametrize("data", ["", "{", "[1]", "[DONE]"])
def test_an_event_that_is_no_object_is_an_error(data: str) -> None:
    with pytest.raises(WireError):
        WIRE.reader().feed("message_start", data)


def test_an_event_may_leave_its_type_to_its_name() -> None:
    data = json.dumps({"message": EVENTS[0]["message"]})
    assert len(WIRE.reader().feed("message_start", data)) == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            {"type": "error", "error": {"type": "not_found_error", "message": "model: x"}},
            ("model: x", "not_found_error"),
        ),
        ({"error": {"message": 1}}, ("", "")),
        ({"error": "text"}, ("", "")),
        ("text", ("", "")),
        (None, ("", "")),
    ],
)
def test_an_error_body_is_read_as_far_as_it_goes(body: Any, told: tuple[str, str]) -> None:
    assert WIRE.error_message(body) == told


def test_counts_that_make_no_sense_lose_no_answer() -> None:
    start = {"type": "message_start", "message": {**EVENTS[0]["message"], "usage": "odd"}}
    reader, _ = read([start, *EVENTS[1:]])
    reply = reader.reply().reply
    assert reply["choices"][0]["message"]["content"] == "Hi there"
    assert "usage" not in reply
    assert "usage" not in WIRE.read_reply({**NATIVE, "usage": {"input_tokens": -3}}).reply
