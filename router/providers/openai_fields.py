"""Fields of OpenAI's that others leave out or fill in their own way, mended on reading.

Official clients demand some of them (id, created, a known finish_reason) and take others in one
shape only. What has another shape is kept, but under the name with "provider_" before it; wrong
counts are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import Any, Final

import orjson

from .usage import read_counts

__all__ = [
    "OWN",
    "mend_call_delta",
    "mend_choice",
    "mend_delta",
    "mend_head",
    "mend_message",
    "mend_usage",
]

OWN: Final = "provider_"

_FINISH_REASONS: Final = frozenset(
    {"stop", "length", "tool_calls", "content_filter", "function_call"}
)
_SYNONYMS: Final = {
    "max_tokens": "length",
    "model_length": "length",
    "safety": "content_filter",
    "recitation": "content_filter",
}
_SERVICE_TIERS: Final = frozenset({"auto", "default", "fast", "flex", "priority", "scale"})
_COUNTS: Final = frozenset(
    {
        "accepted_prediction_tokens",
        "audio_tokens",
        "cache_write_tokens",
        "cached_tokens",
        "image_tokens",
        "reasoning_tokens",
        "rejected_prediction_tokens",
        "text_tokens",
    }
)


# What is set aside when it is of another shape; as a rule there is none of it.
_OF_HEAD: Final = frozenset({"service_tier", "system_fingerprint", "metadata"})
_OF_MESSAGE: Final = frozenset({"refusal", "annotations", "function_call", "audio"})


def mend_head(body: dict[str, Any], kind: str) -> None:
    """What every completion and chunk has to say of itself."""
    body["object"] = kind
    for name in ("id", "model"):
        if not isinstance(body.get(name), str):
            body[name] = ""
    created = body.get("created")
    if not isinstance(created, int):
        body["created"] = int(created) if isinstance(created, float) else 0
    if _OF_HEAD.isdisjoint(body):
        return
    _set_aside(body, "service_tier", _is_service_tier)
    _set_aside(body, "system_fingerprint", _is_text)
    _set_aside(body, "metadata", _is_labels)


def mend_usage(body: dict[str, Any]) -> None:
    """Drop counts that make no sense; add the total where it is missing."""
    found = body.get("usage")
    if found is None:
        return
    counts = read_counts(found)
    if counts is None:
        del body["usage"]
        return
    if not isinstance(found.get("total_tokens"), int):
        found["total_tokens"] = sum(counts)
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        details = found.get(name)
        if not isinstance(details, dict):
            found.pop(name, None)
            continue
        for count in _COUNTS & details.keys():
            if not isinstance(details[count], int | None):
                del details[count]


def mend_choice(choice: dict[str, Any], index: int) -> None:
    """What beside its message a choice of a completion or a chunk says."""
    if not isinstance(choice.get("index"), int):
        choice["index"] = index
    choice["finish_reason"] = _finish_reason(choice.get("finish_reason"))
    _set_aside(choice, "logprobs", _is_logprobs)


def mend_message(message: dict[str, Any]) -> None:
    """A whole message, but for its tool calls. Content in parts (Mistral's, when it thinks)
    becomes their text."""
    mend_delta(message)
    if _OF_MESSAGE.isdisjoint(message):
        return
    _set_aside(message, "function_call", _is_function)
    _set_aside(message, "audio", _is_audio)


def mend_delta(delta: dict[str, Any]) -> None:
    """A piece of a message, as `mend_message`."""
    if isinstance(delta.get("content"), list):
        parts = delta[f"{OWN}content"] = delta["content"]
        texts = (part.get("text") for part in parts if isinstance(part, dict))
        delta["content"] = "".join(text for text in texts if isinstance(text, str)) or None
    if delta.get("role"):
        delta["role"] = "assistant"
    else:
        delta.pop("role", None)
    if _OF_MESSAGE.isdisjoint(delta):
        return
    _set_aside(delta, "refusal", _is_text)
    _set_aside(delta, "annotations", _is_citations)
    _set_aside(delta, "function_call", _is_piece_of_function)
    _set_aside(delta, "audio", _is_piece_of_audio)


def mend_call_delta(delta: dict[str, Any]) -> None:
    """A piece of a tool call, but for its index."""
    if delta.get("type") not in (None, "custom"):
        delta["type"] = "function"
    _set_aside(delta, "id", _is_text)
    _set_aside(delta, "function", _is_object)
    function = delta.get("function")
    if function is not None:
        if isinstance(function.get("arguments"), dict):
            function["arguments"] = orjson.dumps(function["arguments"]).decode()
        _set_aside(function, "name", _is_text)
        _set_aside(function, "arguments", _is_text)


def _finish_reason(found: Any) -> str | None:
    """One of OpenAI's finish reasons ("error" is left as it is), None where none is given."""
    if not isinstance(found, str) or not found:
        return None
    if found in _FINISH_REASONS or found == "error":
        return found
    return _SYNONYMS.get(found.lower(), "stop")


def _set_aside(holder: dict[str, Any], name: str, fits: Callable[[Any], bool]) -> None:
    """Rename a field whose value is not what official clients take for it."""
    if holder.get(name) is not None and not fits(holder[name]):
        holder[OWN + name] = holder.pop(name)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_service_tier(value: Any) -> bool:
    return isinstance(value, str) and value in _SERVICE_TIERS


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_citations(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_citation, value))


def _is_citation(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("type") != "url_citation":
        return False
    cited = value.get("url_citation")
    return _has(cited, int, "start_index", "end_index") and _has(cited, str, "title", "url")


def _is_audio(value: Any) -> bool:
    return _has(value, str, "id", "data", "transcript") and _has(value, int, "expires_at")


def _is_piece_of_audio(value: Any) -> bool:
    return _has(value, str | None, "id", "data", "transcript") and _has(
        value, int | None, "expires_at"
    )


def _is_function(value: Any) -> bool:
    return _has(value, str, "name", "arguments")


def _is_piece_of_function(value: Any) -> bool:
    return _has(value, str | None, "name", "arguments")


def _has(value: Any, kind: type | UnionType, *names: str) -> bool:
    """Whether it is an object with values of one kind under these names."""
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name in names)


def _is_logprobs(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    lists = (value.get("content"), value.get("refusal"))
    return all(
        tokens is None or (isinstance(tokens, list) and all(map(_is_token, tokens)))
        for tokens in lists
    )


def _is_token(value: Any) -> bool:
    """Whether it is a token's log-probability; who sends no alternatives gets none."""
    if not _is_alternative(value):
        return False
    if value.get("top_logprobs") is None:
        value["top_logprobs"] = []
    others = value["top_logprobs"]
    return isinstance(others, list) and all(map(_is_alternative, others))


def _is_alternative(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    raw = value.get("bytes")
    return (
        isinstance(value.get("token"), str)
        and isinstance(value.get("logprob"), int | float)
        and (raw is None or (isinstance(raw, list) and all(isinstance(one, int) for one in raw)))
    )
