"""An endpoint that keeps failing is left alone, and found again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.providers.circuit import COOL_DOWN_S, MAX_COOL_DOWN_S, MAX_FAILURES, CircuitBreaker


@pytest.fixture
def opened() -> CircuitBreaker:
    """One that opened at time 0."""
    breaker = CircuitBreaker()
    for _ in range(MAX_FAILURES):
        assert breaker.allow(0)
        breaker.fail(0)
    return breaker


def test_it_opens_after_failures_in_a_row(opened: CircuitBreaker) -> None:
    assert not opened.allow(0)
    assert not opened.allow(COOL_DOWN_S - 0.01)
    assert opened.wait_s(4) == COOL_DOWN_S - 4


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = CircuitBreaker()
    for _ in range(3):
        for _ in range(MAX_FAILURES - 1):
            breaker.fail(0)
        breaker.succeed()
    assert breaker.allow(0)
    assert breaker.wait_s(0) == 0


def test_one_probe_at_a_time(opened: CircuitBreaker) -> None:
    assert opened.allow(COOL_DOWN_S)
    assert not opened.allow(COOL_DOWN_S + 100)
    opened.abandon()
    assert opened.allow(COOL_DOWN_S + 100)


def test_a_probe_that_goes_well_closes_it(opened: CircuitBreaker) -> None:
    assert opened.allow(COOL_DOWN_S)
    opened.succeed()
    assert all(opened.allow(COOL_DOWN_S) for _ in range(10))
    opened.fail(COOL_DOWN_S)
    assert opened.allow(COOL_DOWN_S), "one failure is not enough again"


def test_a_probe_that_fails_doubles_the_wait(opened: CircuitBreaker) -> None:
    now, waits = 0.0, []
    for _ in range(6):
        now += opened.wait_s(now)
        assert opened.allow(now)
        opened.fail(now)
        waits.append(opened.wait_s(now))
    assert waits == [20, 40, 80, 120, 120, 120]
    assert waits[-1] == MAX_COOL_DOWN_S


def test_stragglers_do_not_lengthen_the_wait(opened: CircuitBreaker) -> None:
    opened.fail(5)
    assert opened.wait_s(5) == COOL_DOWN_S - 5


@given(st.lists(st.sampled_from(["succeed", "fail", "abandon"])), st.floats(0, 50))
def test_it_always_lets_one_through_in_the_end(ends: list[str], step_s: float) -> None:
    breaker, now = CircuitBreaker(), 0.0
    for end in ends:
        if breaker.allow(now):
            if end == "fail":
                breaker.fail(now)
            else:
                getattr(breaker, end)()
        now += step_s
    assert breaker.wait_s(now) <= MAX_COOL_DOWN_S
    assert breaker.allow(now + MAX_COOL_DOWN_S)
