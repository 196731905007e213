"""Bodies of chat requests, nearly right: what clients send, with things in it that they do not."""

from __future__ import annotations

import base64
import math
from typing import Any

from hypothesis import strategies as st

from tests.serving.hardening.hardened_gateway import CASCADES, MODELS
from tests.serving.hardening.values import ANYTHING, JUNK, TEXT, spoilt

__all__ = ["ANTHROPIC_BODIES", "OPENAI_BODIES"]

Json = dict[str, Any]

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
IDS = st.sampled_from(["c1", "c2", "toolu_1", ""])
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
ARGUMENTS = st.sampled_from(['{"city": "Paris"}', "{}", "", "[1]", '{"city": ', "null"])
STREAM = st.sampled_from([True, True, False, False, None])
NUMBER = st.floats(0, 2) | st.integers(-5, 10**7) | st.sampled_from([10**30, -1, 0, 1e308])
USER = st.sampled_from(["ann", "", "u" * 256, "u" * 257, "\x00", "é"]) | TEXT


def model_names() -> st.SearchStrategy[str]:
    known = ("auto", *CASCADES, *MODELS)
    return st.sampled_from((*known, *known, "embed", "sluice-encoder", "nobody", " ", "")) | TEXT


def some_of(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Json]:
    """A few of the fields, as nearly all requests have few."""
    names = st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=5)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: fields[name] for name in chosen})
    )


# -- OpenAI's ---------------------------------------------------------------------------------

URL = st.sampled_from(
    [f"data:image/png;base64,{PIXEL}", "https://example.com/a.png", "data:,", "x"]
)
IMAGE = st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, URL)
TEXT_PART = st.builds(lambda text: {"type": "text", "text": text}, TEXT)
OTHER_PART = st.sampled_from(
    [
        {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
        {"type": "file", "file": {"file_data": PIXEL, "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "refusal", "refusal": "No."},
        {"type": "image_url", "image_url": PIXEL},
        {"type": "video"},
    ]
)
CONTENT = TEXT | st.lists(TEXT_PART | IMAGE | OTHER_PART, max_size=3)
CALL = st.builds(
    lambda call_id, name, arguments: {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    IDS,
    st.sampled_from(["weather", ""]),
    ARGUMENTS,
)
CUSTOM_CALL = st.just({"id": "c1", "type": "custom", "custom": {"name": "shell", "input": "ls"}})
OPENAI_MESSAGE = st.one_of(
    st.fixed_dictionaries({"role": st.just("user"), "content": CONTENT}),
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer"]), "content": CONTENT}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": CONTENT | st.none()},
        optional={
            "tool_calls": st.lists(CALL | CUSTOM_CALL, max_size=2),
            "refusal": st.none() | TEXT,
            "function_call": st.just({"name": "f", "arguments": "{}"}),
            "audio": st.just({"id": "a"}),
            "reasoning_content": TEXT,
            "thinking_blocks": st.just([{"type": "thinking", "thinking": "x", "signature": "s"}]),
            "anthropic_content": st.just([{"type": "text", "text": "x"}]),
        },
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "content": CONTENT, "tool_call_id": IDS}),
    st.just({"role": "function", "name": "f", "content": "1"}),
)
OPENAI_TOOL = st.sampled_from(
    [
        {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}},
        {"type": "function", "function": {"name": "weather", "strict": True}},
        {"type": "function", "function": {}},
        {"type": "custom", "custom": {"name": "shell"}},
        {"type": "web_search"},
        {"type": "function"},
        {},
    ]
)
OPENAI_PARAMS = some_of(
    {
        "tools": st.lists(OPENAI_TOOL, max_size=3),
        "tool_choice": st.sampled_from(
            [
                *("auto", "none", "required", "any"),
                {"type": "function", "function": {"name": "weather"}},
                {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
                {},
            ]
        ),
        "response_format": st.sampled_from(
            [
                *({"type": "text"}, {"type": "json_object"}, {"type": "json_schema"}, {}),
                {"type": "json_schema", "json_schema": {"name": "c", "schema": SCHEMA}},
                {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}},
                {"type": "json_schema", "json_schema": {"schema": {"pattern": "(a+)+$"}}},
            ]
        ),
        "stop": TEXT | st.lists(TEXT, max_size=5),
        "n": st.sampled_from([1, 2, 0, -1, 129]),
        "logprobs": st.booleans(),
        "top_logprobs": st.integers(-1, 21),
        "max_tokens": NUMBER,
        "max_completion_tokens": NUMBER,
        "temperature": NUMBER,
        "top_p": NUMBER,
        "seed": NUMBER,
        "user": USER,
        "metadata": st.dictionaries(TEXT, TEXT, max_size=2),
        "stream_options": st.sampled_from([{"include_usage": True}, {}, None]),
        "service_tier": st.sampled_from(["auto", "default", "flex", "priority", "x"]),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "high", "xhigh", "x"]),
        "parallel_tool_calls": st.booleans(),
        "logit_bias": st.just({"50256": -100}),
        "functions": st.just([{"name": "f", "parameters": SCHEMA}]),
        "function_call": st.sampled_from(["auto", {"name": "f"}]),
        "modalities": st.just(["text", "audio"]),
        "prediction": st.just({"type": "content", "content": "x"}),
        "api_base": TEXT,
        "anything_else": JUNK,
    }
)

