"""When to try again: jittered exponential back-off that obeys the provider's Retry-After."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import Final

__all__ = [
    "BASE_DELAY_S",
    "MAX_DELAY_S",
    "MAX_RETRY_AFTER_S",
    "backoff_s",
    "read_retry_after",
]

BASE_DELAY_S: Final = 0.25
MAX_DELAY_S: Final = 8.0
MAX_RETRY_AFTER_S: Final = 20.0
_HINT_SPREAD = 0.1


def backoff_s(
    retry: int,
    rng: Random,
    *,
    retry_after_s: float | None = None,
    limit_s: float = MAX_RETRY_AFTER_S,
) -> float | None:
    """Seconds to wait before retry number `retry` (from 0); None when waiting is not worth it.

    Half to all of BASE_DELAY_S * 2**retry, MAX_DELAY_S at most. What the provider asks for counts
    instead, plus up to a tenth so that not all who were sent away come back at once; if it asks
    for more than `limit_s`, another endpoint or model is the better choice.
    """
    if retry_after_s is not None:
        if retry_after_s > limit_s:
            return None
        return retry_after_s * (1 + _HINT_SPREAD * rng.random())
    ceiling = min(BASE_DELAY_S * 2.0 ** min(retry, 30), MAX_DELAY_S)
    return ceiling * (0.5 + 0.5 * rng.random())


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that a reply asks to wait: retry-after-ms, else Retry-After in seconds or as a date.

    `now` is aware. None where there is nothing that makes sense; a date that is past is 0.
    """
    in_ms = _number(headers.get("retry-after-ms"))
    if in_ms is not None:
        return in_ms / 1000
    found = headers.get("retry-after")
    in_s = _number(found)
    if in_s is not None or not found:
        return in_s
    try:
        until = parsedate_to_datetime(found)
        if until.tzinfo is None:  # "-0000": UTC, of unknown origin
            until = until.replace(tzinfo=UTC)
        return max(0.0, (until - now).total_seconds())
    except (OverflowError, ValueError):  # no date, or one beyond all years
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
