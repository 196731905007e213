"""The arithmetic of budgets: what a call can use at most, which limits it falls under, and when.

Pure: no clock and no store. Days and months are UTC's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import orjson

from .chat import ChatRequest
from .config import BudgetConfig
from .errors import InputError
from .money import to_nano

__all__ = [
    "IMAGE_TOKENS",
    "Limit",
    "Scope",
    "day_key",
    "limits_of",
    "month_key",
    "output_bound",
    "resets_in_s",
    "upper_bound_tokens",
    "window_key",
]

Scope = Literal["daily", "monthly", "key_daily", "key_monthly", "user_daily", "user_monthly"]

# What a provider may add to what is sent: role marks, a default system prompt, how to call tools.
_REQUEST_TOKENS: Final = 128
_MESSAGE_TOKENS: Final = 16
_TOOL_TOKENS: Final = 1_024
_NODE_TOKENS: Final = 8  # quotes, colon, comma, indentation around one JSON value

IMAGE_TOKENS: Final = 50_000  # the dearest there is: 8 tiles of 5,667 and 2,833 for the whole
_IMAGE_TYPES: Final = ("image", "image_url", "input_image")
_IMAGE_PAYLOADS: Final = ("data", "image_url", "url")
_IMAGE_MARKS: Final = tuple(f'"type":"{name}"'.encode() for name in _IMAGE_TYPES)

_MAX_NODES: Final = 20_000  # JSON values that are looked at one by one, which takes some 10 ms


@dataclass(frozen=True, kw_only=True)
class Limit:
    """At most `limit_nano` nano-dollars per window of `scope`; `user` where it is one user's (or,
    in the gateway, whose account it is: see `records.accounts`)."""

    scope: Scope
    limit_nano: int
    user: str | None = None


def limits_of(config: BudgetConfig, user: str | None) -> tuple[Limit, ...]:
    """The limits that a call falls under. Those per user need a user; an empty name is none."""
    limits: tuple[tuple[Scope, float | None, str | None], ...] = (
        ("daily", config.daily_limit, None),
        ("monthly", config.monthly_limit, None),
        ("user_daily", config.per_user_daily_limit if user else None, user),
        ("user_monthly", config.per_user_monthly_limit if user else None, user),
    )
    return tuple(
        Limit(scope=scope, limit_nano=to_nano(limit_usd), user=who)
        for scope, limit_usd, who in limits
        if limit_usd is not None
    )


def day_key(at: datetime | float) -> str:
    """The UTC day of a moment (an aware datetime or Unix seconds), as "2026-11-24"."""
    return _utc(at).strftime("%Y-%m-%d")


def month_key(at: datetime | float) -> str:
    """The UTC month of a moment, as "2026-11"."""
    return _utc(at).strftime("%Y-%m")


def window_key(scope: Scope, at: datetime | float) -> str:
    """The window of `scope` that a moment lies in."""
    return day_key(at) if scope.endswith("daily") else month_key(at)


def resets_in_s(scope: Scope, at: datetime | float) -> float:
    """Seconds from a moment until the next window of `scope` begins; more than 0."""
    moment = _utc(at)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if scope.endswith("daily"):
        begins = midnight + timedelta(days=1)
    else:
        begins = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    return (begins - moment).total_seconds()


def upper_bound_tokens(request: ChatRequest) -> int:
    """At most so many tokens are in the prompt of a request.

    A token is at least one byte, so that is the UTF-8 bytes of everything sent, and what providers
    add to it. An image is IMAGE_TOKENS, and its data is not counted. What a provider fetches (a
    web search, a file named by its id or address) is not in the request, and not in the bound.
    Of a request with tens of thousands of JSON values the bound is coarser, and larger.
    """
    tokens = _REQUEST_TOKENS + _MESSAGE_TOKENS * len(request.messages)
    if request.params.get("tools") or request.params.get("functions"):
        tokens += _TOOL_TOKENS
    return tokens + _bound_of((*request.messages, request.params))


def output_bound(request: ChatRequest, limit: int | None) -> int | None:
    """At most so many tokens are in all answers to a request, or None when nothing bounds them.

    The caller's max_tokens or max_completion_tokens (the larger, where both are set), else the
    model's own `limit`; times `n`, the number of answers asked for.
    """
    params = request.params
    asked = (_count(params.get("max_tokens")), _count(params.get("max_completion_tokens")))
    per_answer = max((count for count in asked if count is not None), default=limit)
    return None if per_answer is None else per_answer * (_count(params.get("n")) or 1)


def _count(found: Any) -> int | None:
    is_count = isinstance(found, int) and not isinstance(found, bool) and found > 0
    return found if is_count else None


def _bound_of(value: Any, max_nodes: float = _MAX_NODES) -> int:
    """The bound for JSON values, nested at will (so without recursion). Lists and objects that
    would take it beyond `max_nodes` are not walked through but reckoned by their JSON."""
    tokens, nodes = 0, 1
    left = [(value, False)]
    while left:
        item, in_image = left.pop()
        if isinstance(item, str):
            tokens += _NODE_TOKENS + _bytes_of(item)
            continue
        if isinstance(item, (dict, list, tuple, Mapping, Sequence)):
            if nodes + len(item) > max_nodes:
                tokens += _coarse_bound_of(item)
                continue
            nodes += len(item)
        tokens += _NODE_TOKENS
        if isinstance(item, (dict, Mapping)):  # what is quick to ask comes first
            if item.get("type") in _IMAGE_TYPES:
                tokens += IMAGE_TOKENS
                in_image = True
            for key, inner in item.items():
                tokens += _bytes_of(str(key))
                if not (in_image and key in _IMAGE_PAYLOADS and isinstance(inner, str)):
                    left.append((inner, in_image))
        elif isinstance(item, (list, tuple, Sequence)):
            left.extend((inner, in_image) for inner in item)
        else:
            tokens += _bytes_of(str(item))
    return tokens


def _coarse_bound_of(value: Any) -> int:
    """No less than the walk would find, in a fraction of its time; images count in full."""
    try:
        said = orjson.dumps(value, default=_as_json)
    except orjson.JSONEncodeError:  # nested too deeply, half a surrogate pair, a huge number
        return _bound_of(value, math.inf)
    values = 1 + sum([said.count(mark) for mark in (b",", b"[", b"{")])
    images = sum([said.count(mark) for mark in _IMAGE_MARKS])
    return len(said) + _NODE_TOKENS * values + IMAGE_TOKENS * images


def _as_json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _utc(at: datetime | float) -> datetime:
    if not isinstance(at, datetime):
        if not math.isfinite(at):
            raise InputError(f"a moment must be finite Unix seconds, found {at}")
        return datetime.fromtimestamp(at, UTC)
    if at.tzinfo is None:
        raise InputError("a moment must know its time zone, found a naive datetime")
    return at.astimezone(UTC)
