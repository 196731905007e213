"""Bodies for servers that refuse what OpenAI's API does not know."""

from __future__ import annotations

import json

from router.chat import ChatRequest
from router.providers.translate.openai_body import to_openai_body

CACHED = {"cache_control": {"type": "ephemeral"}}


def test_an_openai_request_passes_through_untouched() -> None:
    messages = ({"role": "user", "content": "Hi", "made_up": None},)
    request = ChatRequest(messages=messages, params={"top_k": 3, "made_up": 1})
    translated = to_openai_body(request)
    assert translated.body == {"messages": list(messages), "top_k": 3, "made_up": 1}
    assert translated.dropped == ()


def test_what_a_translated_reply_brought_along_is_left_out() -> None:
    reply = {
        "role": "assistant",
        "content": "4",
        "reasoning_content": "2 + 2",
        "thinking_blocks": [{"type": "thinking", "thinking": "2 + 2", "signature": "c2ln"}],
    }
    others = {"role": "assistant", "content": "5", "reasoning_content": "kept"}
    request = ChatRequest(messages=({"role": "user", "content": "2 + 2?"}, reply, others))
    translated = to_openai_body(request)
    assert translated.body["messages"][1:] == [{"role": "assistant", "content": "4"}, others]
    assert translated.dropped == ("reasoning_content", "thinking_blocks")


def test_what_only_anthropic_takes_is_left_out_and_named() -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "is_error": True,
        "content": [
            {"type": "text", "text": "seen"},
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b"}},
        ],
    }
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}, **CACHED}
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    request = ChatRequest(
        messages=(
            {"role": "user", "content": [{"type": "text", "text": "Look.", **CACHED}]},
            {"role": "assistant", "content": [thinking, call]},
            {"role": "user", "content": [result]},
        ),
        params={
            "max_tokens": 9,
            "system": [{"type": "text", "text": "Be brief.", **CACHED}],
            "thinking": {"type": "adaptive"},
            "top_k": 4,
            "tools": [{"name": "f", "input_schema": {"type": "object"}, **CACHED}],
            "made_up": 1,
        },
        dialect="anthropic",
    )
    translated = to_openai_body(request, limit="max_completion_tokens")
    function = {"name": "f", "parameters": {"type": "object"}}
    arguments = json.dumps({"a": 1})
    image = {"type": "image_url", "image_url": {"url": "https://a.example/b"}}
    assert translated.body == {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": [{"type": "text", "text": "Look."}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "f", "arguments": arguments},
                    }
                ],
            },
            {
                "role": "tool",
                "tool_call_id": "toolu_1",
                "content": [{"type": "text", "text": "seen"}],
            },
            {"role": "user", "content": [image]},
        ],
        "max_completion_tokens": 9,
        "tools": [{"type": "function", "function": function}],
        "made_up": 1,
    }
    assert translated.dropped == (
        "cache_control",
        "is_error",
        "thinking",
        "thinking_blocks",
        "top_k",
    )
