"""When a call is made again."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.providers.retry import (
    BASE_DELAY_S,
    MAX_DELAY_S,
    MAX_RETRY_AFTER_S,
    backoff_s,
    read_retry_after,
)

NOW = datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC)


@given(st.integers(0, 1_000), st.integers())
def test_the_wait_doubles_with_jitter_up_to_a_limit(retry: int, seed: int) -> None:
    delay_s = backoff_s(retry, Random(seed))
    ceiling_s = min(BASE_DELAY_S * 2**retry, MAX_DELAY_S)
    assert delay_s is not None
    assert ceiling_s / 2 <= delay_s <= ceiling_s


def test_two_callers_do_not_come_back_together() -> None:
    assert len({backoff_s(2, Random(seed)) for seed in range(20)}) == 20


@given(st.floats(0, MAX_RETRY_AFTER_S), st.integers())
def test_the_provider_is_obeyed(asked_s: float, seed: int) -> None:
    delay_s = backoff_s(5, Random(seed), retry_after_s=asked_s)
    assert delay_s is not None
    assert asked_s <= delay_s <= asked_s * 1.1


def test_a_wait_that_is_too_long_is_not_waited() -> None:
    assert backoff_s(0, Random(1), retry_after_s=MAX_RETRY_AFTER_S + 0.1) is None
    assert backoff_s(0, Random(1), retry_after_s=3, limit_s=2) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "7", "retry-after-ms": "soon"}, 7.0),
        ({"retry-after": "Sun, 01 Jun 2025 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 01 Jun 2025 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Sun, 01 Jun 2025 14:00:30 +0200"}, 30.0),
        ({"retry-after": "Sun, 01 Jun 2025 11:00:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Mon, 99 Foo 2025 99:99:99 GMT"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, NOW) == seconds
