"""Requests and tokens per minute and key: what a limit is, and what a client is told of it.

A limit of n is a bucket of n that fills evenly within a minute: after a pause n may come at once,
and over a longer time n a minute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from router.records.key_records import KeySettings

from ..config import RedisConfig
from ..errors import ApiError
from .buckets import wait_s
from .tenants import Tenant

__all__ = ["NO_HEADERS", "Levels", "RateLimits", "is_limited", "open_rate_limits", "tell_levels"]

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
"""Of an answer to who is not limited."""


class RateLimits(Protocol):
    """Counts what tenants do per minute."""

    @property
    def is_degraded(self) -> bool:
        """Whether limits that should be shared are kept by this process alone just now."""
        ...

    async def admit(self, tenant: Tenant) -> Mapping[str, str]:
        """Count one request, and give what is left as headers of its answer (none where nothing
        is limited). ApiError (429) where a limit leaves no room: then nothing is counted."""
        ...

    async def count_tokens(self, tenant: Tenant, tokens: int) -> None:
        """Count the tokens that a request has used, once they are known. They may be more than
        were left: then the next request waits until they are made up for."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Levels:
    """What is left of a tenant's limits, a request that was admitted being counted. What is not
    limited has no meaning here."""

    admitted: bool
    requests: float
    tokens: float


def open_rate_limits(redis: RedisConfig | None) -> RateLimits:
    """Limits that all share who name the same Redis, or, without one, this process's own.

    Raises UsageError when the extra is missing, ConfigError when the address cannot be read.
    """
    from .local_rate_limits import LocalRateLimits

    if redis is None:
        return LocalRateLimits()
    from .redis_rate_limits import RedisRateLimits

    return RedisRateLimits(redis, fallback=LocalRateLimits())


def is_limited(settings: KeySettings) -> bool:
    """Whether there is anything to count."""
    return settings.requests_per_minute is not None or settings.tokens_per_minute is not None


def tell_levels(settings: KeySettings, levels: Levels) -> Mapping[str, str]:
    """The headers that tell of `levels`; ApiError (429) with them, and with the time to wait, where
    the request was not admitted."""
    limits = (
        ("requests", settings.requests_per_minute, levels.requests),
        ("tokens", settings.tokens_per_minute, levels.tokens),
    )
    headers: dict[str, str] = {}
    longest, blamed = 0.0, ("", 0)
    for name, limit, level in limits:
        if limit is None:
            continue
        headers[f"x-ratelimit-limit-{name}"] = str(limit)
        headers[f"x-ratelimit-remaining-{name}"] = str(max(0, math.floor(level)))
        if not levels.admitted and (waiting := wait_s(level, limit)) > longest:
            longest, blamed = waiting, (name, limit)
    if levels.admitted:
        return headers
    raise _refusal(*blamed, longest, headers)


def _refusal(name: str, limit: int, longest_s: float, headers: Mapping[str, str]) -> ApiError:
    retry_after_s = max(1, math.ceil(longest_s))
    return ApiError(
        429,
        f"this key may use {limit} {name} per minute, and they are used up; "
        f"try again in {retry_after_s} s",
        code="rate_limit_exceeded",
        kind=name,
        headers={**headers, "retry-after": str(retry_after_s)},
    )
