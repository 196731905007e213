"""Requests between the dialects: OpenAI's chat completions and Anthropic's messages, both ways.

Fields with a counterpart are translated, unknown ones pass through untouched. What OpenAI can say
and Anthropic cannot is refused where its loss would change what the answer is, and named in
`Translated.dropped` where it would not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...chat import ChatRequest
from ...errors import ConfigError, InputError
from .content import Json, list_at, object_at, sort_out
from .messages import THINKING_TYPES, to_openai_messages, to_turns
from .tools import to_openai_choice, to_openai_tools, to_tool_choice, to_tools

__all__ = ["Translated", "to_anthropic", "to_openai"]

# OpenAI's parameters without which the answer would be another one than was asked for.
_REFUSED: Final = (
    "audio",
    "function_call",
    "functions",
    "logit_bias",
    "web_search_options",
)
# Those without which it is still an answer to what was asked.
_DROPPED: Final = (
    "frequency_penalty",
    "logprobs",
    "moderation",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "seed",
    "store",
    "top_logprobs",
    "verbosity",
)
# Translated below, or about OpenAI's stream only (Anthropic always reports usage).
_TRANSLATED: Final = (
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "n",
    "output_config",
    "parallel_tool_calls",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "service_tier",
    "stop",
    "stream_options",
    "tool_choice",
    "tools",
    "user",
)
_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_TIERS: Final = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


@dataclass(frozen=True, kw_only=True)
class Translated:
    """A body for Anthropic without `model` and `stream`, and the names of what could not be said
    in it ("seed", "messages[1].name")."""

    body: dict[str, Any]
    dropped: tuple[str, ...] = ()


def to_anthropic(request: ChatRequest, *, max_tokens: int | None) -> Translated:
    """Anthropic's body for a request; one in the Anthropic dialect passes through untouched, but
    for thinking that Anthropic has not signed, which it would refuse.

    `max_tokens` is the model's own limit, sent when the caller set none. Raises ConfigError when
    neither is known, and InputError naming a field that Anthropic cannot take.
    """
    dropped: list[str] = []
    if request.dialect == "anthropic":
        messages = _without_unsigned(request.messages, dropped)
        body = {"messages": messages, **request.params}
        return Translated(body=_limited(body, max_tokens), dropped=tuple(dropped))
    params = {name: value for name, value in request.params.items() if value is not None}
    _refuse(params)
    system, turns = to_turns(request.messages, dropped)
    body = {"messages": turns, **sort_out(params, *_REFUSED, *_DROPPED, *_TRANSLATED)}
    if system:
        body["system"] = system
    limit = params.get("max_completion_tokens", params.get("max_tokens"))
    if limit is not None:
        body["max_tokens"] = limit
    _translate_tools(params, body)
    _translate_output(params, body, dropped)
    _translate_rest(params, body, dropped)
    dropped.extend(n for n in _DROPPED if n in params and (params[n] or n == "seed"))
    return Translated(body=_limited(body, max_tokens), dropped=tuple(dropped))


def to_openai(request: ChatRequest) -> ChatRequest:
    """The same request in the OpenAI dialect, everything kept: what OpenAI has no field for
    (cache_control, thinking, top_k) stays under Anthropic's name.

    Raises InputError naming a block that OpenAI has no part for.
    """
    if request.dialect == "openai":
        return request
    given = {name: value for name, value in request.params.items() if value is not None}
    params = sort_out(
        given, "metadata", "output_config", "service_tier", "stop_sequences", "system",
        "tool_choice", "tools",
    )  # fmt: skip
    if "tools" in given:
        params["tools"] = to_openai_tools(given["tools"])
    if "tool_choice" in given:
        params["tool_choice"], parallel = to_openai_choice(given["tool_choice"])
        if parallel is not None:
            params["parallel_tool_calls"] = parallel
    if "stop_sequences" in given:
        params["stop"] = list(list_at(given["stop_sequences"], "stop_sequences"))
    metadata = dict(object_at(given.get("metadata", {}), "metadata"))
    if metadata.get("user_id") is not None:
        params["user"] = metadata.pop("user_id")
    if metadata:
        params["metadata"] = metadata
    if "service_tier" in given:
        tier = given["service_tier"]
        params["service_tier"] = "default" if tier == "standard_only" else tier
    output = dict(object_at(given.get("output_config", {}), "output_config"))
    if output.get("effort") is not None:
        params["reasoning_effort"] = output.pop("effort")
    if output.get("format") is not None:
        params["response_format"] = _response_format(output.pop("format"))
    if output:
        params["output_config"] = output
    messages = to_openai_messages(given.get("system"), request.messages)
    return ChatRequest(messages=tuple(messages), params=params)


def _limited(body: Json, max_tokens: int | None) -> Json:
    if body.get("max_tokens") is not None:
        return body
    if max_tokens is None:
        raise ConfigError(
            "Anthropic demands a limit of output tokens, and neither the call nor the model has "
            "one; set max_tokens on the model",
            param="max_tokens",
        )
    return {**body, "max_tokens": max_tokens}


def _refuse(params: Mapping[str, Any]) -> None:
    for name in _REFUSED:
        if params.get(name):
            raise InputError(f"Anthropic has no parameter '{name}'", param=name)
    if params.get("n", 1) != 1:
        raise InputError("'n' must be 1: Anthropic gives one answer a call", param="n")
    if "system" in params:
        raise InputError("'system' is a message in the OpenAI dialect", param="system")
    if list(params.get("modalities", ["text"])) != ["text"]:
        raise InputError("'modalities' must be text: Anthropic answers in text", param="modalities")


def _translate_tools(params: Mapping[str, Any], body: Json) -> None:
    if "tools" in params:
        body["tools"] = to_tools(params["tools"])
    choice = to_tool_choice(
        params.get("tool_choice"),
        params.get("parallel_tool_calls"),
        has_tools=bool(params.get("tools")),
    )
    if choice is not None:
        body["tool_choice"] = choice


def _translate_output(params: Mapping[str, Any], body: Json, dropped: list[str]) -> None:
    """Effort and format go into output_config, what the caller put there himself included."""
    output = dict(object_at(params.get("output_config", {}), "output_config"))
    effort = params.get("reasoning_effort")
    if effort == "none":
        body.setdefault("thinking", {"type": "disabled"})
    elif effort == "minimal":
        output["effort"] = "low"  # Anthropic's least
    elif effort is not None:
        if effort not in _EFFORTS:
            expected = ", ".join(("none", "minimal", *_EFFORTS))
            raise InputError(
                f"'reasoning_effort' must be one of {expected}", param="reasoning_effort"
            )
        output["effort"] = effort
    response_format = object_at(params.get("response_format", {}), "response_format")
    kind = response_format.get("type")
    if kind == "json_schema":
        where = "response_format.json_schema"
        wanted = object_at(response_format.get("json_schema"), where)
        schema = object_at(wanted.get("schema"), f"{where}.schema")
        output["format"] = {"type": "json_schema", "schema": schema}
    elif kind == "json_object":
        # OpenAI takes it only where the messages ask for JSON, so the model is told all the same.
        dropped.append("response_format")
    elif kind not in (None, "text"):
        raise InputError(
            "'response_format.type' must be text, json_object or json_schema",
            param="response_format.type",
        )
    if output:
        body["output_config"] = output


def _translate_rest(params: Mapping[str, Any], body: Json, dropped: list[str]) -> None:
    if "stop" in params:
        stop = params["stop"]
        body["stop_sequences"] = [stop] if isinstance(stop, str) else list(list_at(stop, "stop"))
    metadata = object_at(params.get("metadata", {}), "metadata")
    users = [params.get("user"), metadata.get("user_id"), params.get("safety_identifier")]
    user = next((item for item in users if item is not None), None)
    if user is not None:
        body["metadata"] = {"user_id": user}
    if metadata.keys() - {"user_id"}:
        dropped.append("metadata")  # labels kept at OpenAI
    if params.get("safety_identifier") not in (None, user):
        dropped.append("safety_identifier")
    tier = params.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        body["service_tier"] = _TIERS[tier]
    elif tier is not None:
        dropped.append("service_tier")


def _response_format(wanted: Any) -> Json:
    wanted = object_at(wanted, "output_config.format")
    schema = object_at(wanted.get("schema"), "output_config.format.schema")
    json_schema = {"name": "answer", "schema": schema, "strict": _fits_strict(schema)}
    return {"type": "json_schema", "json_schema": json_schema}


def _fits_strict(schema: Any) -> bool:
    """Whether OpenAI takes a schema as strict: every object closed, every property required."""
    if isinstance(schema, list):
        return all(_fits_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, Mapping):
        if schema.get("additionalProperties") is not False:
            return False
        required = schema.get("required") or ()
        if sorted(properties or ()) != sorted(map(str, required)):
            return False
    return all(_fits_strict(item) for item in schema.values())


def _without_unsigned(
    messages: tuple[Mapping[str, Any], ...], dropped: list[str]
) -> list[Mapping[str, Any]]:
    """Thinking without a signature is another provider's, shown to the caller by a translation."""
    kept: list[Mapping[str, Any]] = []
    for index, message in enumerate(messages):
        content = message.get("content")
        if not isinstance(content, list) or not any(map(_is_unsigned, content)):
            kept.append(message)
            continue
        dropped.append(f"messages[{index}].content")
        signed = [block for block in content if not _is_unsigned(block)]
        if signed:
            kept.append({**message, "content": signed})
    return kept


def _is_unsigned(block: Any) -> bool:
    return (
        isinstance(block, Mapping)
        and block.get("type") == THINKING_TYPES[0]
        and not block.get("signature")
    )
