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
MISTRAL = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Capital of France?"}]},
    {"type": "text", "text": "Paris."},
]
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
    "Mistral, thinking": send_json(
        {
            "choices": [
                {"message": {"role": "assistant", "content": MISTRAL}, "finish_reason": "stop"}
            ]
        }
    ),
    "Mistral, thinking in chunks": send_events(
        {"choices": [{"delta": {"role": "assistant", "content": MISTRAL[:1]}}]},
        {"choices": [{"delta": {"content": "Paris."}}]},
        {"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]},
    ),
    "Groq": send_json(
        {
            "service_tier": "on_demand",
            "system_fingerprint": "fp_1",
            "x_groq": {"id": "req_1"},
            "usage": {"queue_time": 0.1, "prompt_tokens": 1, "completion_tokens": 2},
            "choices": [{"message": {"content": "Hi", "reasoning": "Hm."}, "logprobs": None}],
        }
    ),
    "Groq in chunks": send_events(
        {"service_tier": "on_demand", "choices": [{"delta": {"content": "Hi"}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "x_groq": {"usage": {}}},
    ),
    "OpenRouter, reading a file": send_json(
        {
            "provider": "Azure",
            "choices": [
                {
                    "native_finish_reason": "completed",
                    "message": {"content": "Hi", "annotations": [{"type": "file", "file": {}}]},
                }
            ],
        }
    ),
    "Together": send_json(
        {
            "prompt": [],
            "metadata": {"weight_version": {"default": 1}},
            "choices": [
                {
                    "message": {"content": "Hi", "tool_calls": []},
                    "logprobs": {"tokens": ["Hi"], "token_logprobs": [-0.1]},
                    "finish_reason": "eos",
                }
            ],
        }
    ),
    "no alternatives": send_json(
        {
            "choices": [
                {
                    "message": {"content": "Hi"},
                    "logprobs": {"content": [{"token": "Hi", "logprob": -0.1}]},
                }
            ]
        }
    ),
    "Moonshot, searching": send_json(
        {
            "choices": [
                {
                    "message": {
                        "tool_calls": [
                            {"id": "1", "type": "builtin_function", "function": {"name": "$search"}}
                        ]
                    }
                }
            ]
        }
    ),
    "bare call in chunks": send_events(
        {"choices": [{"delta": {"tool_calls": [BARE_CALL]}}]}, {"choices": [{"delta": None}]}
    ),
}


@pytest.fixture
def carrier() -> str:
    return "httptools"


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
