"""Prices: what providers publish for exactly this model, or none; never those of a neighbour."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.chat import Usage
from router.config import ModelConfig
from router.prices import Price, PriceTag, catalogue_price, context_window, price_of, undated

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)

# provider, model, USD per 1M tokens: input, output, cached input (None: none is published)
PUBLISHED = [
    ("openai", "gpt-4o", 2.5, 10, 1.25),
    ("openai", "gpt-4o-2024-08-06", 2.5, 10, 1.25),
    ("openai", "gpt-4o-2024-05-13", 5, 15, None),  # an older price, under a date of its own
    ("openai", "gpt-4o-mini", 0.15, 0.6, 0.075),
    ("openai", "gpt-4o-mini-2024-07-18", 0.15, 0.6, 0.075),
    ("openai", "gpt-4.1-nano", 0.1, 0.4, 0.025),
    ("openai", "gpt-5-nano-2025-08-07", 0.05, 0.4, 0.005),
    ("openai", "o3-mini-2025-01-31", 1.1, 4.4, 0.55),
    ("openai", "gpt-4-0613", 30, 60, None),
    ("anthropic", "claude-3-5-sonnet-20241022", 3, 15, 0.3),
    ("anthropic", "claude-3-5-sonnet-latest", 3, 15, 0.3),
    ("anthropic", "claude-3-haiku-20240307", 0.25, 1.25, 0.03),
    ("anthropic", "claude-3-5-haiku-20241022", 0.8, 4, 0.08),
    ("anthropic", "claude-sonnet-4-20250514", 3, 15, 0.3),
    ("anthropic", "claude-opus-4-1-20250805", 15, 75, 1.5),
    ("anthropic", "claude-opus-4-5-20251101", 5, 25, 0.5),
    ("gemini", "gemini-1.5-flash", 0.075, 0.3, 0.01875),
    ("gemini", "gemini-1.5-flash-002", 0.075, 0.3, 0.01875),
    ("gemini", "gemini-2.0-flash", 0.1, 0.4, 0.025),
    ("gemini", "gemini-2.0-flash-lite", 0.075, 0.3, None),
    ("gemini", "gemini-2.5-flash", 0.3, 2.5, 0.03),
    ("mistral", "mistral-large-2411", 2, 6, None),
    ("groq", "llama-3.1-8b-instant", 0.05, 0.08, None),
    ("groq", "llama-3.3-70b-versatile", 0.59, 0.79, None),
    ("groq", "openai/gpt-oss-20b", 0.075, 0.3, 0.0375),
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", 0.88, 0.88, None),
    ("openrouter", "openai/gpt-4o-mini", 0.15, 0.6, 0.075),
    ("openrouter", "anthropic/claude-3.5-sonnet", 3, 15, None),
]

# Names that begin like, contain, or extend a known one, and are another model or none at all.
UNKNOWN = [
    ("openai", "gpt-4o-mini-foo"),
    ("openai", "my-gpt-4o"),
    ("openai", "gpt-4o-20"),
    ("anthropic", "claude-3-5-sonnet-v9"),
    ("anthropic", "claude-3-haiku-turbo"),
    ("gemini", "gemini-1.5-flash-8b"),  # costs half of gemini-1.5-flash
    ("openrouter", "gpt-4o-mini"),  # there, ids begin with the maker
    ("groq", "gpt-4o"),
    ("openai", "text-embedding-3-small"),  # writes nothing
    ("ollama", "llama3.1"),
    ("vllm", "gpt-4o"),
    ("my-proxy", "gpt-4o"),
]


def _rates(price: Price | None) -> tuple[float, float, float | None]:
    assert price is not None
    cached = price.tiers[0][1].cached_input
    return price.input_cost, price.output_cost, None if cached is None else float(cached)


@pytest.mark.parametrize(("provider", "model", "input_cost", "output_cost", "cached"), PUBLISHED)
def test_published_prices(
    provider: str, model: str, input_cost: float, output_cost: float, cached: float | None
) -> None:
    config = ModelConfig(name=model, provider=provider)
    assert _rates(price_of(config, at=AT)) == (input_cost, output_cost, cached)


@pytest.mark.parametrize(("provider", "model"), UNKNOWN)
def test_what_is_not_listed_has_no_price(provider: str, model: str) -> None:
    assert price_of(ModelConfig(name=model, provider=provider), at=AT) is None


def test_the_upstream_name_counts_not_ours() -> None:
    config = ModelConfig(name="drafter", model="gpt-4o-mini")
    assert _rates(price_of(config, at=AT)) == (0.15, 0.6, 0.075)


def test_prices_follow_the_time_of_the_call() -> None:
    before = catalogue_price("openai", "o3", at=datetime(2025, 6, 9, tzinfo=UTC))
    after = catalogue_price("openai", "o3", at=datetime(2025, 6, 11, tzinfo=UTC))
    assert _rates(before)[:2] == (10, 40)
    assert _rates(after)[:2] == (2, 8)
    by_day = catalogue_price("deepseek", "deepseek-chat", at=datetime(2026, 11, 1, 12, tzinfo=UTC))
    by_night = catalogue_price(
        "deepseek", "deepseek-chat", at=datetime(2026, 11, 1, 20, tzinfo=UTC)
    )
    assert _rates(by_day) == (0.27, 1.1, 0.07)
    assert _rates(by_night) == (0.135, 0.55, 0.035)


def test_a_service_tier_has_its_own_price() -> None:
    config = ModelConfig(name="gpt-5")
    standard, priority, flex = (
        _rates(price_of(config, at=AT, params={"service_tier": tier, "temperature": 0}))
        for tier in ("default", "priority", "flex")
    )
    assert standard == (1.25, 10, 0.125)
    assert priority == (2.5, 20, 0.25)
    assert flex == (0.625, 5, 0.0625)


def test_own_prices_win() -> None:
    blended = price_of(ModelConfig(name="gpt-4o", cost=0.00625))
    apart = price_of(ModelConfig(name="gpt-4o", input_cost=1.0, output_cost=2.0))
    free = price_of(ModelConfig(name="llama3.1", provider="ollama", cost=0))
    assert _rates(blended) == (6.25, 6.25, None)
    assert _rates(apart) == (1, 2, None)
    assert free is not None
    assert free.cost_usd(Usage(prompt_tokens=10_000, completion_tokens=10_000)) == 0.0


def test_own_cache_prices_complete_the_catalogue() -> None:
    price = price_of(ModelConfig(name="gpt-4o", cached_input_cost=0.5, cache_write_cost=3.0), at=AT)
    assert _rates(price) == (2.5, 10, 0.5)
    assert price is not None
    assert price.cost_usd(_usage(prompt=1_000_000, cache_write=1_000_000)) == 3.0


def _usage(*, prompt: int = 0, completion: int = 0, cached: int = 0, cache_write: int = 0) -> Usage:
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        cache_write_tokens=cache_write,
    )


def test_cost_of_each_kind_of_token() -> None:
    price = price_of(ModelConfig(name="claude-sonnet-4-0", provider="anthropic"), at=AT)
    assert price is not None
    usage = _usage(prompt=10_000, completion=500, cached=6_000, cache_write=3_000)
    # 1,000 at 3.00, 6,000 at 0.30, 3,000 at 3.75, 500 at 15.00 per million
    assert price.cost_usd(usage) == pytest.approx(0.02355, abs=1e-12)


def test_what_is_cached_for_an_hour_is_dearer_to_write() -> None:
    usage = Usage(
        prompt_tokens=10_000,
        completion_tokens=0,
        cached_tokens=6_000,
        cache_write_tokens=3_000,
        long_cache_write_tokens=2_000,
    )
    price = price_of(ModelConfig(name="claude-sonnet-4-0", provider="anthropic"), at=AT)
    assert price is not None
    # 1,000 at 3.00, 6,000 at 0.30, 1,000 at 3.75, 2,000 at 6.00 per million
    assert price.cost_usd(usage) == pytest.approx(0.02055, abs=1e-12)
    own = price_of(ModelConfig(name="m", input_cost=1.0, output_cost=1.0, cache_write_cost=2.0))
    plain = price_of(ModelConfig(name="m", input_cost=1.0, output_cost=1.0))
    assert own is not None
    assert plain is not None
    # Without a price of its own it costs what any writing does, and else what input does.
    assert own.cost_usd(usage) == pytest.approx(0.013, abs=1e-12)
    assert plain.cost_usd(usage) == pytest.approx(0.010, abs=1e-12)


def test_reasoning_is_part_of_the_answer() -> None:
    price = price_of(ModelConfig(name="o3"), at=AT)
    assert price is not None
    thought = Usage(prompt_tokens=0, completion_tokens=1_000_000, reasoning_tokens=900_000)
    assert price.cost_usd(thought) == 8.0


def test_cached_tokens_without_a_price_cost_as_much_as_others() -> None:
    price = price_of(ModelConfig(name="gpt-4o-2024-05-13"), at=AT)
    assert price is not None
    assert price.cost_usd(_usage(prompt=1_000_000, cached=400_000)) == 5.0


def test_costs_are_whole_nano_dollars() -> None:
    price = price_of(ModelConfig(name="x", input_cost=0.0375, output_cost=0.0375))
    assert price is not None
    assert price.cost_usd(_usage(prompt=1)) == 0.000000038  # 37.5 nano, rounded half up


def test_a_long_prompt_is_billed_at_its_own_rates() -> None:
    price = price_of(ModelConfig(name="claude-sonnet-4-5", provider="anthropic"), at=AT)
    assert price is not None
    assert price.cost_usd(_usage(prompt=200_000)) == 0.6
    assert price.cost_usd(_usage(prompt=200_001)) == pytest.approx(1.200006, abs=1e-12)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o"),
        ("anthropic", "claude-sonnet-4-5"),
        ("anthropic", "claude-haiku-5-5"),
        ("gemini", "gemini-2.5-pro"),
    ],
)
@given(data=st.data())
def test_no_call_costs_more_than_its_bound(provider: str, model: str, data: st.DataObject) -> None:
    price = catalogue_price(provider, model, at=AT)
    assert price is not None
    prompt_bound = data.draw(st.integers(0, 1_000_000))
    completion_bound = data.draw(st.integers(0, 200_000))
    prompt = data.draw(st.integers(0, prompt_bound))
    cached = data.draw(st.integers(0, prompt))
    written = data.draw(st.integers(0, prompt - cached))
    usage = Usage(
        prompt_tokens=prompt,
        completion_tokens=data.draw(st.integers(0, completion_bound)),
        cached_tokens=cached,
        cache_write_tokens=written,
        long_cache_write_tokens=data.draw(st.integers(0, written)),
    )
    assert price.cost_usd(usage) <= price.upper_bound_usd(prompt_bound, completion_bound)


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4"),
        ("gemini-2.5-flash-preview-05-20", "gemini-2.5-flash-preview"),
        ("gemini-1.5-pro-002", "gemini-1.5-pro"),
        ("mistral-large-latest", "mistral-large"),
        ("llama3-70b-8192", "llama3-70b-8192"),
        ("claude-opus-4-1", "claude-opus-4-1"),
        ("gpt-4-0613", "gpt-4-0613"),
    ],
)
def test_dates_and_versions_come_off(model: str, plain: str) -> None:
    assert undated(model) == plain


def test_context_windows_are_known_where_the_catalogue_has_them() -> None:
    assert context_window("openai", "gpt-4o") == 128_000
    assert context_window("openai", "nobody-knows") is None


def test_importing_prices_does_not_load_the_catalogue() -> None:
    code = "import sys, router.prices; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_price_tag_keeps_what_it_found_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def look_up(config: ModelConfig, **more: Any) -> Price | None:
        asked.append(more["params"])
        return price_of(config, **more)

    monkeypatch.setattr("router.prices.price_of", look_up)
    tag, noon = PriceTag(ModelConfig(name="gpt-4o")), AT.timestamp()
    plain = tag.price({"seed": 1}, now=noon)
    assert plain is not None
    assert tag.price({"seed": 2}, now=noon + 3599.0) is plain
    assert len(asked) == 1
    dear = tag.price({"service_tier": "priority"}, now=noon)
    assert dear is not None
    assert dear.input_cost > plain.input_cost
    tag.price({}, now=noon + 3600.0)
    assert len(asked) == 3
    assert PriceTag(ModelConfig(name="nobody-knows-it")).price({}, now=noon) is None


def test_made_up_tiers_are_not_remembered() -> None:
    tag = PriceTag(ModelConfig(name="gpt-5"))
    now = AT.timestamp()
    standard = tag.price({}, now=now)
    made_up: list[Any] = [f"tier {n}" for n in range(100)] + [[1], {"a": 2}, None, 3.0]
    for tier in made_up:
        assert tag.price({"service_tier": tier, "speed": tier}, now=now) == standard
    assert _rates(tag.price({"service_tier": "priority"}, now=now)) == (2.5, 20, 0.25)
    assert len(tag._known) == 3  # without a tier, with one of no account, and this one
