"""Rate limits that replicas share through Redis: one script per request, by Redis's own clock.

While Redis is away, or answers late, each process keeps the limits alone: the service stays up,
every limit holds in each process, and N processes may let through N times as much. That is said
once per outage in the log, and by `is_degraded`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from router.errors import ConfigError
from router.extras import require_extra
from router.providers.circuit import CircuitBreaker

from ..config import RedisConfig
from .local_rate_limits import LocalRateLimits
from .rate_limits import NO_HEADERS, Levels, is_limited, tell_levels
from .tenants import Tenant

__all__ = ["RedisRateLimits"]

_LOG = logging.getLogger("sluice.serving")

_TIMEOUT_S: Final = 0.5  # to connect, for a connection of the pool, and for an answer
_MAX_CONNECTIONS: Final = 32
_COOL_DOWN_S: Final = 1.0  # between attempts to reach a Redis that is away
_MAX_COOL_DOWN_S: Final = 8.0
_ADMIT: Final = -1

# KEYS: the hash of one key's buckets. ARGV: requests and tokens per minute (0: no limit), and the
# tokens to count, or -1 to admit a request. The arithmetic is that of buckets.py, in microseconds.
_SCRIPT: Final = """
local minute = 60000000
local limits = {tonumber(ARGV[1]), tonumber(ARGV[2])}
local names = {'requests', 'tokens'}
local used = tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local kept = redis.call('HMGET', KEYS[1], 'requests', 'tokens', 'at')
local at = tonumber(kept[3] or now)
local levels, admitted = {}, 1
for i, limit in ipairs(limits) do
  local level = tonumber(kept[i] or limit)
  levels[i] = math.min(limit, level + math.max(0, now - at) * limit / minute)
  if limit > 0 and levels[i] < 1 then admitted = 0 end
end
if used >= 0 then
  levels[2] = levels[2] - used
elseif admitted == 1 then
  levels[1] = levels[1] - 1
end
if used >= 0 or admitted == 1 then
  local full_in = 1000000
  for i, limit in ipairs(limits) do
    if limit > 0 then
      redis.call('HSET', KEYS[1], names[i], string.format('%.17g', levels[i]))
      full_in = math.max(full_in, (limit - levels[i]) * minute / limit)
    else
      redis.call('HDEL', KEYS[1], names[i])
    end
  end
  redis.call('HSET', KEYS[1], 'at', string.format('%.17g', math.max(now, at)))
  redis.call('PEXPIRE', KEYS[1], math.ceil(full_in / 1000) + 1000)
end
return {admitted, string.format('%.17g', levels[1]), string.format('%.17g', levels[2])}
"""


class RedisRateLimits:
    """One bucket a key for all who use the same Redis and prefix; for one event loop."""

    def __init__(self, config: RedisConfig, *, fallback: LocalRateLimits) -> None:
        """Connects when it is first asked. Raises UsageError without the extra `redis`,
        ConfigError when the address cannot be read."""
        require_extra("'redis' in the configuration", "redis")
        self._prefix = f"{config.prefix}:rate:"
        self._fallback = fallback
        self._client = _connect(config)
        self._script = self._client.register_script(_SCRIPT)
        self._breaker = CircuitBreaker(
            max_failures=1, cool_down_s=_COOL_DOWN_S, max_cool_down_s=_MAX_COOL_DOWN_S
        )
        self._is_degraded = False

    @property
    def is_degraded(self) -> bool:
        """As `RateLimits.is_degraded`: while Redis is away."""
        return self._is_degraded

    async def admit(self, tenant: Tenant) -> Mapping[str, str]:
        """As `RateLimits.admit`."""
        if not is_limited(tenant.settings):
            return NO_HEADERS
        levels = await self._ask(tenant, _ADMIT)
        if levels is None:
            return await self._fallback.admit(tenant)
        return tell_levels(tenant.settings, levels)

    async def count_tokens(self, tenant: Tenant, tokens: int) -> None:
        """As `RateLimits.count_tokens`."""
        if tenant.settings.tokens_per_minute is None:
            return
        if await self._ask(tenant, tokens) is None:
            await self._fallback.count_tokens(tenant, tokens)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose(close_connection_pool=True)

    async def _ask(self, tenant: Tenant, used: int) -> Levels | None:
        """What Redis says after the count; None while it is away."""
        from redis.exceptions import RedisError

        if not self._breaker.allow(time.monotonic()):
            return None
        settings = tenant.settings
        limits = (settings.requests_per_minute or 0, settings.tokens_per_minute or 0)
        try:
            admitted, requests, tokens = await self._script(
                keys=[self._prefix + tenant.key_id], args=[*limits, used]
            )
        except (RedisError, OSError) as exc:
            self._breaker.fail(time.monotonic())
            self._tell(degraded=True, why=type(exc).__name__)
            return None
        except BaseException:  # cancelled: that tells nothing of Redis
            self._breaker.abandon()
            raise
        self._breaker.succeed()
        self._tell(degraded=False)
        return Levels(admitted=admitted == 1, requests=float(requests), tokens=float(tokens))

    def _tell(self, *, degraded: bool, why: str = "") -> None:
        """Log that an outage begins or ends; not what Redis said, which may hold its address."""
        if degraded == self._is_degraded:
            return
        self._is_degraded = degraded
        if degraded:
            _LOG.error("Redis is away (%s): this process keeps its rate limits alone", why)
        else:
            _LOG.warning("Redis answers again: replicas share their rate limits")


def _connect(config: RedisConfig) -> Any:
    """A client that gives up soon and tries a connection that broke just once more."""
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as BrokenError

    try:
        pool = BlockingConnectionPool.from_url(
            config.url.get_secret_value(),
            max_connections=_MAX_CONNECTIONS,
            timeout=_TIMEOUT_S,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1, supported_errors=(BrokenError,)),
        )
    except ValueError:
        raise ConfigError(
            "'redis.url' is not an address of Redis; write it like redis://host:6379/0",
            param="redis.url",
        ) from None  # the original may quote the password
    return Redis(connection_pool=pool)
