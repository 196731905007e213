"""Rate limits shared through a real Redis: exact among processes, and a service that stays up when
Redis does not."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from router.errors import ConfigError, UsageError
from router.records.key_records import KeySettings
from serving.access.rate_limits import RateLimits, open_rate_limits
from serving.access.redis_rate_limits import RedisRateLimits
from serving.access.tenants import ADMIN, Tenant
from serving.config import RedisConfig
from serving.errors import ApiError
from tests.key_databases import demand_redis

ROOT = Path(__file__).resolve().parents[3]
CHILD = Path(__file__).with_name("limit_child.py")


@pytest.fixture
def prefix() -> Iterator[str]:
    """A prefix of this test's own, whose keys are gone afterwards."""
    prefix = f"sluice-access-{secrets.token_hex(4)}"
    yield prefix
    with redis.Redis.from_url(demand_redis()) as client:
        for key in client.scan_iter(f"{prefix}*"):
            client.delete(key)


def config(url: str, prefix: str) -> RedisConfig:
    return RedisConfig(url=url, prefix=prefix)  # type: ignore[arg-type]


@pytest.fixture
async def limits(prefix: str) -> AsyncIterator[RateLimits]:
    limits = open_rate_limits(config(demand_redis(), prefix))
    yield limits
    await limits.aclose()


def tenant(key_id: str = "k", requests: int | None = None, tokens: int | None = None) -> Tenant:
    settings = KeySettings(requests_per_minute=requests, tokens_per_minute=tokens)
    return Tenant(key_id=key_id, name=key_id, settings=settings)


async def admitted(limits: RateLimits, who: Tenant) -> bool:
    try:
        await limits.admit(who)
    except ApiError as error:
        if error.code != "rate_limit_exceeded":
            raise
        return False
    return True


async def test_it_counts_as_the_memory_does(limits: RateLimits) -> None:
    local = open_rate_limits(None)
    who = tenant(requests=5, tokens=1000)
    for used in (10, 0, 100, 7, 1):
        told = [await one.admit(who) for one in (limits, local)]
        assert told[0] == told[1]
        for one in (limits, local):
            await one.count_tokens(who, used)
    refusals = []
    for one in (limits, local):
        with pytest.raises(ApiError) as refusal:
            await one.admit(who)
        refusals.append(refusal.value)
    assert refusals[0].message == refusals[1].message
    assert refusals[0].kind == refusals[1].kind == "requests"
    assert refusals[0].headers == refusals[1].headers


async def test_tokens_beyond_the_limit_are_waited_for(limits: RateLimits) -> None:
    who = tenant(tokens=6000)
    await limits.admit(who)
    await limits.count_tokens(who, 6050)
    with pytest.raises(ApiError, match="6000 tokens per minute") as refusal:
        await limits.admit(who)
    assert refusal.value.headers["retry-after"] == "1"
    await asyncio.sleep(0.6)
    assert await admitted(limits, who)


async def test_buckets_fill_up_again(limits: RateLimits) -> None:
    who = tenant(requests=600)  # 10 a second
    while await admitted(limits, who):
        pass
    await asyncio.sleep(0.35)
    came = 0
    while await admitted(limits, who):
        came += 1
    assert 3 <= came <= 6


async def test_a_changed_limit_holds_at_once(limits: RateLimits) -> None:
    assert await admitted(limits, tenant(requests=100))
    assert [await admitted(limits, tenant(requests=1)) for _ in range(2)] == [True, False]
    assert await admitted(limits, tenant(tokens=5))  # requests are not limited any more
    assert await admitted(limits, tenant(requests=1, tokens=5))  # and once more, from full


async def test_keys_have_the_prefix_and_are_gone_once_they_are_full(
    limits: RateLimits, prefix: str
) -> None:
    await limits.admit(tenant("quick", requests=60_000))
    await limits.admit(tenant("slow", requests=2))
    with redis.Redis.from_url(demand_redis()) as client:
        kept = {key.decode() for key in client.scan_iter(f"{prefix}*")}
        assert kept == {f"{prefix}:rate:quick", f"{prefix}:rate:slow"}
        assert 0 < client.pttl(f"{prefix}:rate:quick") <= 2_000
        assert 30_000 < client.pttl(f"{prefix}:rate:slow") <= 31_500


async def test_who_is_not_limited_does_not_ask_redis(prefix: str) -> None:
    limits = open_rate_limits(config("redis://127.0.0.1:1/0", prefix))
    assert await limits.admit(ADMIN) == {}
    assert await limits.admit(tenant()) == {}
    await limits.count_tokens(tenant(requests=1), 5)
    assert isinstance(limits, RedisRateLimits)
    assert not limits.is_degraded
    await limits.aclose()


