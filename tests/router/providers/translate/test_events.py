"""OpenAI's stream told as Anthropic's events, read by Anthropic's own client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from router.providers.translate.events import AnthropicEvents
from router.providers.wire import WireError
from tests.official_clients import read_with_anthropic


def openai_chunk(delta: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk of an OpenAI stream; without a delta, one without a choice."""
    choices = [{"index": 0, "delta": delta, "finish_reason": None}] if delta is not None else []
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 17,
        "model": "gpt-x",
        "choices": choices,
    }
    return {**chunk, **fields}


def call_chunk(index: int, arguments: str = "", **call: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": call.pop("name")} if "name" in call else {})}
    return openai_chunk({"tool_calls": [{"index": index, "function": function, **call}]})


def ending(finish_reason: str) -> list[dict[str, Any]]:
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    details = {"prompt_tokens_details": {"cached_tokens": 2}}
    end = openai_chunk({})
    end["choices"][0]["finish_reason"] = finish_reason
    return [end, openai_chunk(usage={**usage, **details})]


def events_of(*chunks: dict[str, Any]) -> list[dict[str, Any]]:
    teller = AnthropicEvents()
    return [*(event for chunk in chunks for event in teller.feed(chunk)), *teller.finish()]


def told(message: Message) -> list[tuple[Any, ...]]:
    """The blocks of a message, short."""
    return [
        ("tool", block.id, block.name, block.input)
        if block.type == "tool_use"
        else (block.type, block.text if block.type == "text" else block.thinking)  # type: ignore[union-attr]
        for block in message.content
    ]


def test_the_anthropic_client_reads_the_events_of_an_openai_stream() -> None:
    events = events_of(
        openai_chunk({"role": "assistant", "content": ""}),
        openai_chunk({"reasoning_content": "Hm"}),
        openai_chunk({"reasoning_content": "m."}),
        openai_chunk({"content": "Let me "}),
        openai_chunk({"content": "see."}),
        call_chunk(0, id="call_1", name="weather", type="function"),
        call_chunk(0, '{"city": '),
        call_chunk(0, '"Köln"}'),
        call_chunk(1, id="call_2", name="now"),
        call_chunk(1, "{}"),
        *ending("tool_calls"),
    )
    assert [event["type"] for event in events] == [
        "message_start",
        *("content_block_start", "content_block_delta", "content_block_delta"),
        "content_block_stop",
        *("content_block_start", "content_block_delta", "content_block_delta"),
        "content_block_stop",
        *("content_block_start", "content_block_delta", "content_block_delta"),
        "content_block_stop",
        *("content_block_start", "content_block_delta"),
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    message = read_with_anthropic(events)
    assert told(message) == [
        ("thinking", "Hmm."),
        ("text", "Let me see."),
        ("tool", "call_1", "weather", {"city": "Köln"}),
        ("tool", "call_2", "now", {}),
    ]
    assert (message.stop_reason, message.id) == ("tool_use", "msg_chatcmpl-1")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (10, 2)
    assert message.usage.output_tokens == 3


def test_calls_whose_pieces_come_in_turn_are_told_one_after_the_other() -> None:
    events = events_of(
        call_chunk(0, '{"a"', id="call_1", name="f"),
        call_chunk(1, '{"b"', id="call_2", name="g"),
        openai_chunk({"content": "Meanwhile."}),
        call_chunk(0, ": 1}"),
        call_chunk(1, ": 2}"),
        *ending("tool_calls"),
    )
    assert told(read_with_anthropic(events)) == [
        ("tool", "call_1", "f", {"a": 1}),
        ("tool", "call_2", "g", {"b": 2}),
        ("text", "Meanwhile."),
    ]


@pytest.mark.parametrize("index", [0, None])
def test_calls_of_one_index_are_told_apart_by_their_ids(index: Any) -> None:
    events = events_of(
        call_chunk(index, '{"a": 1}', id="call_1", name="f"),
        call_chunk(index, '{"b": 2}', id="call_2", name="f"),
        *ending("stop"),
    )
    message = read_with_anthropic(events)
    assert [block[1:] for block in told(message)] == [
        ("call_1", "f", {"a": 1}),
        ("call_2", "f", {"b": 2}),
    ]
    assert message.stop_reason == "tool_use"


def test_a_call_without_an_id_gets_one_and_one_that_broke_off_is_told_as_far_as_it_got() -> None:
    events = events_of(
        call_chunk(0, name="f"), call_chunk(1, '{"a": "un', name="g"), *ending("length")
    )
    message = read_with_anthropic(events)
    assert message.stop_reason == "max_tokens"
    assert told(message) == [
        ("tool", "toolu_msg_chatcmpl-1_0", "f", {}),
        ("tool", "toolu_msg_chatcmpl-1_1", "g", {}),
    ]
    assert events[-4]["delta"]["partial_json"] == '{"a": "un'


def test_arguments_after_their_end_are_an_error() -> None:
    teller = AnthropicEvents()
    teller.feed(call_chunk(0, "{}", id="call_1", name="f"))
    teller.feed(call_chunk(1, "{}", id="call_2", name="f"))
    assert teller.feed(call_chunk(0, " ")) == []
    with pytest.raises(WireError, match="went on"):
        teller.feed(call_chunk(0, "{}"))


def test_a_refusal_and_other_choices() -> None:
    other = openai_chunk({"content": "Not told."})
    other["choices"][0]["index"] = 1
    events = events_of(other, openai_chunk({"refusal": "I cannot."}), *ending("stop"))
    message = read_with_anthropic(events)
    assert (told(message), message.stop_reason) == ([("text", "I cannot.")], "refusal")


def test_a_stream_without_a_chunk_has_no_events() -> None:
    assert AnthropicEvents().finish() == []


PIECES = st.lists(st.sampled_from(["text", "reasoning", 0, 1, 2]), min_size=1, max_size=12)


@given(PIECES)
def test_whatever_the_order_nothing_is_lost_and_blocks_do_not_overlap(pieces: list[Any]) -> None:
    """Each call's arguments are cut into as many pieces as it has turns."""
    texts: dict[Any, list[str]] = {}
    for number, piece in enumerate(pieces):
        texts.setdefault(piece, []).append(f"{number} ")
    inputs = {piece: json.dumps({"said": "".join(texts[piece])}) for piece in texts}
    chunks: list[dict[str, Any]] = []
    done = dict.fromkeys(texts, 0)
    for piece in pieces:
        nth, of = done[piece], len(texts[piece])
        done[piece] += 1
        if isinstance(piece, str):
            name = "content" if piece == "text" else "reasoning_content"
            chunks.append(openai_chunk({name: texts[piece][nth]}))
            continue
        size = -(-len(inputs[piece]) // of)
        part = inputs[piece][nth * size : (nth + 1) * size]
        head = {"id": f"call_{piece}", "name": "f"} if nth == 0 else {}
        chunks.append(call_chunk(piece, part, **head))
    events = events_of(*chunks, *ending("stop"))
    opened: int | None = None
    for event in events:
        if event["type"] == "content_block_start":
            assert opened is None
            opened = event["index"]
        elif event["type"] in ("content_block_delta", "content_block_stop"):
            assert event["index"] == opened
            opened = None if event["type"] == "content_block_stop" else opened
    message = read_with_anthropic(events)
    for kind, name in (("text", "text"), ("reasoning", "thinking")):
        found = [str(block[1]) for block in told(message) if block[0] == name]
        assert "".join(found) == "".join(texts.get(kind, []))
    calls = {block[1]: block[3] for block in told(message) if block[0] == "tool"}
    expected = {f"call_{piece}": json.loads(inputs[piece]) for piece in (0, 1, 2) if piece in texts}
    assert calls == expected
