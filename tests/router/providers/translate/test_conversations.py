"""Conversations between the dialects: what each construct becomes, both ways."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import MessageParam
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from router.chat import ChatRequest
from router.providers.translate.request import Translated, to_anthropic, to_openai

USER = {"role": "user", "content": "Hello"}
CACHED = {"cache_control": {"type": "ephemeral"}}
PNG = "iVBORw0KGgo="


def ask(*messages: dict[str, Any], **params: Any) -> Translated:
    """The Anthropic body of an OpenAI request with a limit."""
    request = ChatRequest(messages=messages or (USER,), params=params)
    return to_anthropic(request, max_tokens=100)


def retell(*messages: dict[str, Any], **params: Any) -> ChatRequest:
    """The OpenAI request of an Anthropic one."""
    request = ChatRequest(messages=messages or (USER,), params=params, dialect="anthropic")
    return to_openai(request)


# (name, OpenAI message list, Anthropic message list): the same both ways.
ALIKE: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = [
    ("a text", [USER], [USER]),
    (
        "texts with a cache mark",
        [{"role": "user", "content": [{"type": "text", "text": "a", **CACHED}]}],
        [{"role": "user", "content": [{"type": "text", "text": "a", **CACHED}]}],
    ),
    (
        "an image in the message",
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                ],
            }
        ],
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                    },
                ],
            }
        ],
    ),
    (
        "an image elsewhere",
        [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b"}}],
            }
        ],
        [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "url", "url": "https://a.example/b"}}
                ],
            }
        ],
    ),
    (
        "a PDF",
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {
                            "file_data": "data:application/pdf;base64,JVBERi0=",
                            "filename": "a.pdf",
                        },
                    }
                ],
            }
        ],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {
                            "type": "base64",
                            "media_type": "application/pdf",
                            "data": "JVBERi0=",
                        },
                        "title": "a.pdf",
                    }
                ],
            }
        ],
    ),
    (
        "a text file without a title",
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {
                            "file_data": "data:text/plain;base64,Z3LDvG4=",
                            "filename": "document.txt",
                        },
                    }
                ],
            }
        ],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "grün"},
                    }
                ],
            }
        ],
    ),
    (
        "calls and their results, several in one turn, one an error, one with an image",
        [
            USER,
            {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city": "Köln"}'},
                    },
                    {
                        "id": "call_2",
                        "type": "function",
                        "function": {"name": "photo", "arguments": "{}"},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "no such", "is_error": True},
            {
                "role": "tool",
                "tool_call_id": "call_2",
                "content": [
                    {"type": "text", "text": "here"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                ],
            },
            {"role": "user", "content": [{"type": "text", "text": "And now?", **CACHED}]},
        ],
        [
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me see."},
                    {
                        "type": "tool_use",
                        "id": "call_1",
                        "name": "weather",
                        "input": {"city": "Köln"},
                    },
                    {"type": "tool_use", "id": "call_2", "name": "photo", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "call_1",
                        "content": "no such",
                        "is_error": True,
                    },
                    {
                        "type": "tool_result",
                        "tool_use_id": "call_2",
                        "content": [
                            {"type": "text", "text": "here"},
                            {
                                "type": "image",
                                "source": {
                                    "type": "base64",
                                    "media_type": "image/png",
                                    "data": PNG,
                                },
                            },
                        ],
                    },
                    {"type": "text", "text": "And now?", **CACHED},
                ],
            },
        ],
    ),
    (
        "thinking before a call",
        [
            USER,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "eHl6"},
                ],
            },
        ],
        [
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "eHl6"},
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
                ],
            },
        ],
    ),
]


@pytest.mark.parametrize(
    ("openai", "anthropic"), [row[1:] for row in ALIKE], ids=[row[0] for row in ALIKE]
)
def test_messages_say_the_same_in_both_dialects(openai: Any, anthropic: Any) -> None:
    assert ask(*openai).body["messages"] == anthropic
    assert list(retell(*anthropic).messages) == openai
    assert ask(*openai).dropped == ()


@pytest.mark.parametrize(
    ("openai", "anthropic"), [row[1:] for row in ALIKE], ids=[row[0] for row in ALIKE]
)
def test_translated_messages_are_what_the_official_clients_send(
    openai: Any, anthropic: Any
) -> None:
    for message in ask(*openai).body["messages"]:
        TypeAdapter(MessageParam).validate_python(message)
    for message in retell(*anthropic).messages:
        if isinstance(message.get("content"), list) and message["role"] == "tool":
            continue  # an image in a tool's result is beyond OpenAI's own types
        TypeAdapter(ChatCompletionMessageParam).validate_python(message)
