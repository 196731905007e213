"""Whole replies between the dialects: Anthropic's message and OpenAI's chat completion.

What OpenAI's shape cannot say stays in it under Anthropic's name (`thinking_blocks`, a choice's
`stop_reason`, unknown fields of the usage), and is used again on the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...errors import InputError
from ..wire import WireError
from .content import Json, sort_out
from .messages import assistant_blocks, assistant_message

__all__ = [
    "anthropic_reply",
    "anthropic_usage",
    "check_block",
    "message_id",
    "openai_reply",
    "openai_usage",
    "to_stop_reason",
]

_FINISH_REASONS: Final = {
    "end_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "model_context_window_exceeded": "length",
}
# The stop reason that a finish reason stands for when the reply does not say more.
_STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
# What is read of a block, by its type; other types are passed on as they are.
_READ: Final[Mapping[str, Mapping[str, type]]] = {
    "text": {"text": str},
    "thinking": {"thinking": str},
    "tool_use": {"id": str, "name": str, "input": dict},
}
_COUNTS: Final = ("cache_creation_input_tokens", "cache_read_input_tokens", "input_tokens")


def openai_reply(native: Mapping[str, Any], *, created: int) -> Json:
    """OpenAI's chat.completion of an Anthropic message; `created` in seconds since 1970.

    `usage` is left out where its counts make no sense. Raises WireError when the message did not
    stop, or stopped in good order with a tool call whose input is not an object.
    """
    blocks = native["content"]
    stop_reason = native.get("stop_reason")
    if not isinstance(stop_reason, str):
        raise WireError("'stop_reason' is missing")
    finish_reason = _FINISH_REASONS.get(stop_reason, "stop")
    if finish_reason != "length" and any("partial_json" in block for block in blocks):
        raise WireError("'content' holds a tool_use whose input is not a JSON object")
    message = assistant_message(blocks, joined=True)
    thinking = [block["thinking"] for block in blocks if block.get("type") == "thinking"]
    if any(thinking):
        message["reasoning_content"] = "".join(thinking)
    choice: Json = {"index": 0, "message": message, "logprobs": None}
    choice["finish_reason"] = finish_reason
    if _STOP_REASONS[finish_reason] != stop_reason:
        choice["stop_reason"] = stop_reason
    for name in ("stop_sequence", "stop_details"):
        if native.get(name) is not None:
            choice[name] = native[name]
    reply: Json = {
        "id": native.get("id") or "",
        "object": "chat.completion",
        "created": created,
        "model": native.get("model") or "",
        "choices": [choice],
    }
    usage = openai_usage(native.get("usage"))
    if usage is not None:
        reply["usage"] = usage
    known = ("id", "type", "role", "model", "content", "usage")
    return {**reply, **sort_out(native, *known, "stop_reason", "stop_sequence", "stop_details")}


def check_block(block: Any, where: str) -> None:
    """Raises WireError unless an Anthropic block has what is read of it."""
    if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
        raise WireError(f"'{where}' must be an object with a type")
    for name, kind in _READ.get(block["type"], {}).items():
        if not isinstance(block.get(name), kind):
            raise WireError(f"'{where}.{name}' must be {kind.__name__}")


def anthropic_reply(reply: Mapping[str, Any]) -> Json:
    """Anthropic's message of an OpenAI chat.completion (its first choice).

    Reasoning that no one signed becomes thinking with an empty signature. Raises WireError when a
    tool call's arguments are no JSON object, unless the answer broke off at its length limit: the
    text is then kept as the block's `partial_json`.
    """
    choice = reply["choices"][0]
    message = choice["message"]
    truncated = choice.get("finish_reason") == "length"
    try:
        blocks = assistant_blocks(message, "choices[0].message", [], truncated=truncated)
    except InputError as exc:
        raise WireError(str(exc)) from exc
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoning, str) and not message.get("thinking_blocks"):
        blocks.insert(0, {"type": "thinking", "thinking": reasoning, "signature": ""})
    stop_reason, stop_sequence = to_stop_reason(
        choice, called=bool(message.get("tool_calls")), refused=bool(message.get("refusal"))
    )
    found: Json = {
        "id": message_id(reply.get("id")),
        "type": "message",
        "role": "assistant",
        "model": reply.get("model"),
        "content": blocks,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": anthropic_usage(reply.get("usage")),
    }
    if choice.get("stop_details") is not None:
        found["stop_details"] = choice["stop_details"]
    return {**found, **sort_out(reply, "id", "object", "created", "model", "choices", "usage")}


def message_id(reply_id: Any) -> str:
    """An id as Anthropic writes them: OpenAI's with "msg_" before it."""
    return str(reply_id) if str(reply_id).startswith("msg_") else f"msg_{reply_id}"


def to_stop_reason(
    choice: Mapping[str, Any], *, called: bool, refused: bool
) -> tuple[str, str | None]:
    """Anthropic's (stop_reason, stop_sequence) of an OpenAI choice that called tools or refused.

    A choice's own `stop_reason` counts: it is Anthropic's, or the stop text as vLLM names it.
    """
    implied = _STOP_REASONS.get(choice.get("finish_reason") or "stop", "end_turn")
    if refused:
        implied = "refusal"
    elif called and implied == "end_turn":
        implied = "tool_use"  # OpenAI says "stop" after a call that the caller demanded
    said, sequence = choice.get("stop_reason"), choice.get("stop_sequence")
    if not isinstance(said, str):
        return implied, sequence
    if said in _FINISH_REASONS:
        return said, sequence
    return ("stop_sequence", said) if implied == "end_turn" else (implied, sequence)


def openai_usage(usage: Any) -> Json | None:
    """OpenAI's usage of Anthropic's; None where its counts are no whole numbers from 0 on."""
    if not isinstance(usage, Mapping):
        return None
    written, cached, fresh = (usage.get(name) or 0 for name in _COUNTS)
    output = usage.get("output_tokens", -1)
    details = usage.get("output_tokens_details") or {}
    reasoning = details.get("thinking_tokens") or 0 if isinstance(details, Mapping) else None
    counts = (written, cached, fresh, output, reasoning)
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        return None
    found: Json = {
        "prompt_tokens": fresh + cached + written,
        "completion_tokens": output,
        "total_tokens": fresh + cached + written + output,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
    }
    if details:
        found["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return {**found, **sort_out(usage, *_COUNTS, "output_tokens", "output_tokens_details")}


def anthropic_usage(usage: Mapping[str, Any] | None) -> Json:
    """Anthropic's usage of OpenAI's; zeros when there is none, as Anthropic's format wants one."""
    usage = usage or {}
    details = usage.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or 0
    written = details.get("cache_write_tokens") or 0
    found: Json = {
        "input_tokens": max(0, (usage.get("prompt_tokens") or 0) - cached - written),
        "output_tokens": usage.get("completion_tokens") or 0,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
    }
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    if reasoning is not None:
        found["output_tokens_details"] = {"thinking_tokens": reasoning}
    known = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {
        **found,
        **sort_out(usage, *known, "prompt_tokens_details", "completion_tokens_details"),
    }
