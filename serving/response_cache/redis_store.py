"""Entries in Redis, shared by all replicas. A Redis that is away is a cache that finds nothing.

Keys are `<prefix>:answers:<tenant>:<key>`; Redis forgets them by itself when their time is over. An
entry is under its exact key; under the key of its wording is that exact key.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from router.errors import ConfigError, StoreError

from .store import CacheKind, EntryKeys

__all__ = ["RedisLink", "RedisStore"]

_LOG = logging.getLogger("sluice.serving")

_TIMEOUT_S: Final = 1.0  # of one look-up: a cache that is slower than that is no help
_REST_S: Final = 1.0  # after a failure, before Redis is asked again
_FORGET_TIMEOUT_S: Final = 60.0
_MAX_CONNECTIONS: Final = 16
_KEY_BYTES: Final = 32
_BATCH: Final = 500
_GLOB: Final = "\\*?[]"

_T = TypeVar("_T")


class RedisLink:
    """One process's connections to Redis, and whether it answers just now. It is opened by the
    first use and belongs to that event loop."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigError for an address that is none; nothing is connected yet."""
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_MAX_CONNECTIONS,
                timeout=_TIMEOUT_S,
                socket_timeout=_FORGET_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as exc:
            raise ConfigError(f"'redis.url' cannot be used: {exc}", param="redis.url") from None
        pool.connection_kwargs["decode_responses"] = False  # whatever the address says: bytes
        self.redis: Redis = Redis.from_pool(pool)
        self._clock = clock
        self._away_until: float | None = None

    async def ask(self, work: Callable[[], Awaitable[_T]]) -> _T | None:
        """What `work` brings; None while Redis is away, which is logged once, and once more when it
        is back. While it is away one caller at a time finds out, and no other waits."""
        if self._away_until is not None:
            if self._clock() < self._away_until:
                return None
            self._away_until = self._clock() + _TIMEOUT_S + _REST_S
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                found = await work()
        except (RedisError, OSError, TimeoutError) as exc:
            self._is_away(exc)
            return None
        if self._away_until is not None:
            self._away_until = None
            _LOG.warning("Redis answers again: the response cache is back")
        return found

    async def aclose(self) -> None:
        """Close every connection."""
        await self.redis.aclose()

    def _is_away(self, error: Exception) -> None:
        if self._away_until is None:
            _LOG.error(
                "Redis does not answer (%s): the response cache finds nothing until it does, and "
                "every request goes to a model; see 'redis.url'",
                type(error).__name__,
            )
        self._away_until = self._clock() + _REST_S


class RedisStore:
    """A store that replicas share."""

    def __init__(self, link: RedisLink, *, prefix: str, ttl_s: float) -> None:
        self._link = link
        self._redis = link.redis
        self._prefix = prefix
        self._ttl_ms = max(1, round(ttl_s * 1000))

    async def find(self, keys: EntryKeys) -> tuple[CacheKind, bytes] | None:
        """The entry of this very request, else the newest of those worded alike."""
        return await self._link.ask(lambda: self._find(keys))

    async def keep(self, keys: EntryKeys, entry: bytes) -> None:
        """Keep an entry for all replicas, or, while Redis is away, for none."""
        await self._link.ask(lambda: self._keep(keys, entry))

    async def forget(self, tenant: str) -> None:
        """Drop all entries of a tenant, whichever replica kept them; raises StoreError."""
        begin = "".join(f"\\{c}" if c in _GLOB else c for c in f"{self._prefix}:answers:{tenant}:")
        try:
            async with asyncio.timeout(_FORGET_TIMEOUT_S):
                batch = []
                async for name in self._redis.scan_iter(match=f"{begin}*", count=_BATCH):
                    batch.append(name)
                    if len(batch) == _BATCH:
                        await self._redis.unlink(*batch)
                        batch.clear()
                if batch:
                    await self._redis.unlink(*batch)
        except (RedisError, OSError, TimeoutError) as exc:
            raise StoreError(
                f"Redis does not answer ({type(exc).__name__}): cached answers stay until their "
                "time is over; forget them again once it does"
            ) from exc

    async def aclose(self) -> None:
        """Close every connection of the link."""
        await self._link.aclose()

    async def _find(self, keys: EntryKeys) -> tuple[CacheKind, bytes] | None:
        asked = (keys.exact,) if keys.alike is None else (keys.exact, keys.alike)
        found = await self._redis.mget([self._name(keys.tenant, key) for key in asked])
        entry, other = found[0], found[-1]
        if isinstance(entry, bytes):
            return "exact", entry
        if keys.alike is None or not isinstance(other, bytes) or len(other) != _KEY_BYTES:
            return None
        entry = await self._redis.get(self._name(keys.tenant, other))
        return ("semantic", entry) if isinstance(entry, bytes) else None

    async def _keep(self, keys: EntryKeys, entry: bytes) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(self._name(keys.tenant, keys.exact), entry, px=self._ttl_ms)
            if keys.alike is not None:
                pipe.set(self._name(keys.tenant, keys.alike), keys.exact, px=self._ttl_ms)
            await pipe.execute()

    def _name(self, tenant: str, key: bytes) -> str:
        return f"{self._prefix}:answers:{tenant}:{key.hex()}"
