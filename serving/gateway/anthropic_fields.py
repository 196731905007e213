"""What Anthropic's clients demand of a message, filled in where its provider says nothing that
could be it. All else of a provider's own message is passed on as it came."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["mend_event", "mend_message"]

Json = dict[str, Any]

_DEMANDED: Final = ("input_tokens", "output_tokens")
_COUNTS: Final = (*_DEMANDED, "cache_creation_input_tokens", "cache_read_input_tokens")


def mend_message(message: Mapping[str, Any], model: str = "") -> Mapping[str, Any]:
    """A whole message, or the head of one; `model` is whose it is where it does not say."""
    mended: Json = {"type": "message", "role": "assistant"}
    if not _is_text(message.get("id")):
        mended["id"] = f"msg_{secrets.token_hex(12)}"
    if not _is_text(message.get("model")):
        mended["model"] = model
    for name in ("stop_reason", "stop_sequence"):
        if name not in message or not isinstance(message[name], str | None):
            mended[name] = None
    usage = message.get("usage")
    if not _is_usage(usage, _DEMANDED):
        mended["usage"] = _counted(usage, _DEMANDED)
    return {**message, **mended}


def mend_event(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """An event of a stream, if it says something of the message as a whole."""
    if event["type"] == "message_start":
        message = {**event["message"], "content": []}
        return {**event, "message": mend_message(message)}
    if event["type"] == "message_delta" and not _is_usage(event.get("usage"), _DEMANDED[1:]):
        return {**event, "usage": _counted(event.get("usage"), _DEMANDED[1:])}
    return event


def _is_text(found: Any) -> bool:
    return isinstance(found, str) and found != ""


def _is_usage(found: Any, demanded: tuple[str, ...]) -> bool:
    if not isinstance(found, Mapping) or any(found.get(name) is None for name in demanded):
        return False
    return all(found.get(name) is None or _is_count(found[name]) for name in _COUNTS)


def _counted(found: Any, demanded: tuple[str, ...]) -> Json:
    """A usage without the counts that make no sense; 0 for what has to be there, as Anthropic's
    format has no word for what is not known."""
    kept = dict(found) if isinstance(found, Mapping) else {}
    for name in _COUNTS:
        if name in kept and not _is_count(kept[name]):
            del kept[name]
    return {**dict.fromkeys(demanded, 0), **kept}


def _is_count(found: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and found >= 0
