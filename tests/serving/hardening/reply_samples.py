"""What providers' replies may hold: all fields of a whole one, and of the events of a stream."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["REPLIES", "STREAMS"]

Json = dict[str, Any]

_TOKEN = {"token": "Paris", "logprob": -0.1, "bytes": [80], "top_logprobs": []}
_LOGPROBS = {"content": [{**_TOKEN, "top_logprobs": [_TOKEN]}], "refusal": None}
_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
_CITATION = {"start_index": 0, "end_index": 1, "title": "t", "url": "https://example.com"}
_USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 5,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 1},
    "prompt_cache_hit_tokens": 2,
}
_HEAD = {
    "id": "c",
    "created": 1_700_000_000,
    "model": "m",
    "service_tier": "default",
    "system_fingerprint": "f",
}
_COMPLETION: Json = {
    **_HEAD,
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Paris",
                "refusal": None,
                "reasoning_content": "Hm.",
                "annotations": [{"type": "url_citation", "url_citation": _CITATION}],
                "tool_calls": [_CALL],
            },
            "logprobs": _LOGPROBS,
            "finish_reason": "tool_calls",
            "stop_reason": "x",
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": "London"},
            "finish_reason": "stop",
        },
    ],
    "usage": _USAGE,
}
_PARTS: Json = {
    **_HEAD,
    "choices": [
        {
            "index": 0,
            "message": {
                "content": [{"type": "text", "text": "Paris"}],
                "function_call": {"name": "f", "arguments": "{}"},
                "audio": {"id": "a", "data": "x", "transcript": "y", "expires_at": 1},
                "tool_calls": [
                    {"id": "c2", "type": "custom", "custom": {"name": "s", "input": ""}}
                ],
            },
            "finish_reason": "stop",
        }
    ],
}
_MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "Paris", "citations": [{"type": "char_location"}]},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        {"type": "server_tool_use", "id": "t2", "name": "web_search", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 12,
        "output_tokens": 5,
        "cache_creation_input_tokens": 1,
        "cache_read_input_tokens": 2,
        "cache_creation": {"ephemeral_1h_input_tokens": 1},
        "output_tokens_details": {"thinking_tokens": 1},
    },
    "container": {"id": "c"},
}
REPLIES: Final[dict[str, tuple[Json, ...]]] = {
    "openai": (_COMPLETION, _PARTS),
    "anthropic": (_MESSAGE,),
}
"""By the format that the provider speaks."""


def _chunk(delta: Json, finish_reason: str | None = None, **more: Any) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, **more}
    return {**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}


def _call(**fields: Any) -> Json:
    return {"tool_calls": [{"index": 0, **fields}]}


_CHUNKS = (
    _chunk({"role": "assistant", "content": "", "reasoning_content": "Hm."}),
    _chunk({"content": "Paris"}, logprobs=_LOGPROBS),
    _chunk(_call(id="c1", type="function", function={"name": "f", "arguments": ""})),
    _chunk(_call(function={"arguments": '{"a": 1}'})),
    _chunk({}, "tool_calls"),
    {**_chunk({}), "choices": [], "usage": _USAGE},
)


def _block(index: int, empty: Json, delta: Json) -> tuple[Json, ...]:
    return (
        {"type": "content_block_start", "index": index, "content_block": empty},
        {"type": "content_block_delta", "index": index, "delta": delta},
        {"type": "content_block_stop", "index": index},
    )


_EVENTS = (
    {"type": "message_start", "message": {**_MESSAGE, "content": [], "stop_reason": None}},
    *_block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "signature_delta", "signature": "s"},
    ),
    *_block(
        1,
        {"type": "text", "text": "", "citations": []},
        {"type": "text_delta", "text": "Paris"},
    ),
    *_block(
        2,
        {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"a": 1}'},
    ),
    *_block(
        3,
        {"type": "text", "text": "x", "citations": []},
        {"type": "citations_delta", "citation": {"type": "char_location"}},
    ),
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 5},
    },
    {"type": "message_stop"},
)
STREAMS: Final[dict[str, tuple[Json, ...]]] = {"openai": _CHUNKS, "anthropic": _EVENTS}
"""The events of one stream, likewise."""
