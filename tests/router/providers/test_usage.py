"""Token counts are believed where they make sense."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.chat import Usage
from router.providers.usage import MAX_TOKENS, read_usage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
NAMES = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "prompt_cache_hit_tokens",
        "cache_creation",
        "cache_write_tokens",
        "cached_tokens",
        "ephemeral_1h_input_tokens",
        "reasoning_tokens",
    ]
)


def test_all_that_there_is() -> None:
    found = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 40},
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    }
    assert read_usage(found) == Usage(
        prompt_tokens=100,
        completion_tokens=50,
        cached_tokens=60,
        cache_write_tokens=30,
        long_cache_write_tokens=20,
        reasoning_tokens=40,
    )


def test_deepseek_says_what_came_from_its_cache() -> None:
    found = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}
    assert read_usage(found) == Usage(prompt_tokens=9, completion_tokens=1, cached_tokens=8)


def test_what_gemini_thought_is_in_its_total_alone_and_is_paid_for() -> None:
    found = {"prompt_tokens": 20, "completion_tokens": 151, "total_tokens": 553}
    expected = Usage(prompt_tokens=20, completion_tokens=533, reasoning_tokens=382)
    assert read_usage(found) == expected
    named = {**found, "completion_tokens_details": {"reasoning_tokens": 382}}
    assert read_usage(named) == expected


@pytest.mark.parametrize(
    "details",
    [None, "x", [], {}, {"cached_tokens": -1}, {"cached_tokens": 11}, {"cached_tokens": "9"}],
)
def test_a_part_that_makes_no_sense_is_none_of_it(details: Any) -> None:
    found = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": details}
    assert read_usage(found) == Usage(prompt_tokens=10, completion_tokens=1)


@given(JSON | st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON)))
def test_nothing_raises_and_nothing_absurd_comes_through(found: Any) -> None:
    usage = read_usage(found)
    if usage is not None:
        assert 0 <= usage.cached_tokens + usage.cache_write_tokens <= usage.prompt_tokens
        assert 0 <= usage.long_cache_write_tokens <= usage.cache_write_tokens
        assert 0 <= usage.reasoning_tokens <= usage.completion_tokens <= MAX_TOKENS
