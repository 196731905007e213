"""Requests between the dialects: what each construct becomes, both ways."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import TypeAdapter

from router.chat import ChatRequest
from router.errors import ConfigError, InputError
from router.providers.translate.request import Translated, to_anthropic, to_openai

USER = {"role": "user", "content": "Hello"}
CACHED = {"cache_control": {"type": "ephemeral"}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLOSED = {**SCHEMA, "additionalProperties": False}


def ask(*messages: dict[str, Any], **params: Any) -> Translated:
    """The Anthropic body of an OpenAI request with a limit."""
    request = ChatRequest(messages=messages or (USER,), params=params)
    return to_anthropic(request, max_tokens=100)


def retell(*messages: dict[str, Any], **params: Any) -> ChatRequest:
    """The OpenAI request of an Anthropic one."""
    request = ChatRequest(messages=messages or (USER,), params=params, dialect="anthropic")
    return to_openai(request)


# (OpenAI parameters, Anthropic parameters): the same both ways.
PARAMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 7}, {"max_tokens": 7}),
    ({"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2, "top_p": 0.9}),
    ({"top_k": 5}, {"top_k": 5}),
    ({"stop": ["END", "###"]}, {"stop_sequences": ["END", "###"]}),
    ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
    ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
    ),
    ({"service_tier": "default"}, {"service_tier": "standard_only"}),
    ({"made_up": {"a": [1, None]}}, {"made_up": {"a": [1, None]}}),
    (
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "weather",
                        "description": "Of a city.",
                        "strict": True,
                        "parameters": SCHEMA,
                    },
                    **CACHED,
                }
            ]
        },
        {
            "tools": [
                {
                    "name": "weather",
                    "description": "Of a city.",
                    "strict": True,
                    "input_schema": SCHEMA,
                    **CACHED,
                }
            ]
        },
    ),
    (
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    ),
    ({"tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}),
    ({"tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
    ({"tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
    (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "tool", "name": "f"}},
    ),
    (
        {"tool_choice": "required", "parallel_tool_calls": False},
        {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
    ),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": CLOSED, "strict": True},
            }
        },
        {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
    ),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": False},
            },
            "reasoning_effort": "low",
        },
        {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}},
    ),
]


@pytest.mark.parametrize(("openai", "anthropic"), PARAMS)
def test_parameters_say_the_same_in_both_dialects(openai: Any, anthropic: Any) -> None:
    translated = ask(**openai)
    assert translated.dropped == ()
    assert translated.body == {"messages": [USER], "max_tokens": 100, **anthropic}
    assert dict(retell(**anthropic).params) == openai


def test_a_whole_body_is_what_the_official_client_sends() -> None:
    system = {"role": "system", "content": "Be brief."}
    tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
    choice = {"type": "function", "function": {"name": "f"}}
    body = ask(system, USER, tools=[tool], tool_choice=choice, reasoning_effort="low").body
    TypeAdapter(MessageCreateParamsNonStreaming).validate_python({**body, "model": "claude-x"})
    assert body["system"] == "Be brief."


def test_an_anthropic_request_passes_through_untouched() -> None:
    messages = ({"role": "user", "content": [{"type": "made_up", "x": None}]},)
    params = {"max_tokens": 5, "mcp_servers": [{"url": "https://a.example"}], "seed": 1}
    request = ChatRequest(messages=messages, params=params, dialect="anthropic")
    translated = to_anthropic(request, max_tokens=None)
    assert translated == Translated(body={"messages": list(messages), **params})
    assert to_openai(ChatRequest(messages=(USER,), params=params)).params is params


def test_the_callers_limit_goes_before_the_models() -> None:
    assert ask(max_completion_tokens=5).body["max_tokens"] == 5
    assert ask(max_tokens=6).body["max_tokens"] == 6
    assert ask().body["max_tokens"] == 100
    with pytest.raises(ConfigError, match="set max_tokens on the model"):
        to_anthropic(ChatRequest.of("Hi"), max_tokens=None)
    with pytest.raises(ConfigError, match="set max_tokens on the model"):
        to_anthropic(ChatRequest.of("Hi", dialect="anthropic"), max_tokens=None)


def test_what_changes_no_answer_is_left_out_and_named() -> None:
    translated = ask(
        {**USER, "name": "Ann"},
        seed=0,
        logprobs=True,
        top_logprobs=3,
        presence_penalty=0.5,
        frequency_penalty=0,
        store=False,
        stream_options={"include_usage": True},
        metadata={"project": "x", "user_id": "u"},
        service_tier="flex",
        response_format={"type": "json_object"},
        n=1,
        parallel_tool_calls=True,
    )
    assert set(translated.dropped) == {
        "messages[0].name",
        "logprobs",
        "metadata",
        "presence_penalty",
        "response_format",
        "seed",
        "service_tier",
        "top_logprobs",
    }
    user = {"user_id": "u"}
    assert translated.body == {"messages": [USER], "max_tokens": 100, "metadata": user}


def test_no_reasoning_and_the_least_of_it() -> None:
    assert ask(reasoning_effort="none").body["thinking"] == {"type": "disabled"}
    assert ask(reasoning_effort="minimal").body["output_config"] == {"effort": "low"}


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"n": 2}, "n"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
        ({"system": "Be brief."}, "system"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
        ({"tools": {"name": "c"}}, "tools"),
    ],
)
def test_what_anthropic_cannot_do_is_refused_by_name(params: Any, param: str) -> None:
    with pytest.raises(InputError) as caught:
        ask(**params)
    assert caught.value.param == param
    assert repr(param.partition("[")[0].partition(".")[0])[:-1] in str(caught.value)


def test_a_function_without_parameters_has_an_empty_schema() -> None:
    tools = ask(tools=[{"type": "function", "function": {"name": "f", "strict": None}}]).body
    schema = {"type": "object", "properties": {}}
    assert tools["tools"] == [{"name": "f", "input_schema": schema}]


def test_calls_in_turn_need_no_choice_but_tools() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert ask(tools=[tool], parallel_tool_calls=False).body["tool_choice"] == choice
    assert "tool_choice" not in ask(parallel_tool_calls=False).body
    none = ask(tools=[tool], tool_choice="none", parallel_tool_calls=False).body["tool_choice"]
    assert none == {"type": "none"}
