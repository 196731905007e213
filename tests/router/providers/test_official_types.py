"""The official client's response types parse every reply and every chunk."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.upstream import (
    Behaviour,
    Upstream,
    answer,
    answer_anthropic,
    send_events,
    send_json,
    stream,
)

from .conftest import Ask
from .test_client import CALLS

BARE_CALL = {"function": {"name": "now", "arguments": None}}
REPLIES = {
    "text": answer("Paris."),
    "cut text": stream(["Par", "is", "."]),
    "tool calls": answer(None, tool_calls=CALLS),
    "text and calls": answer("Let me see.", tool_calls=CALLS),
    "logprobs": answer("Paris.", logprobs=(-0.1, -2.5)),
    "length": answer("Paris", finish_reason="length"),
    "a reason of its own": answer("Paris.", finish_reason="eos_token"),
    "no usage": answer("Paris.", usage=None),
    "usage without total": answer("Hi", usage={"prompt_tokens": 1, "completion_tokens": 2}),
    "details": answer(
        "Hi",
        usage={
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 5},
            "completion_tokens_details": "none",
        },
    ),
    "bare": send_json({"choices": [{"message": {"content": "Hi"}}]}),
    "bare call": send_json({"choices": [{"message": {"tool_calls": [BARE_CALL]}}]}),
    "call with an object": send_json(
        {"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}}]}
    ),
    "bare chunks": send_events(
        {"choices": [{"delta": {"role": "", "content": "Hi"}}]},
        {"choices": [{"finish_reason": "STOP"}]},
        {"usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ),
    "bare call in chunks": send_events(
        {"choices": [{"delta": {"tool_calls": [BARE_CALL]}}]}, {"choices": [{"delta": None}]}
    ),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("params", [{}, {"logprobs": True}], ids=["", "with logprobs"])
async def test_of_openai(asking: Ask, reply: Behaviour, params: dict[str, Any]) -> None:
    with Upstream(reply) as upstream:
        async with asking(upstream) as ask:
            result = await ask(params)
    parsed = ChatCompletion.model_validate(result.reply)
    assert (parsed.choices[0].message.content or "") == result.text
    assert len(parsed.choices[0].message.tool_calls or ()) == len(result.tool_calls)
    chunks = [ChatCompletionChunk.model_validate(delta.chunk) for delta in ask.deltas]
    pieces = (choice.delta.content for chunk in chunks for choice in chunk.choices)
    assert "".join(piece or "" for piece in pieces) == result.text * ask.streaming


async def test_of_openai_from_anthropic(asking: Ask) -> None:
    with Upstream(answer_anthropic("Paris.")) as upstream:
        async with asking(upstream.origin, provider="anthropic", max_tokens=100) as ask:
            result = await ask()
    assert ChatCompletion.model_validate(result.reply).choices[0].message.content == "Paris."
    chunks = [ChatCompletionChunk.model_validate(delta.chunk) for delta in ask.deltas]
    assert bool(chunks) is ask.streaming
