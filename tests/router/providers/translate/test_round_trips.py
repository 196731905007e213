"""What both dialects can say survives the way there and back, whatever it is."""

from __future__ import annotations

import json
from typing import Any

from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from router.chat import ChatRequest
from router.providers.translate.reply import anthropic_reply, openai_reply
from router.providers.translate.request import to_anthropic, to_openai

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
NAMES = st.text("abcdefgh_-123", min_size=1, max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXTS
OBJECTS = st.dictionaries(
    TEXTS,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2), max_leaves=4),
    max_size=3,
)
COUNTS = st.integers(0, 10**6)

text_blocks = TEXTS.map(lambda text: {"type": "text", "text": text})
image_blocks = st.sampled_from(
    [
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}},
    ]
)
document_blocks = st.builds(
    lambda data: {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": data},
    },
    TEXTS,
)
user_blocks = text_blocks | image_blocks | document_blocks
tool_uses = st.builds(
    lambda id_, name, given: {"type": "tool_use", "id": id_, "name": name, "input": given},
    NAMES, NAMES, OBJECTS,
)  # fmt: skip
thinking_blocks = st.builds(
    lambda text: {"type": "thinking", "thinking": text, "signature": "c2ln"}, TEXTS
) | st.just({"type": "redacted_thinking", "data": "eHl6"})
tool_results = st.builds(
    lambda id_, content: {"type": "tool_result", "tool_use_id": id_, "content": content},
    NAMES, TEXTS | st.lists(text_blocks | image_blocks, min_size=2, max_size=3),
)  # fmt: skip


@st.composite
def user_turns(draw: st.DrawFn) -> dict[str, Any]:
    """A user turn: tool results first, as Anthropic wants them."""
    results = draw(st.lists(tool_results, max_size=2))
    least = 0 if results else 1
    blocks = draw(st.lists(user_blocks, min_size=least, max_size=3))
    return {"role": "user", "content": simple([*results, *blocks])}


# In any order: what OpenAI cannot say of it is kept beside.
assistant_turns = st.lists(text_blocks | tool_uses | thinking_blocks, min_size=1, max_size=4).map(
    lambda blocks: {"role": "assistant", "content": simple(blocks)}
)


def simple(blocks: list[dict[str, Any]]) -> Any:
    """One text as a string: the two ways of writing it mean the same."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def calls_in(blocks: list[dict[str, Any]]) -> bool:
    """Whether a tool is called."""
    return any(block["type"] == "tool_use" for block in blocks)


tools = st.builds(
    lambda name, description, schema: {
        "name": name,
        "description": description,
        "input_schema": {"type": "object", "properties": schema},
    },
    NAMES, TEXTS, OBJECTS,
)  # fmt: skip
params = st.fixed_dictionaries(
    {"max_tokens": COUNTS},
    optional={
        "system": TEXTS | st.lists(text_blocks, min_size=2, max_size=3),
        "temperature": st.floats(0, 1),
        "top_k": COUNTS,
        "stop_sequences": st.lists(TEXTS, min_size=1, max_size=2),
        "metadata": st.builds(lambda user: {"user_id": user}, NAMES),
        "tools": st.lists(tools, min_size=1, max_size=2),
        "tool_choice": st.sampled_from(
            [
                {"type": "auto"},
                {"type": "any", "disable_parallel_tool_use": True},
                {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
                {"type": "none"},
            ]
        ),
        "output_config": st.sampled_from(
            [
                {"effort": "medium"},
                {"format": {"type": "json_schema", "schema": {"type": "object"}}},
            ]
        ),
        "thinking": st.just({"type": "adaptive"}),
        "made_up": OBJECTS.filter(bool),
    },
)


@given(st.lists(st.tuples(user_turns(), assistant_turns), min_size=1, max_size=3), params)
def test_an_anthropic_request_comes_back_from_openai(
    turns: list[tuple[dict[str, Any], dict[str, Any]]], given_params: dict[str, Any]
) -> None:
    messages = tuple(turn for pair in turns for turn in pair)
    request = ChatRequest(messages=messages, params=given_params, dialect="anthropic")
    there = to_openai(request)
    json.dumps([*there.messages, there.params])
    back = to_anthropic(there, max_tokens=None)
    assert back.body == {"messages": list(messages), **given_params}
    assert back.dropped == ()


@given(st.lists(st.tuples(user_turns(), assistant_turns), min_size=1, max_size=3), params)
def test_an_openai_request_comes_back_from_anthropic(
    turns: list[tuple[dict[str, Any], dict[str, Any]]], given_params: dict[str, Any]
) -> None:
    messages = tuple(turn for pair in turns for turn in pair)
    start = to_openai(ChatRequest(messages=messages, params=given_params, dialect="anthropic"))
    body = to_anthropic(start, max_tokens=None).body
    rest = {name: value for name, value in body.items() if name != "messages"}
    again = to_openai(
        ChatRequest(messages=tuple(body["messages"]), params=rest, dialect="anthropic")
    )
    assert again == start


STOPS = ["end_turn", "max_tokens", "tool_use", "pause_turn", "model_context_window_exceeded"]
usages = st.fixed_dictionaries(
    {
        "input_tokens": COUNTS,
        "output_tokens": COUNTS,
        "cache_creation_input_tokens": COUNTS,
        "cache_read_input_tokens": COUNTS,
    },
    optional={"output_tokens_details": COUNTS.map(lambda count: {"thinking_tokens": count})},
)
natives = st.builds(
    lambda blocks, stop, usage: {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": blocks,
        # A turn with a call does not just end.
        "stop_reason": "tool_use" if stop == "end_turn" and calls_in(blocks) else stop,
        "stop_sequence": None,
        "usage": usage,
    },
    st.lists(text_blocks | tool_uses | thinking_blocks, min_size=1, max_size=5),
    st.sampled_from(STOPS),
    usages,
)


@given(natives)
def test_an_anthropic_reply_comes_back_from_openai(native: dict[str, Any]) -> None:
    reply = openai_reply(native, created=17)
    ChatCompletion.model_validate(reply)
    back = anthropic_reply(json.loads(json.dumps(reply)))
    Message.model_validate(back)
    assert back == native


calls = st.builds(
    lambda id_, name, given: {
        "id": id_,
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(given, ensure_ascii=False)},
    },
    NAMES, NAMES, OBJECTS,
)  # fmt: skip


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    """An OpenAI reply with text, calls or both."""
    content = draw(st.none() | TEXTS)
    message: dict[str, Any] = {"role": "assistant", "content": content}
    found = draw(st.lists(calls, min_size=0 if content else 1, max_size=3))
    if found:
        message["tool_calls"] = found
    ends = ["tool_calls", "length"] if found else ["stop", "length", "content_filter"]
    cached, written, fresh, output = (draw(COUNTS) for _ in range(4))
    prompt = cached + written + fresh
    return {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 17,
        "model": "gpt-x",
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": draw(st.sampled_from(ends)),
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        },
    }


@given(completions())
def test_an_openai_reply_comes_back_from_anthropic(reply: dict[str, Any]) -> None:
    native = anthropic_reply(reply)
    Message.model_validate(native)
    assert openai_reply(native, created=17) == reply
