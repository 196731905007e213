"""One replica: asks for as much as it can get for a while, and prints how much it got.

Arguments: URL of Redis, prefix, requests and tokens per minute (0: no limit), tokens that each
request uses, seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from router.records.key_records import KeySettings
from serving.access.rate_limits import open_rate_limits
from serving.access.tenants import Tenant
from serving.config import RedisConfig
from serving.errors import ApiError


async def ask(url: str, prefix: str, settings: KeySettings, used: int, seconds: float) -> int:
    limits = open_rate_limits(RedisConfig(url=url, prefix=prefix))  # type: ignore[arg-type]
    tenant = Tenant(key_id="shared", name="shared", settings=settings)
    admitted = 0
    until = time.monotonic() + seconds

    async def client() -> None:
        nonlocal admitted
        while time.monotonic() < until:
            try:
                await limits.admit(tenant)
            except ApiError:
                continue
            admitted += 1
            await limits.count_tokens(tenant, used)

    await asyncio.gather(*(client() for _ in range(8)))
    await limits.aclose()
    return admitted


def main() -> None:
    url, prefix, requests, tokens, used, seconds = sys.argv[1:]
    settings = KeySettings(
        requests_per_minute=int(requests) or None, tokens_per_minute=int(tokens) or None
    )
    admitted = asyncio.run(ask(url, prefix, settings, int(used), float(seconds)))
    sys.stdout.write(json.dumps(admitted))


if __name__ == "__main__":
    main()
