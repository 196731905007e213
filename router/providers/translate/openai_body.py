"""The body for a server that refuses what OpenAI's API does not know, as OpenAI's own does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from ...chat import ChatRequest
from .content import Json, sort_out
from .request import Translated, to_openai

__all__ = ["LimitName", "to_openai_body", "with_images_apart"]

LimitName = Literal["max_completion_tokens", "max_tokens"]

# Anthropic's fields that `to_openai` keeps, by the place where they stand.
_PARAMS: Final = (
    "betas",
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "mcp_servers",
    "metadata",
    "output_config",
    "speed",
    "thinking",
    "top_k",
    "user_profile_id",
    "workspace_id",
)
_OF_PARTS: Final = ("cache_control", "citations", "context", "transformations")
_OF_MESSAGES: Final = ("anthropic_content", "cache_control", "is_error", "thinking_blocks")
# What a translated reply has beside OpenAI's fields; callers send it back with the next turn.
_OF_REPLIES: Final = ("anthropic_content", "thinking_blocks")
_CALL: Final = ("id", "type", "function")


def to_openai_body(request: ChatRequest, *, limit: LimitName = "max_tokens") -> Translated:
    """OpenAI's body for a request, without `model` and `stream`.

    One in the OpenAI dialect passes through untouched, but for the fields that a translated reply
    brought into it. Of one in the Anthropic dialect what only Anthropic takes is left out and
    named, images in tool results follow in a user message, and its limit is called `limit`.
    Raises InputError as `to_openai` does.
    """
    dropped: set[str] = set()
    if request.dialect == "openai":
        plain = [_without_replies(message, dropped) for message in request.messages]
        body = {"messages": plain, **request.params}
        return Translated(body=body, dropped=tuple(sorted(dropped)))
    request = to_openai(request)
    params = _strip(request.params, _PARAMS, dropped)
    if "max_tokens" in params:
        params[limit] = params.pop("max_tokens")
    if "tools" in params:
        params["tools"] = [_strip_tool(tool, dropped) for tool in params["tools"]]
    messages = with_images_apart([_strip_message(item, dropped) for item in request.messages])
    return Translated(body={"messages": messages, **params}, dropped=tuple(sorted(dropped)))


def _strip(value: Mapping[str, Any], names: Sequence[str], dropped: set[str]) -> Json:
    dropped.update(name for name in names if value.get(name) is not None)
    return sort_out(value, *names)


def _without_replies(message: Mapping[str, Any], dropped: set[str]) -> Mapping[str, Any]:
    if not any(name in message for name in _OF_REPLIES):
        return message
    kept = {name: value for name, value in message.items() if name not in _OF_REPLIES}
    kept.pop("reasoning_content", None)  # the same thinking once more
    dropped.update(message.keys() - kept.keys())
    return kept


def _strip_message(message: Mapping[str, Any], dropped: set[str]) -> Json:
    kept: Json = {"content": message.get("content"), **_strip(message, _OF_MESSAGES, dropped)}
    if isinstance(kept["content"], list):
        kept["content"] = [_strip(part, _OF_PARTS, dropped) for part in kept["content"]]
    if "tool_calls" in kept:
        kept["tool_calls"] = [
            _strip(call, tuple(call.keys() - set(_CALL)), dropped) for call in kept["tool_calls"]
        ]
    return kept


def _strip_tool(tool: Mapping[str, Any], dropped: set[str]) -> Json:
    if tool.get("type") != "function":
        return dict(tool)  # Anthropic's own: refused loudly rather than left out
    return _strip(tool, tuple(tool.keys() - {"type", "function"}), dropped)


def with_images_apart(messages: Sequence[Json]) -> list[Json]:
    """OpenAI takes only text from a tool; what else it gave follows the last of its results."""
    found: list[Json] = []
    waiting: list[Json] = []
    for message in messages:
        if message["role"] != "tool":
            found += _shown(waiting)
            waiting = []
        elif isinstance(message["content"], list):
            texts = [part for part in message["content"] if part.get("type") == "text"]
            waiting += [part for part in message["content"] if part.get("type") != "text"]
            message = {**message, "content": texts or ""}
        found.append(message)
    return found + _shown(waiting)


def _shown(parts: list[Json]) -> list[Json]:
    return [{"role": "user", "content": parts}] if parts else []
