"""What a cache adds to a request that it cannot answer, and how soon it answers others.

In process, one thread; keys, look-up and all. A miss is what every request pays for, so it has a
bar. Redis is on the same machine, and is left out where there is none.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from router.agent.results import RunResult
from router.chat import ChatRequest
from router.engine import Engine
from router.types import Embedding
from serving.config import CacheConfig
from serving.response_cache import ResponseCache
from serving.response_cache.cache import Shelf
from serving.response_cache.memory_store import MemoryStore
from serving.response_cache.redis_store import RedisLink, RedisStore
from serving.response_cache.store import Store
from tests.key_databases import demand_redis
from tests.serving.response_cache.answers import answered
from tests.upstream import answer

BOTH = CacheConfig(exact=True, semantic=True, threshold=0.9)
EXACT = CacheConfig(exact=True)
MISS_BAR_US = 30.0
N, N_ROUNDS = 2_000, 3
HEADER = ("response cache, us", "p50", "p99")
QUESTION = "How do I add the numbers {} and {} in my head, quickly and without mistakes?"
LONG = "You are a patient tutor. Explain every step, and never skip one. " * 30
TEXT = "Line the numbers up by place value and add the units first, carrying where needed. " * 12


def _request(number: int, *, long: bool = False) -> ChatRequest:
    question = QUESTION.format(number, number * 7)
    messages = [{"role": "user", "content": question}]
    if long:
        messages = [{"role": "system", "content": LONG}, *messages]
    return ChatRequest.of(messages, {"temperature": 0, "max_tokens": 300})


@pytest.fixture(scope="module")
async def result() -> RunResult:
    return await answered(answer(TEXT))


def _cache(config: CacheConfig, store: Store | None = None) -> ResponseCache:
    store = store or MemoryStore(max_entries=10_000, ttl_s=3600.0)
    return ResponseCache({"auto": Shelf(config=config, store=store)})


def _never() -> Embedding:
    raise AssertionError("a miss needs no embedding")


async def _find(cache: ResponseCache, request: ChatRequest, embed: Any = _never) -> Any:
    ask = cache.ask(request, cascade="auto", key_id="k1", artifact="1")
    assert ask is not None
    return await cache.find(ask, embed)


async def _keep(cache: ResponseCache, request: ChatRequest, result: RunResult) -> None:
    ask = cache.ask(request, cascade="auto", key_id="k1", artifact="1")
    assert ask is not None
    await cache.keep(ask, result, request_id="slc_1")


async def _measure(work: Callable[[int], Awaitable[Any]], n: int = N) -> tuple[float, float]:
    """p50 and p99 in microseconds, of the best of some rounds."""
    rounds = []
    for _ in range(N_ROUNDS):
        times = []
        for index in range(n):
            start = time.perf_counter()
            await work(index)
            times.append((time.perf_counter() - start) * 1e6)
        times.sort()
        rounds.append((times[n // 2], times[int(n * 0.99)]))
    return min(rounds)


@pytest.mark.benchmark
async def test_a_miss_in_memory_costs_next_to_nothing(report: Any, result: RunResult) -> None:
    for name, config, long in (
        ("exact, a miss", EXACT, False),
        ("exact, a miss, 2,000 characters before it", EXACT, True),
        ("exact and semantic, a miss", BOTH, False),
    ):
        cache = _cache(config)
        for number in range(N):
            await _keep(cache, _request(number), result)
        requests = [_request(number + N, long=long) for number in range(N)]
        p50, p99 = await _measure(
            lambda index, cache=cache, requests=requests: _find(cache, requests[index])
        )
        report.add("The response cache", HEADER, (name, f"{p50:.1f}", f"{p99:.1f}"))
        assert p50 < MISS_BAR_US


@pytest.mark.benchmark
async def test_hits_are_quick(report: Any, result: RunResult) -> None:
    predict = Engine.shared().predict
    cache = _cache(BOTH)
    requests = [_request(number) for number in range(N)]
    p50, p99 = await _measure(lambda index: _keep(cache, requests[index], result))
    report.add("The response cache", HEADER, ("keeping an answer", f"{p50:.1f}", f"{p99:.1f}"))
    p50, p99 = await _measure(lambda index: _find(cache, requests[index]))
    report.add("The response cache", HEADER, ("an exact hit", f"{p50:.1f}", f"{p99:.1f}"))
    lowered = [ChatRequest.of(one.query().text.lower(), one.params) for one in requests]

    async def find(index: int) -> None:
        request = lowered[index]
        embed = lambda: predict(request.query(), ["gpt-4o-mini"]).embedding  # noqa: E731
        assert await _find(cache, request, embed) is None  # the answer is to another question

    with_prediction = await _measure(find)
    row = ("a semantic candidate, prediction included", *(f"{one:.1f}" for one in with_prediction))
    report.add("The response cache", HEADER, row)


@pytest.mark.benchmark
async def test_redis_answers_within_a_millisecond(report: Any, result: RunResult) -> None:
    store = RedisStore(
        RedisLink(demand_redis()), prefix=f"sluice-bench-{secrets.token_hex(4)}", ttl_s=60.0
    )
    cache = _cache(BOTH, store)
    requests = [_request(number) for number in range(N)]
    for request in requests[:500]:
        await _keep(cache, request, result)
    for name, start in (("Redis, an exact hit", 0), ("Redis, a miss", 1_000)):
        p50, p99 = await _measure(
            lambda index, start=start: _find(cache, requests[start + index]), n=500
        )
        report.add("The response cache", HEADER, (name, f"{p50:.0f}", f"{p99:.0f}"))
    await cache.forget("k1")
    await cache.aclose()
