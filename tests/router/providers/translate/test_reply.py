"""Whole replies between the dialects; the official clients' own types parse each of them."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion

from router.providers.translate.reply import (
    anthropic_reply,
    anthropic_usage,
    openai_reply,
    openai_usage,
)
from router.providers.wire import WireError

USAGE = {
    "input_tokens": 10,
    "output_tokens": 7,
    "cache_creation_input_tokens": 5,
    "cache_read_input_tokens": 100,
    "service_tier": "standard",
}
TEXT = {"type": "text", "text": "Let me see."}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}}
THINKING = [
    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "eHl6"},
]


def native(*blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An Anthropic message."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(blocks),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **fields,
    }


def completion(message: dict[str, Any], finish_reason: str = "stop", **choice: Any) -> Any:
    """An OpenAI chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-x",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", **message},
                "finish_reason": finish_reason,
                **choice,
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }


def test_text_thinking_and_calls_become_a_chat_completion() -> None:
    reply = openai_reply(native(*THINKING, TEXT, CALL, stop_reason="tool_use"), created=17)
    assert reply == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 17,
        "model": "claude-x",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Let me see.",
                    "tool_calls": [
                        {
                            "id": "toolu_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city": "Köln"}'},
                        }
                    ],
                    "thinking_blocks": THINKING,
                    "reasoning_content": "Hm.",
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 115,
            "completion_tokens": 7,
            "total_tokens": 122,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 5},
            "service_tier": "standard",
        },
    }
    parsed = ChatCompletion.model_validate(reply)
    assert parsed.usage is not None
    assert parsed.usage.prompt_tokens_details is not None
    assert parsed.usage.prompt_tokens_details.cached_tokens == 100


MESSAGES = [
    native(TEXT),
    native(*THINKING, TEXT, CALL, stop_reason="tool_use"),
    native(CALL, stop_reason="tool_use"),
    native(TEXT, stop_reason="max_tokens"),
    native(TEXT, stop_reason="model_context_window_exceeded"),
    native(TEXT, stop_reason="pause_turn"),
    native(TEXT, stop_reason="stop_sequence", stop_sequence="END"),
    native(TEXT, stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"}),
    native(TEXT, usage={**USAGE, "output_tokens_details": {"thinking_tokens": 4}}),
    # An order that OpenAI has no way to say:
    native(TEXT, CALL, {**TEXT, "text": "Done."}, stop_reason="tool_use"),
    native({**TEXT, "citations": []}, {**TEXT, "text": "Twice."}),
    native(TEXT, container={"id": "c", "expires_at": "2026-01-01T00:00:00Z"}),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_comes_back_as_it_was(message: dict[str, Any]) -> None:
    reply = openai_reply(message, created=17)
    ChatCompletion.model_validate(reply)
    assert anthropic_reply(reply) == message
    Message.model_validate(anthropic_reply(reply))


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("made_up_later", "stop"),
    ],
)
def test_each_stop_reason_has_a_finish_reason(stop_reason: str, finish_reason: str) -> None:
    reply = openai_reply(native(TEXT, stop_reason=stop_reason), created=17)
    assert reply["choices"][0]["finish_reason"] == finish_reason


@pytest.mark.parametrize(
    ("reply", "stop"),
    [
        (completion({"content": "a"}), ("end_turn", None)),
        (completion({"content": "a"}, "length"), ("max_tokens", None)),
        (completion({"content": "a"}, "content_filter"), ("refusal", None)),
        (completion({"content": None, "refusal": "No."}), ("refusal", None)),
        (completion({"content": "a"}, stop_reason="###"), ("stop_sequence", "###")),
        (completion({"content": "a"}, stop_reason=None), ("end_turn", None)),
        (completion({"content": "a"}, "odd"), ("end_turn", None)),
    ],
)
def test_each_finish_reason_has_a_stop_reason(reply: Any, stop: tuple[str, str | None]) -> None:
    message = anthropic_reply(reply)
    Message.model_validate(message)
    assert (message["stop_reason"], message["stop_sequence"]) == stop
    assert message["id"] == "msg_chatcmpl-1"


def call(arguments: str) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {"content": None, "tool_calls": [{"id": "c", "type": "function", "function": function}]}


def test_a_demanded_call_that_ends_in_stop_is_tool_use() -> None:
    message = anthropic_reply(completion(call('{"a": 1}')))
    assert message["stop_reason"] == "tool_use"
    assert message["content"] == [{"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]


def test_arguments_that_are_no_object_are_an_error_unless_the_answer_broke_off() -> None:
    with pytest.raises(WireError, match=r"tool_calls\[0\]\.function\.arguments") as caught:
        anthropic_reply(completion(call('{"a": 1'), "tool_calls"))
    assert '{"a"' not in str(caught.value)
    message = anthropic_reply(completion(call('{"a": 1'), "length"))
    Message.model_validate(message)
    assert message["content"][0]["partial_json"] == '{"a": 1'
    again = openai_reply(message, created=17)["choices"][0]
    assert again["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": 1'
    with pytest.raises(WireError, match="tool_use"):
        openai_reply({**message, "stop_reason": "tool_use"}, created=17)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_becomes_thinking_that_nobody_signed(name: str) -> None:
    message = anthropic_reply(completion({"content": "4", name: "2 + 2"}))
    Message.model_validate(message)
    assert message["content"] == [
        {"type": "thinking", "thinking": "2 + 2", "signature": ""},
        {"type": "text", "text": "4"},
    ]


def test_a_message_that_did_not_stop_is_an_error() -> None:
    with pytest.raises(WireError, match="stop_reason"):
        openai_reply(native(TEXT, stop_reason=None), created=17)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"input_tokens": 1},
        {"input_tokens": -1, "output_tokens": 1},
        {**USAGE, "input_tokens": "9"},
    ],
)
def test_counts_that_make_no_sense_are_left_out(usage: Any) -> None:
    assert openai_usage(usage) is None
    assert "usage" not in openai_reply(native(TEXT, usage=usage), created=17)


def test_counts_of_openai_are_parted_as_anthropic_counts_them() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 8},
    }
    assert anthropic_usage(usage) == {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 60,
        "output_tokens_details": {"thinking_tokens": 8},
    }
    assert openai_usage(anthropic_usage(usage)) == usage
    assert anthropic_usage(None)["output_tokens"] == 0
