"""What chat requests may hold, by field: good values, and some that only one provider takes."""

from __future__ import annotations

import base64
import math
from typing import Any, Final

__all__ = [
    "ANTHROPIC_FIELDS",
    "ANTHROPIC_MESSAGES",
    "OPENAI_FIELDS",
    "OPENAI_MESSAGES",
    "SMALLEST",
]

Json = dict[str, Any]

SMALLEST: Final[Json] = {
    "model": "small",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello?"}],
}
"""A request of either dialect."""

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris"]}},
    "required": ["city"],
    "additionalProperties": False,
}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CUSTOM_CALL = {"id": "c1", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
EPHEMERAL = {"type": "ephemeral", "ttl": "1h"}
NUMBERS = (0, 0.5, 1, 2, -1, 10**7, 10**30, 1e308)
USERS = ("ann", "", "u" * 256, "u" * 257, "\x00", "é")


def said(*parts: Any) -> Json:
    return {"role": "user", "content": list(parts)}


OPENAI_MESSAGES: Final[tuple[Json, ...]] = (
    SMALLEST["messages"][0],
    {"role": "user", "content": "What is 17 + 25?", "name": "ann"},
    {"role": "system", "content": "Be brief."},
    {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
    said({"type": "text", "text": "What is this?"}),
    said({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}),
    said({"type": "image_url", "image_url": {"url": "https://example.com/a", "detail": "low"}}),
    said({"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}}),
    said({"type": "file", "file": {"file_data": f"data:text/plain;base64,{PIXEL}"}}),
    said({"type": "file", "file": {"file_data": "https://example.com/a", "filename": "a.pdf"}}),
    said({"type": "file", "file": {"file_id": "f"}}),
    said({"type": "text", "text": "x", "cache_control": EPHEMERAL, "prompt_cache_breakpoint": 1}),
    {"role": "assistant", "content": None, "tool_calls": [CALL, CUSTOM_CALL]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "refusal": "No."},
    {"role": "assistant", "content": "x", "function_call": {"name": "f", "arguments": "{}"}},
    {"role": "assistant", "content": "x", "audio": {"id": "a"}, "annotations": []},
    {"role": "assistant", "content": "x", "thinking_blocks": [THOUGHT], "reasoning_content": "Hm."},
    {
        "role": "assistant",
        "content": "x",
        "tool_calls": [CALL],
        "anthropic_content": [{"type": "text", "text": "x"}, {**USE, "id": "c1"}],
    },
    {"role": "tool", "content": "42", "tool_call_id": "c1"},
    {"role": "tool", "content": [{"type": "text", "text": "42"}], "tool_call_id": "c1"},
    {"role": "function", "name": "f", "content": "1"},
)
_TOOLS = (
    {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}},
    {"type": "custom", "custom": {"name": "shell"}},
    {"type": "web_search"},
    {"name": "f", "input_schema": SCHEMA},
)
OPENAI_FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "tools": tuple([tool] for tool in _TOOLS),
    "tool_choice": (
        *("auto", "none", "required", "any"),
        {"type": "function", "function": {"name": "f"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
    ),
    "response_format": (
        *({"type": "text"}, {"type": "json_object"}),
        {"type": "json_schema", "json_schema": {"name": "c", "schema": SCHEMA, "strict": True}},
        {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}},
        {"type": "json_schema", "json_schema": {"schema": {"pattern": "(a+)+$"}}},
    ),
    "stop": ("\n", ["a", "b"]),
    "n": (1, 2, 0, 129),
    "logprobs": (True, False),
    "top_logprobs": (5,),
    "max_completion_tokens": NUMBERS,
    "temperature": NUMBERS,
    "top_p": NUMBERS,
    "seed": NUMBERS,
    "user": USERS,
    "metadata": ({"team": "a", "user_id": "ann"},),
    "stream_options": ({"include_usage": True}, {}),
    "service_tier": ("auto", "default", "flex", "priority", "x"),
    "reasoning_effort": ("none", "minimal", "low", "high", "xhigh", "x"),
    "parallel_tool_calls": (True, False),
    "logit_bias": ({"50256": -100},),
    "functions": ([{"name": "f", "parameters": SCHEMA}],),
    "function_call": ("auto", {"name": "f"}),
    "modalities": (["text"], ["text", "audio"]),
    "prediction": ({"type": "content", "content": "x"},),
    "safety_identifier": ("ann",),
    "output_config": ({"effort": "low"},),
    "anything_else": ({"a": [1, {"b": None}]},),
}


def block(kind: str, **fields: Any) -> Json:
    return said({"type": kind, **fields})


ANTHROPIC_MESSAGES: Final[tuple[Json, ...]] = (
    SMALLEST["messages"][0],
    block("text", text="What is 17 + 25?", cache_control=EPHEMERAL, citations=[]),
    block("image", source={"type": "base64", "media_type": "image/png", "data": PIXEL}),
    block("image", source={"type": "url", "url": "https://example.com/a"}),
    block("document", source={"type": "url", "url": "https://example.com/a", "media_type": "x"}),
    block("document", source={"type": "text", "media_type": "text/plain", "data": "hello"}),
    block("document", source={"type": "content", "content": []}, title="t"),
    block("document", source={"type": "file", "file_id": "f"}),
    block("tool_result", tool_use_id="t1", content="42", is_error=False),
    block("tool_result", tool_use_id="t1", content=[{"type": "text", "text": "42"}]),
    block("search_result", source="s", title="t", content=[]),
    block("hologram"),
    {"role": "assistant", "content": "Hello."},
    {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "x"}, USE]},
    {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]},
    {"role": "assistant", "content": [{**USE, "type": "server_tool_use"}]},
    {"role": "assistant", "content": [{**THOUGHT, "signature": ""}, {"type": "text", "text": "x"}]},
    {"role": "system", "content": "Be brief."},
)
ANTHROPIC_FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "max_tokens": (100, 1, 0, -1, 10**12, math.pi, "100"),
    "system": ("Be brief.", [{"type": "text", "text": "Be brief.", "cache_control": EPHEMERAL}]),
    "tools": (
        [{"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True}],
        [{"type": "web_search_20250305", "name": "web_search"}],
        [{"type": "custom", "name": "x", "input_schema": {}}],
    ),
    "tool_choice": (
        *({"type": kind} for kind in ("auto", "any", "none", "x")),
        {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    ),
    "stop_sequences": (["a", "b"],),
    "temperature": NUMBERS,
    "top_k": NUMBERS,
    "top_p": NUMBERS,
    "thinking": (
        {"type": "enabled", "budget_tokens": 1024},
        *({"type": "disabled"}, {"type": "adaptive"}),
    ),
    "metadata": tuple({"user_id": user} for user in USERS),
    "output_config": (
        {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        {"format": {"type": "json_schema", "schema": {"anyOf": [SCHEMA]}}},
    ),
    "service_tier": ("auto", "standard_only", "x"),
    "container": ("c", {"id": "c", "skills": []}),
    "mcp_servers": ([{"type": "url", "url": "https://example.com", "name": "m"}],),
    "cache_control": (EPHEMERAL,),
    "anything_else": ({"a": [1, {"b": None}]},),
}
