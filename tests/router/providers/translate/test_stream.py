"""Streams between the dialects, read by the official clients from the bytes they would get."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletionChunk

from router.providers.translate.events import AnthropicEvents
from router.providers.translate.reply import anthropic_reply, openai_reply
from router.providers.translate.stream import OpenAIChunks
from router.providers.wire import WireError
from tests.official_clients import read_with_anthropic, read_with_openai


def anthropic_stream(message: dict[str, Any], size: int = 3) -> list[dict[str, Any]]:
    """The events by which Anthropic streams a message, its texts cut into pieces of `size`."""
    usage = message["usage"]
    begun = {"content": [], "stop_reason": None, "stop_sequence": None}
    first = {**usage, "output_tokens": 1}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, **begun, "usage": first}},
        {"type": "ping"},
    ]
    for index, block in enumerate(message["content"]):
        events += block_events(index, block, size)
    delta = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    output = {"output_tokens": usage["output_tokens"]}
    events.append({"type": "message_delta", "delta": delta, "usage": output})
    events.append({"type": "message_stop"})
    return events


def block_events(index: int, block: dict[str, Any], size: int) -> list[dict[str, Any]]:
    """One content block's events."""
    kind = block["type"]
    deltas: list[dict[str, Any]] = []
    empty = dict(block)
    if kind in ("text", "thinking"):
        empty[kind] = ""
        deltas = [{"type": f"{kind}_delta", kind: piece} for piece in cut(block[kind], size)]
    if kind == "thinking":
        empty["signature"] = ""
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    if kind == "tool_use":
        empty["input"] = {}
        text = json.dumps(block["input"]) if block["input"] else ""
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in cut(text, size)]
    return [
        {"type": "content_block_start", "index": index, "content_block": empty},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def native(*blocks: dict[str, Any], stop_reason: str = "end_turn") -> dict[str, Any]:
    """An Anthropic message."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(blocks),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 7, "cache_read_input_tokens": 20},
    }


def retell(events: Sequence[dict[str, Any]]) -> tuple[OpenAIChunks, list[dict[str, Any]]]:
    """OpenAI's chunks of Anthropic's events."""
    chunks = OpenAIChunks(created=17)
    found = [chunk for event in events for chunk in chunks.feed(event)]
    for chunk in found:
        ChatCompletionChunk.model_validate(chunk)
    return chunks, found


TEXT = {"type": "text", "text": "Let me see: “grün”."}
FIRST = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}}
SECOND = {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}
THINKING = {"type": "thinking", "thinking": "Hm, hm.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "eHl6"}

MESSAGES = [
    native(TEXT),
    native(THINKING, REDACTED, TEXT, FIRST, SECOND, stop_reason="tool_use"),
    native(FIRST, TEXT, SECOND, stop_reason="tool_use"),
    native(THINKING, {**THINKING, "thinking": "Once more."}, TEXT, stop_reason="max_tokens"),
    native(TEXT, {"type": "text", "text": "Twice."}),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_an_anthropic_stream_is_put_together_to_the_same_message(message: dict[str, Any]) -> None:
    chunks, _ = retell(anthropic_stream(message))
    assert chunks.done
    assert chunks.message() == message
    assert read_with_anthropic(anthropic_stream(message)).model_dump(
        exclude_none=True
    ) == Message.model_validate(message).model_dump(exclude_none=True)


@pytest.mark.parametrize("message", MESSAGES)
def test_the_openai_client_reads_the_chunks_of_an_anthropic_stream(message: Any) -> None:
    _, found = retell(anthropic_stream(message))
    completion = read_with_openai(found)
    expected = openai_reply(message, created=17)
    told, wanted = completion.choices[0], expected["choices"][0]
    assert told.finish_reason == wanted["finish_reason"]
    assert (told.message.content or None) == wanted["message"]["content"]
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.function.name}}
        for call in told.message.tool_calls or ()
    ]
    assert calls == [
        {**call, "function": {"name": call["function"]["name"]}}
        for call in wanted["message"].get("tool_calls", [])
    ]
    arguments = [json.loads(call.function.arguments) for call in told.message.tool_calls or ()]
    assert arguments == [
        json.loads(call["function"]["arguments"])
        for call in wanted["message"].get("tool_calls", [])
    ]
    for name in ("reasoning_content", "thinking_blocks", "anthropic_content"):
        assert getattr(told.message, name, None) == wanted["message"].get(name)
    assert completion.usage.model_dump(exclude_unset=True) == expected["usage"]


def test_the_first_chunk_has_the_role_and_the_last_two_the_end_and_the_usage() -> None:
    _, found = retell(anthropic_stream(native(TEXT)))
    assert found[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [choice["finish_reason"] for choice in found[-2]["choices"]] == ["stop"]
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["prompt_tokens"] == 29
    assert {chunk["id"] for chunk in found} == {"msg_1"}


def test_a_call_that_broke_off_at_the_limit_keeps_its_text() -> None:
    events = anthropic_stream(native(FIRST, stop_reason="max_tokens"))
    del events[-4]  # the last piece of the input
    chunks, found = retell(events)
    call = chunks.reply()["choices"][0]["message"]["tool_calls"][0]
    assert call["function"]["arguments"] == json.dumps(FIRST["input"])[:-3]
    assert read_with_openai(found).choices[0].finish_reason == "length"


def test_citations_are_kept() -> None:
    citation = {
        "type": "char_location",
        "cited_text": "a",
        "document_index": 0,
        "document_title": None,
        "start_char_index": 0,
        "end_char_index": 1,
    }
    events = anthropic_stream(native({**TEXT, "citations": []}))
    delta = {"type": "citations_delta", "citation": citation}
    events.insert(-3, {"type": "content_block_delta", "index": 0, "delta": delta})
    chunks, _ = retell(events)
    assert chunks.message()["content"][0]["citations"] == [citation]
    assert chunks.reply()["choices"][0]["message"]["anthropic_content"][0]["citations"]


def test_events_and_deltas_that_are_not_known_yet_are_skipped() -> None:
    events = anthropic_stream(native(TEXT))
    events.insert(1, {"type": "made_up"})
    delta = {"type": "made_up_delta"}
    events.insert(4, {"type": "content_block_delta", "index": 0, "delta": delta})
    chunks, _ = retell(events)
    assert chunks.message() == native(TEXT)


WHOLE = anthropic_stream(native(TEXT))


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (WHOLE[2:], "outside of a message"),
        ([WHOLE[0], WHOLE[0]], "twice"),
        ([{"type": "message_start"}], "without a message"),
        ([WHOLE[0], WHOLE[3]], "not open"),
        ([*WHOLE[:3], WHOLE[2]], "out of order"),
        ([WHOLE[0], {"type": "content_block_start", "index": 0}], "must be an object with a type"),
        ([*WHOLE[:3], {"type": "content_block_delta", "index": 0}], "without a delta"),
        ([*WHOLE[:3], WHOLE[-1]], "still open"),
        ([WHOLE[0], {"type": "message_delta"}], "without a delta"),
        ([WHOLE[0], WHOLE[-1]], "stop_reason"),
        ([*WHOLE, WHOLE[2]], "outside of a message"),
        ([*WHOLE[:3], {**WHOLE[3], "delta": {"type": "text_delta", "text": 1}}], "not a string"),
    ],
)
def test_a_stream_that_makes_no_sense_is_an_error(events: Any, said: str) -> None:
    with pytest.raises(WireError, match=said) as caught:
        retell(events)
    assert caught.value.cause == "protocol"


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_a_stream_that_ends_early_is_disconnected(length: int) -> None:
    chunks, _ = retell(WHOLE[:length])
    with pytest.raises(WireError) as caught:
        chunks.message()
    assert caught.value.cause == "disconnected"


@pytest.mark.parametrize("message", MESSAGES)
def test_a_stream_told_there_and_back_says_the_same(message: dict[str, Any]) -> None:
    teller = AnthropicEvents()
    _, chunks = retell(anthropic_stream(message))
    again = read_with_anthropic(
        [
            *(event for chunk in chunks for event in teller.feed(chunk)),
            *teller.finish(),
        ]
    )
    whole = anthropic_reply(openai_reply(message, created=17))
    texts = [block["text"] for block in whole["content"] if block["type"] == "text"]
    # Texts that follow each other are one in OpenAI's stream.
    assert "".join(b.text for b in again.content if b.type == "text") == "".join(texts)
    inputs = [block["input"] for block in whole["content"] if block["type"] == "tool_use"]
    assert [b.input for b in again.content if b.type == "tool_use"] == inputs
    assert again.stop_reason == message["stop_reason"]
    assert again.usage.input_tokens == 9
