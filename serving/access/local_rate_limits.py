"""Rate limits of this process alone, in memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from .buckets import Bucket
from .rate_limits import NO_HEADERS, Levels, is_limited, tell_levels
from .tenants import Tenant

__all__ = ["LocalRateLimits"]

_MAX_BUCKETS: Final = 200_000


class LocalRateLimits:
    """Buckets by key, for those that are in use: one that is full again is forgotten, and, beyond
    a bound, so is the one whose last use is the longest ago."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, max_buckets: int = _MAX_BUCKETS
    ) -> None:
        self._clock = clock
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    @property
    def is_degraded(self) -> bool:
        """As `RateLimits.is_degraded`: never, as nothing is to be shared."""
        return False

    async def admit(self, tenant: Tenant) -> Mapping[str, str]:
        """As `RateLimits.admit`."""
        settings = tenant.settings
        if not is_limited(settings):
            return NO_HEADERS
        now = self._clock()
        self._forget(now)
        requests = self._bucket(tenant.key_id, "requests", settings.requests_per_minute, now)
        tokens = self._bucket(tenant.key_id, "tokens", settings.tokens_per_minute, now)
        admitted = all(one is None or one.level >= 1.0 for one in (requests, tokens))
        if admitted and requests is not None:
            requests.level -= 1.0
        levels = Levels(
            admitted=admitted,
            requests=0.0 if requests is None else requests.level,
            tokens=0.0 if tokens is None else tokens.level,
        )
        return tell_levels(settings, levels)

    async def count_tokens(self, tenant: Tenant, tokens: int) -> None:
        """As `RateLimits.count_tokens`."""
        limit, now = tenant.settings.tokens_per_minute, self._clock()
        self._forget(now)
        bucket = self._bucket(tenant.key_id, "tokens", limit, now)
        if bucket is not None:
            bucket.level -= tokens

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _bucket(self, key_id: str, name: str, limit: int | None, now: float) -> Bucket | None:
        """The bucket of a limit, filled up to now; None where there is no limit."""
        if limit is None:
            return None
        place = (key_id, name)
        bucket = self._buckets.get(place)
        if bucket is None:
            bucket = self._buckets[place] = Bucket(limit=limit, level=limit, at=now)
        else:
            bucket.refill(limit, now)
            self._buckets.move_to_end(place)
        return bucket

    def _forget(self, now: float) -> None:
        """Let two go that nobody needs: as many as one request can bring, so they do not pile up.
        Before buckets are taken in hand, as a new one is full."""
        for _ in range(2):
            if not self._buckets:
                return
            place, bucket = next(iter(self._buckets.items()))
            if len(self._buckets) < self._max_buckets and not bucket.is_full(now):
                return
            del self._buckets[place]
