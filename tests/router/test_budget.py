"""Budget arithmetic: bounds that hold, and windows that begin and end at UTC midnight."""

from __future__ import annotations

import base64
import math
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.budget import (
    IMAGE_TOKENS,
    Limit,
    Scope,
    _bound_of,
    day_key,
    limits_of,
    month_key,
    output_bound,
    resets_in_s,
    upper_bound_tokens,
    window_key,
)
from router.chat import ChatRequest
from router.config import BudgetConfig
from router.errors import InputError

SCOPES = cast(tuple[Scope, ...], ("daily", "monthly", "user_daily", "user_monthly"))
moments = st.floats(0.0, 4e9)


def test_limits_of_a_call() -> None:
    config = BudgetConfig(
        daily_limit=1.5, monthly_limit=20, per_user_daily_limit=0.1, per_user_monthly_limit=0.25
    )
    every = (
        Limit(scope="daily", limit_nano=1_500_000_000),
        Limit(scope="monthly", limit_nano=20_000_000_000),
    )
    of_ann = (
        Limit(scope="user_daily", limit_nano=100_000_000, user="ann"),
        Limit(scope="user_monthly", limit_nano=250_000_000, user="ann"),
    )
    assert limits_of(config, "ann") == every + of_ann
    assert limits_of(config, None) == limits_of(config, "") == every
    assert limits_of(BudgetConfig(), "ann") == ()


def test_windows_are_utc() -> None:
    late = datetime(2026, 12, 31, 20, 0, tzinfo=timezone(timedelta(hours=-5)))
    assert day_key(late) == "2027-01-01"
    assert month_key(late) == "2027-01"
    assert window_key("user_daily", late) == day_key(late) == day_key(late.timestamp())
    assert window_key("user_monthly", late) == month_key(late)


@pytest.mark.parametrize(
    ("moment", "day_s", "month_s"),
    [
        (datetime(2026, 11, 30, 23, 59, 59, 750_000, tzinfo=UTC), 0.25, 0.25),
        (datetime(2026, 12, 1, tzinfo=UTC), 86_400, 31 * 86_400),
        (datetime(2028, 2, 28, 12, tzinfo=UTC), 43_200, 43_200 + 86_400),  # a leap year
        (datetime(2026, 12, 31, 23, tzinfo=UTC), 3_600, 3_600),
    ],
)
def test_when_windows_begin_anew(moment: datetime, day_s: float, month_s: float) -> None:
    assert resets_in_s("daily", moment) == resets_in_s("user_daily", moment) == day_s
    assert resets_in_s("monthly", moment) == resets_in_s("user_monthly", moment) == month_s


@given(moments, st.sampled_from(SCOPES))
def test_a_window_lasts_until_it_resets(at: float, scope: Scope) -> None:
    left_s = resets_in_s(scope, at)
    assert 0 < left_s <= (86_400 if "daily" in scope else 31 * 86_400)
    begins = datetime.fromtimestamp(at, UTC) + timedelta(seconds=left_s)
    assert window_key(scope, begins) > window_key(scope, at)
    assert window_key(scope, begins - timedelta(microseconds=1)) == window_key(scope, at)


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), float("nan"), float("inf")])  # noqa: DTZ001
def test_a_moment_must_be_clear(moment: datetime | float) -> None:
    with pytest.raises(InputError, match="moment"):
        day_key(moment)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.lists(st.text(), min_size=1), json_values)
def test_a_prompt_has_no_more_tokens_than_bytes(texts: list[str], extra: Any) -> None:
    request = ChatRequest(
        messages=tuple({"role": "user", "content": text} for text in texts),
        params={"tools": extra},
    )
    sent = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    assert upper_bound_tokens(request) >= sent + len(str(extra)) + 16 * len(texts)


def test_texts_count_by_their_bytes() -> None:
    def bound(text: str) -> int:
        return upper_bound_tokens(ChatRequest.of([{"role": "user", "content": text}]))

    assert bound("a" * 1_000) - bound("") == 1_000
    assert bound("é" * 1_000) - bound("") == 2_000
    assert bound("\ud800") - bound("") == 3


DATA = base64.b64encode(bytes(300_000)).decode()


@pytest.mark.parametrize(
    "image",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{DATA}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
        {"type": "tool_result", "content": [{"type": "image", "source": {"data": DATA}}]},
    ],
)
def test_an_image_counts_as_one_whatever_its_size(image: dict[str, Any]) -> None:
    content = [{"type": "text", "text": "What is it?"}, image]
    plain = ChatRequest(messages=({"role": "user", "content": content[:1]},))
    bound = upper_bound_tokens(ChatRequest(messages=({"role": "user", "content": content},)))
    assert IMAGE_TOKENS <= bound - upper_bound_tokens(plain) < IMAGE_TOKENS + 200


def test_text_cannot_hide_in_an_image() -> None:
    message = {"role": "user", "type": "image", "content": "x" * 500_000}
    assert upper_bound_tokens(ChatRequest(messages=(message,))) > 500_000 + IMAGE_TOKENS


def test_the_system_prompt_and_tools_count() -> None:
    messages = ({"role": "user", "content": "hi"},)
    plain = upper_bound_tokens(ChatRequest(messages=messages))
    system = {"system": [{"type": "text", "text": "s" * 5_000}]}
    tools = {"tools": [{"name": "f", "description": "d" * 5_000}]}
    for params in (system, tools):
        assert upper_bound_tokens(ChatRequest(messages=messages, params=params)) > plain + 5_000


def test_deep_nesting_is_no_danger() -> None:
    nested: Any = "x"
    for _ in range(100_000):
        nested = [nested]
    request = ChatRequest(messages=({"role": "user", "content": nested},))
    assert upper_bound_tokens(request) > 100_000


@pytest.mark.parametrize(
    ("params", "limit", "bound"),
    [
        ({}, 16_384, 16_384),
        ({}, None, None),
        ({"max_tokens": 100}, 16_384, 100),
        ({"max_completion_tokens": 100}, None, 100),
        ({"max_tokens": 100, "max_completion_tokens": 300}, None, 300),
        ({"max_tokens": 100, "n": 3}, None, 300),
        ({"n": 3}, 1_000, 3_000),
        ({"max_tokens": "many", "n": True}, 1_000, 1_000),
        ({"max_tokens": 0, "n": 0}, 1_000, 1_000),
    ],
)
def test_the_bound_of_the_answers(
    params: dict[str, Any], limit: int | None, bound: int | None
) -> None:
    request = ChatRequest(messages=({"role": "user", "content": "hi"},), params=params)
    assert output_bound(request, limit) == bound


content = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.fixed_dictionaries({"type": st.sampled_from(["image", "input_image"]), "url": inner})
    ),
    max_leaves=40,
)


@given(content, st.integers(1, 30))
def test_the_coarse_bound_is_no_smaller(value: Any, max_nodes: int) -> None:
    exact = _bound_of(value, math.inf)
    assert _bound_of(value, max_nodes) >= exact
    assert _bound_of(value) == exact


def test_a_flood_of_values_is_bounded_quickly() -> None:
    request = ChatRequest(
        messages=({"role": "user", "content": "hi"},), params={"own": list(range(2_000_000))}
    )
    begin = time.perf_counter()
    bound = upper_bound_tokens(request)
    assert time.perf_counter() - begin < 0.5
    assert 2_000_000 * 8 + 12_888_890 <= bound < 40_000_000
