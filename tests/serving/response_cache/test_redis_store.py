"""The store that replicas share, on a real Redis, and while there is none."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest
from redis import Redis

from router.errors import ConfigError, StoreError
from serving.response_cache.redis_store import RedisLink, RedisStore
from serving.response_cache.store import EntryKeys
from tests.server_process import free_port

from .conftest import Gate


def keys(exact: int, alike: int | None = None, tenant: str = "aa") -> EntryKeys:
    return EntryKeys(
        tenant=tenant,
        exact=exact.to_bytes(32, "big"),
        alike=None if alike is None else (alike + 1000).to_bytes(32, "big"),
    )


@pytest.fixture
async def store(redis_url: str, prefix: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(RedisLink(redis_url), prefix=prefix, ttl_s=60.0)
    yield store
    await store.aclose()


async def test_replicas_find_what_the_others_kept(
    store: RedisStore, redis_url: str, prefix: str
) -> None:
    other = RedisStore(RedisLink(redis_url), prefix=prefix, ttl_s=60.0)
    assert await other.find(keys(1, alike=7)) is None
    await store.keep(keys(1, alike=7), b"one\x00\xff")
    assert await other.find(keys(1, alike=7)) == ("exact", b"one\x00\xff")
    assert await other.find(keys(1)) == ("exact", b"one\x00\xff")
    assert await other.find(keys(2, alike=7)) == ("semantic", b"one\x00\xff")
    assert await other.find(keys(2)) is None
    await other.keep(keys(3, alike=7), b"three")
    assert await store.find(keys(2, alike=7)) == ("semantic", b"three")
    await other.aclose()


async def test_tenants_and_prefixes_are_apart(
    store: RedisStore, redis_url: str, prefix: str
) -> None:
    await store.keep(keys(1, alike=7, tenant="aa"), b"one")
    assert await store.find(keys(1, alike=7, tenant="ab")) is None
    other = RedisStore(RedisLink(redis_url), prefix=f"{prefix}x", ttl_s=60.0)
    assert await other.find(keys(1, alike=7, tenant="aa")) is None
    await other.aclose()


async def test_redis_forgets_by_itself(redis_url: str, prefix: str) -> None:
    store = RedisStore(RedisLink(redis_url), prefix=prefix, ttl_s=0.05)
    await store.keep(keys(1, alike=7), b"one")
    deadline = time.monotonic() + 5
    while await store.find(keys(1, alike=7)) is not None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    with Redis.from_url(redis_url) as client:
        assert not list(client.scan_iter(match=f"{prefix}*"))
    await store.aclose()


async def test_a_tenant_is_forgotten_whatever_the_prefix_is_made_of(
    redis_url: str, prefix: str
) -> None:
    store = RedisStore(RedisLink(redis_url), prefix=f"{prefix}*[a]?", ttl_s=60.0)
    near = RedisStore(RedisLink(redis_url), prefix=f"{prefix}-a-", ttl_s=60.0)
    for number in range(1200):  # more than one batch
        await store.keep(keys(number), b"x")
    await store.keep(keys(1, tenant="ab"), b"other")
    await near.keep(keys(1), b"near")
    await store.forget("aa")
    with Redis.from_url(redis_url) as client:
        assert len(list(client.scan_iter(match=f"{prefix}*"))) == 2
    assert await store.find(keys(1, tenant="ab")) == ("exact", b"other")
    assert await near.find(keys(1)) == ("exact", b"near")
    await store.aclose()
    await near.aclose()


async def test_foreign_values_are_a_miss(store: RedisStore, redis_url: str, prefix: str) -> None:
    asked = keys(1, alike=7)
    assert asked.alike is not None
    exact, alike = (f"{prefix}:answers:aa:{key.hex()}" for key in (asked.exact, asked.alike))
    with Redis.from_url(redis_url) as client:
        client.lpush(exact, "a list")
        client.set(alike, "no key")
        assert await store.find(asked) is None
        client.set(alike, bytes(32))  # of an entry that is gone
        assert await store.find(asked) is None
    await store.keep(asked, b"one")
    assert await store.find(asked) == ("exact", b"one")


async def test_an_outage_is_a_miss_and_one_line_in_the_log(
    gate: Gate, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    link = RedisLink(gate.url, clock=lambda: now)
    store = RedisStore(link, prefix=prefix, ttl_s=60.0)
    await store.keep(keys(1), b"one")
    assert await store.find(keys(1)) == ("exact", b"one")
    with caplog.at_level(logging.INFO, logger="sluice.serving"):
        await gate.shut()
        for _ in range(5):
            assert await store.find(keys(1)) is None
            await store.keep(keys(2), b"two")
            now += 1.0
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        with pytest.raises(StoreError, match="cached answers stay"):
            await store.forget("aa")
        await gate.open()
        assert await store.find(keys(1)) == ("exact", b"one")
        assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
        assert await store.find(keys(2)) is None
        await gate.shut()
        assert await store.find(keys(1)) is None
        assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "ERROR"]
        await gate.open()
    await store.aclose()


async def test_a_silent_redis_costs_a_moment_and_then_nothing(gate: Gate, prefix: str) -> None:
    now = 0.0
    store = RedisStore(RedisLink(gate.url, clock=lambda: now), prefix=prefix, ttl_s=60.0)
    await store.keep(keys(1), b"one")
    gate.silent = True
    for _ in range(2):  # whoever asks first, at once and after a rest
        start = time.perf_counter()
        first = asyncio.create_task(store.find(keys(1)))
        await asyncio.sleep(0.01)
        if now:
            for _ in range(100):  # the others do not wait for the first
                assert await store.find(keys(1)) is None
            assert time.perf_counter() - start < 0.9
        assert await first is None
        assert 0.9 < time.perf_counter() - start < 4.0
        connections = gate.n_connections
        start = time.perf_counter()
        for _ in range(100):
            assert await store.find(keys(1)) is None
        assert time.perf_counter() - start < 0.5
        assert gate.n_connections == connections
        now += 5.0
    gate.silent = False
    assert await store.find(keys(1)) == ("exact", b"one")
    await store.aclose()


async def test_look_ups_side_by_side_get_their_own_answers(
    store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.gather(*(store.keep(keys(n), str(n).encode()) for n in range(300)))
    found = await asyncio.gather(*(store.find(keys(n)) for n in range(300)))
    assert found == [("exact", str(n).encode()) for n in range(300)]
    assert not caplog.records


async def test_a_caller_who_leaves_takes_nobodys_answer(store: RedisStore) -> None:
    for number in range(20):
        await store.keep(keys(number), str(number).encode())
    tasks = [asyncio.create_task(store.find(keys(n % 20))) for n in range(200)]
    await asyncio.sleep(0.002)
    for task in tasks[::2]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    for number, one in enumerate(found):
        if not isinstance(one, asyncio.CancelledError):
            assert one == ("exact", str(number % 20).encode())
    assert await store.find(keys(3)) == ("exact", b"3")


async def test_nothing_is_connected_before_it_is_used() -> None:
    store = RedisStore(RedisLink(f"redis://127.0.0.1:{free_port()}/0"), prefix="x", ttl_s=1.0)
    await store.aclose()


def test_an_address_that_is_none_is_refused_without_its_secret() -> None:
    with pytest.raises(ConfigError, match=r"redis\.url") as refusal:
        RedisLink("http://:hunter2@h")
    assert "hunter2" not in str(refusal.value)