# -- Anthropic's ------------------------------------------------------------------------------

SOURCE = st.sampled_from(
    [
        {"type": "base64", "media_type": "image/png", "data": PIXEL},
        {"type": "url", "url": "https://example.com/a.png"},
        {"type": "file", "file_id": "f"},
        {"type": "text", "media_type": "text/plain", "data": "hello"},
        {},
    ]
)
CACHED = {
    "cache_control": st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])
}
BLOCK = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}, optional=CACHED),
    st.fixed_dictionaries({"type": st.sampled_from(["image", "document"]), "source": SOURCE}),
    st.fixed_dictionaries(
        {"type": st.just("tool_use"), "id": IDS, "name": TEXT, "input": st.just({}) | JUNK}
    ),
    st.fixed_dictionaries(
        {"type": st.just("tool_result"), "tool_use_id": IDS},
        optional={
            "content": TEXT | st.just([{"type": "text", "text": "1"}]),
            "is_error": st.booleans(),
        },
    ),
    st.sampled_from(
        [
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "search_result", "source": "s", "title": "t", "content": []},
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
            {"type": "hologram"},
        ]
    ),
)
ANTHROPIC_MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "user", "assistant", "system"]),
        "content": TEXT | st.lists(BLOCK, max_size=3),
    }
)
ANTHROPIC_PARAMS = some_of(
    {
        "system": TEXT | st.lists(st.builds(lambda t: {"type": "text", "text": t}, TEXT)),
        "tools": st.lists(
            st.sampled_from(
                [
                    {"name": "weather", "input_schema": SCHEMA},
                    {"name": "weather", "description": "d", "input_schema": {}},
                    {"type": "web_search_20250305", "name": "web_search"},
                    {"type": "custom", "name": "x", "input_schema": SCHEMA, "strict": True},
                    {},
                ]
            ),
            max_size=3,
        ),
        "tool_choice": st.sampled_from(
            [{"type": kind} for kind in ("auto", "any", "none", "tool", "x")]
            + [{"type": "tool", "name": "weather", "disable_parallel_tool_use": True}]
        ),
        "stop_sequences": st.lists(TEXT, max_size=3),
        "temperature": NUMBER,
        "top_k": NUMBER,
        "top_p": NUMBER,
        "thinking": st.sampled_from(
            [{"type": "enabled", "budget_tokens": 1024}, {"type": "disabled"}, {"type": "adaptive"}]
        ),
        "metadata": st.builds(lambda user: {"user_id": user}, USER),
        "output_config": st.sampled_from([{"effort": "low"}, {"format": {"type": "json_schema"}}]),
        "service_tier": st.sampled_from(["auto", "standard_only", "x"]),
        "container": TEXT,
        "mcp_servers": st.just([]),
        "api_key": TEXT,
        "anything_else": JUNK,
    }
)
LIMIT = st.sampled_from([100, 100, 1, 0, -1, 10**12, math.pi, "100", None])


def _bodies(
    message: st.SearchStrategy[Any], params: st.SearchStrategy[Json], **more: Any
) -> st.SearchStrategy[Any]:
    fields = {
        "model": model_names(),
        "messages": st.lists(message, min_size=1, max_size=4),
        **more,
    }
    whole = st.builds(
        lambda body, extra: {**extra, **body},
        st.fixed_dictionaries(fields, optional={"stream": STREAM}),
        params,
    )
    return st.one_of(whole, whole, spoilt(whole), ANYTHING)


OPENAI_BODIES = _bodies(OPENAI_MESSAGE, OPENAI_PARAMS)
ANTHROPIC_BODIES = _bodies(ANTHROPIC_MESSAGE, ANTHROPIC_PARAMS, max_tokens=LIMIT)