@pytest.mark.parametrize(
    ("requests", "tokens", "used", "per_minute"),
    [(600, 0, 0, 600), (0, 30_000, 50, 600)],
    ids=["requests", "tokens"],
)
def test_two_processes_never_exceed_a_limit_together(
    requests: int, tokens: int, used: int, per_minute: int, prefix: str
) -> None:
    arguments = [demand_redis(), prefix, str(requests), str(tokens), str(used), "2.5"]
    started = time.monotonic()
    children = [
        subprocess.Popen(
            [sys.executable, str(CHILD), *arguments],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    counts = [json.loads(child.communicate(timeout=60)[0]) for child in children]
    took_s = time.monotonic() - started
    # Of requests not one too many. Tokens are counted after the answer: what is under way, 16
    # clients' one request each, may go beyond.
    under_way = 16 if tokens else 0
    assert sum(counts) <= per_minute + took_s * per_minute / 60 + under_way
    assert sum(counts) >= per_minute
    assert min(counts) > 0


class Passage:
    """A way to Redis that can be blocked: a proxy on a port of its own."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.silent = False

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)

    @property
    def url(self) -> str:
        path = demand_redis().rpartition("/")[2]
        return f"redis://someone:a-password@127.0.0.1:{self.port}/{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        where = demand_redis().partition("//")[2].partition("/")[0]
        host, _, port = where.partition(":")
        there, back = await asyncio.open_connection(host, int(port or 6379))
        self._writers |= {writer, back}
        await asyncio.gather(self._pipe(reader, back), self._pipe(there, writer))
        self._writers -= {writer, back}

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not self.silent:
                    writer.write(data)
        except OSError:
            pass  # it was cut off
        finally:
            writer.close()


@pytest.fixture
async def passage() -> AsyncIterator[Passage]:
    passage = Passage()
    await passage.open()
    yield passage
    await passage.close()


async def test_an_outage_is_told_once_and_each_process_goes_on_alone(
    passage: Passage, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = passage.url.replace("someone:a-password@", "")
    limits = open_rate_limits(config(url, prefix))
    assert isinstance(limits, RedisRateLimits)
    who = tenant(requests=10, tokens=1000)
    await limits.admit(who)
    await passage.close()
    started = time.monotonic()
    with caplog.at_level(logging.WARNING):
        came = [await admitted(limits, who) for _ in range(15)]
        await limits.count_tokens(who, 5)
    assert came == [True] * 10 + [False] * 5  # the whole limit, and no more than that
    assert time.monotonic() - started < 3
    assert limits.is_degraded
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "Redis is away" in caplog.text
    caplog.clear()

    await passage.open()
    until = time.monotonic() + 12
    with caplog.at_level(logging.WARNING):
        while limits.is_degraded and time.monotonic() < until:
            await admitted(limits, who)
            await asyncio.sleep(0.05)
    assert not limits.is_degraded
    assert "answers again" in caplog.text
    told = await limits.admit(who)
    assert int(told["x-ratelimit-remaining-requests"]) < 10
    await limits.aclose()


async def test_a_redis_that_hangs_is_given_up_soon(
    passage: Passage, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    limits = open_rate_limits(config(passage.url.replace("someone:a-password@", ""), prefix))
    who = tenant(requests=100)
    await limits.admit(who)
    passage.silent = True
    started = time.monotonic()
    assert all(await asyncio.gather(*(admitted(limits, who) for _ in range(50))))
    assert time.monotonic() - started < 2
    assert caplog.text.count("Redis is away") == 1
    await limits.aclose()


async def test_a_broken_connection_alone_is_no_outage(passage: Passage, prefix: str) -> None:
    limits = open_rate_limits(config(passage.url.replace("someone:a-password@", ""), prefix))
    assert isinstance(limits, RedisRateLimits)
    who = tenant(requests=3)
    await limits.admit(who)
    await passage.close()
    await passage.open()
    left = await limits.admit(who)
    assert left["x-ratelimit-remaining-requests"] == "1"
    assert not limits.is_degraded
    await limits.aclose()


async def test_a_password_is_in_no_log_and_no_error(
    passage: Passage, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    limits = open_rate_limits(config(passage.url, prefix))  # Redis refuses it
    assert await admitted(limits, tenant(requests=3))
    assert "a-password" not in caplog.text
    await limits.aclose()
    with pytest.raises(ConfigError, match=r"redis\.url") as refusal:
        open_rate_limits(config("redis://:a-password@host:port/0", prefix))
    assert "a-password" not in str(refusal.value)
    assert refusal.value.__context__ is None or refusal.value.__suppress_context__


async def test_who_leaves_while_redis_is_asked_takes_nothing_down(
    passage: Passage, prefix: str
) -> None:
    limits = open_rate_limits(config(passage.url.replace("someone:a-password@", ""), prefix))
    who = tenant(requests=100)
    for _ in range(20):
        task = asyncio.create_task(limits.admit(who))
        await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait({task})
    told = await limits.admit(who)
    assert 78 <= int(told["x-ratelimit-remaining-requests"]) <= 99
    assert isinstance(limits, RedisRateLimits)
    assert not limits.is_degraded
    await limits.aclose()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.extras.find_spec", lambda module: None)
    with pytest.raises(UsageError, match=r"pip install 'sluice-router\[redis\]'"):
        open_rate_limits(config("redis://127.0.0.1:6379/0", "x"))
