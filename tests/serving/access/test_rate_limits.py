"""Requests and tokens per minute, in memory: what is admitted, what is said, what is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.records.key_records import KeySettings
from serving.access.local_rate_limits import LocalRateLimits
from serving.access.rate_limits import open_rate_limits
from serving.access.tenants import ADMIN, ANYBODY, Tenant
from serving.errors import ApiError


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def tenant(key_id: str = "k", requests: int | None = None, tokens: int | None = None) -> Tenant:
    settings = KeySettings(requests_per_minute=requests, tokens_per_minute=tokens)
    return Tenant(key_id=key_id, name=key_id, settings=settings)


async def admitted(limits: LocalRateLimits, who: Tenant) -> bool:
    try:
        await limits.admit(who)
    except ApiError as error:
        if error.code != "rate_limit_exceeded":
            raise
        return False
    return True


async def test_so_many_requests_come_in_a_minute() -> None:
    clock = Clock()
    limits, who = LocalRateLimits(clock=clock), tenant(requests=3)
    assert [await admitted(limits, who) for _ in range(5)] == [True, True, True, False, False]
    clock.now += 19.9
    assert not await admitted(limits, who)
    clock.now += 0.2
    assert [await admitted(limits, who) for _ in range(2)] == [True, False]
    clock.now += 3600
    assert [await admitted(limits, who) for _ in range(4)] == [True, True, True, False]


async def test_answers_tell_what_is_left() -> None:
    limits, who = LocalRateLimits(clock=Clock()), tenant(requests=2, tokens=100)
    assert await limits.admit(who) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "100",
    }
    await limits.count_tokens(who, 30)
    left = await limits.admit(who)
    assert left["x-ratelimit-remaining-requests"] == "0"
    assert left["x-ratelimit-remaining-tokens"] == "70"


async def test_a_refusal_says_which_limit_it_is_and_when_to_come_back() -> None:
    limits, who = LocalRateLimits(clock=Clock()), tenant(requests=4)
    for _ in range(4):
        await limits.admit(who)
    with pytest.raises(ApiError, match="4 requests per minute") as refusal:
        await limits.admit(who)
    assert refusal.value.kind == "requests"
    assert refusal.value.headers == {
        "x-ratelimit-limit-requests": "4",
        "x-ratelimit-remaining-requests": "0",
        "retry-after": "15",
    }


async def test_nobody_is_sent_back_for_less_than_a_second() -> None:
    limits, who = LocalRateLimits(clock=Clock()), tenant(requests=6000)
    while await admitted(limits, who):
        pass
    with pytest.raises(ApiError) as refusal:
        await limits.admit(who)
    assert refusal.value.headers["retry-after"] == "1"


async def test_an_answer_may_use_more_tokens_than_are_left_and_the_next_one_waits() -> None:
    clock = Clock()
    limits, who = LocalRateLimits(clock=clock), tenant(tokens=600)
    await limits.admit(who)
    await limits.count_tokens(who, 900)
    with pytest.raises(ApiError, match="600 tokens per minute") as refusal:
        await limits.admit(who)
    assert refusal.value.kind == "tokens"
    assert refusal.value.headers["x-ratelimit-remaining-tokens"] == "0"
    assert refusal.value.headers["retry-after"] == "31"  # 300 short, and one to begin with
    clock.now += 31
    assert await admitted(limits, who)


async def test_what_is_refused_counts_nothing() -> None:
    clock = Clock()
    limits, who = LocalRateLimits(clock=clock), tenant(requests=5, tokens=60)
    await limits.admit(who)
    await limits.count_tokens(who, 120)
    for _ in range(50):
        assert not await admitted(limits, who)
    clock.now += 61.1
    assert [await admitted(limits, who) for _ in range(6)] == [True] * 5 + [False]


async def test_the_longer_wait_is_told() -> None:
    limits, who = LocalRateLimits(clock=Clock()), tenant(requests=1, tokens=60)
    await limits.admit(who)
    await limits.count_tokens(who, 60 + 300)
    with pytest.raises(ApiError, match="tokens per minute"):
        await limits.admit(who)


async def test_tenants_have_buckets_of_their_own() -> None:
    limits = LocalRateLimits(clock=Clock())
    for key_id in ("a", "b"):
        who = tenant(key_id, requests=2)
        assert [await admitted(limits, who) for _ in range(3)] == [True, True, False]


async def test_a_changed_limit_holds_at_once() -> None:
    clock = Clock()
    limits = LocalRateLimits(clock=clock)
    assert await admitted(limits, tenant(requests=100))
    assert [await admitted(limits, tenant(requests=1)) for _ in range(2)] == [True, False]
    clock.now += 0.7
    assert await admitted(limits, tenant(requests=100))


async def test_without_limits_there_is_nothing_to_tell_or_to_keep() -> None:
    limits = LocalRateLimits()
    for who in (ANYBODY, ADMIN, tenant()):
        assert await limits.admit(who) == {}
        await limits.count_tokens(who, 10**9)
    assert len(limits) == 0


async def test_full_buckets_are_forgotten() -> None:
    clock = Clock()
    limits = LocalRateLimits(clock=clock)
    for index in range(1000):
        await limits.admit(tenant(f"k{index}", requests=10, tokens=10))
        clock.now += 0.1
    assert len(limits) <= 2 * 61  # as many as come in the time that one takes to be full again
    clock.now += 60
    for _ in range(200):
        await limits.admit(tenant("last", requests=10_000))
    assert len(limits) <= 2


async def test_buckets_are_bounded_in_number() -> None:
    limits = LocalRateLimits(clock=Clock(), max_buckets=100)
    for index in range(1000):
        await limits.admit(tenant(f"k{index}", requests=1))
    assert len(limits) == 100
    assert not await admitted(limits, tenant("k999", requests=1))


@given(
    limit=st.integers(1, 500),
    steps=st.lists(st.tuples(st.floats(0, 90), st.integers(1, 40)), max_size=40),
)
async def test_no_more_comes_in_than_the_limit_and_what_has_filled_up_since(
    limit: int, steps: list[tuple[float, int]]
) -> None:
    clock = Clock()
    limits, who = LocalRateLimits(clock=clock), tenant(requests=limit)
    came, start = 0, clock.now
    for pause_s, burst in steps:
        clock.now += pause_s
        came += sum([await admitted(limits, who) for _ in range(burst)])
        assert came <= limit + (clock.now - start) * limit / 60 + 1e-6


async def test_without_redis_this_process_counts_alone() -> None:
    limits = open_rate_limits(None)
    assert isinstance(limits, LocalRateLimits)
    await limits.aclose()
