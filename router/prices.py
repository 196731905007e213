"""What calls cost: a model's own prices, else those of the catalogue that `genai-prices` ships.

The catalogue's own rules match by the beginning or by parts of a name, so that a model it does not
know can get the price of another ("gemini-1.5-flash-8b" that of gemini-1.5-flash, at twice its
own). Here a model has a price only when the catalogue lists exactly its id, or its id without the
date or version at its end. A model without one has None: not zero, and no guess.

Prices are for tokens; what providers charge for their own tools (a web search) is not in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from .chat import Usage
from .config import ModelConfig
from .money import to_usd

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo, ModelPrice, TieredPrices

__all__ = [
    "PRICED_PARAMS",
    "Price",
    "PriceTag",
    "Rates",
    "catalogue_price",
    "context_window",
    "price_of",
    "undated",
]

_ATTO_PER_NANO: Final = 10**9
_ATTO_PER_MTOK: Final = 10**12  # of a rate in USD per 1,000,000 tokens
_CATALOGUE_NAMES: Final = {"gemini": "google"}

_CATALOGUE_RATES: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "long_cache_write": "cache_write_1h_mtok",
}

PRICED_PARAMS: Final = ("service_tier", "speed")
"""What of a call's parameters can change its price."""
_PRICED: Final = frozenset(PRICED_PARAMS)

_DATED = re.compile(
    r"(?:[-@]20\d\d-?\d\d-?\d\d"  # -2024-08-06, -20241022, @20241022
    r"|-\d\d-(?:20)?\d\d"  # -05-20 (month and day), -09-2025
    r"|-00\d"
    r"|-latest)$"
)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """USD per 1,000,000 tokens. What is None is billed as input; reasoning is billed as output.

    `cache_write` is for a cache of minutes, `long_cache_write` for one of an hour, which costs no
    less: where it is None it is billed as `cache_write`.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    long_cache_write: Decimal | None = None

    @cached_property
    def per_token(self) -> tuple[int, int, int, int, int]:
        """Whole 1e-18 USD for a token that is input, cached input, written to the cache, written
        for long, or output. Rates have far fewer digits, so this is exact, and quick to add up."""
        cached = self.input if self.cached_input is None else self.cached_input
        write = self.input if self.cache_write is None else self.cache_write
        long_write = write if self.long_cache_write is None else self.long_cache_write
        rates = (self.input, cached, write, long_write, self.output)
        first, *rest = (int((rate * _ATTO_PER_MTOK).to_integral_value()) for rate in rates)
        return (first, *rest)  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a call of one model costs.

    `tiers` are pairs (n, rates), n ascending from -1: a call with more than n tokens in its prompt
    is billed at these rates, all of it. `call_usd` comes on top of every call.
    """

    tiers: tuple[tuple[int, Rates], ...]
    call_usd: Decimal = Decimal(0)

    @property
    def input_cost(self) -> float:
        """USD per 1,000,000 tokens of a short prompt."""
        return float(self.tiers[0][1].input)

    @property
    def output_cost(self) -> float:
        """USD per 1,000,000 tokens of the answer to a short prompt."""
        return float(self.tiers[0][1].output)

    def cost_usd(self, usage: Usage) -> float:
        """What a call with this usage costs, in USD, to the nano-dollar."""
        prompt, cached = usage.prompt_tokens, usage.cached_tokens
        written = usage.cache_write_tokens
        for n, rates in reversed(self.tiers):  # noqa: B007 - the one that is reached counts
            if prompt > n:
                break
        per_input, per_cached, per_write, per_long_write, per_output = rates.per_token
        atto = self._call_atto + usage.completion_tokens * per_output
        if not cached and not written:  # this is asked several times in every run
            atto += prompt * per_input
        else:
            cached = min(cached, prompt)
            written = min(written, prompt - cached)
            for_long = min(usage.long_cache_write_tokens, written)
            atto += (
                (prompt - cached - written) * per_input
                + cached * per_cached
                + (written - for_long) * per_write
                + for_long * per_long_write
            )
        return to_usd((atto + _ATTO_PER_NANO // 2) // _ATTO_PER_NANO)

    @cached_property
    def _call_atto(self) -> int:
        return int((self.call_usd * _ATTO_PER_NANO * 10**9).to_integral_value())

    def upper_bound_usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The most a call with at most so many tokens can cost, whatever is cached, in USD."""
        atto = self._call_atto + max(
            [
                prompt_tokens * max(dearest) + completion_tokens * output
                for n, rates in self.tiers
                if prompt_tokens > n
                for *dearest, output in (rates.per_token,)
            ]
        )
        return to_usd((atto + _ATTO_PER_NANO // 2) // _ATTO_PER_NANO)


class PriceTag:
    """What one model costs, looked up anew every hour, as catalogues change by the hour.

    It remembers one price for each of the few tiers that the catalogue has for the model, however
    many names callers make up.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._known: dict[tuple[object, ...], Price | None] = {}

    def price(self, params: Mapping[str, Any], *, now: float) -> Price | None:
        """The price of a call with these parameters at `now` (Unix seconds); None: unknown."""
        key: tuple[object, ...] = (int(now) // 3600,)
        if not _PRICED.isdisjoint(params):
            key += tuple([self._tier(name, params.get(name)) for name in PRICED_PARAMS])
        if key not in self._known:
            self._known = {known: one for known, one in self._known.items() if known[0] == key[0]}
            at = datetime.fromtimestamp(now, UTC)
            self._known[key] = price_of(self._config, at=at, params=params)
        return self._known[key]

    def _tier(self, name: str, said: object) -> str | None:
        """What is said, if that has a price of its own."""
        return said if isinstance(said, str) and (name, said) in self._tiers else None

    @cached_property
    def _tiers(self) -> frozenset[tuple[str, str]]:
        config = self._config
        if _own_price(config) is not None:
            return frozenset()
        info = _find(config.provider, config.model or config.name)
        variants = () if info is None else info.price_variants or ()
        return frozenset(said for variant in variants for said in variant.when.items())


def price_of(
    config: ModelConfig, *, at: datetime | None = None, params: Mapping[str, Any] | None = None
) -> Price | None:
    """The price of a model: its own where its configuration has one, else the catalogue's.

    None: unknown. `at` (default: now) and `params` are as for `catalogue_price`. The provider is
    the one that the configuration names, wherever its `api_base` points.
    """
    price = _own_price(config)
    if price is None:
        name = config.model or config.name
        price = catalogue_price(config.provider, name, at=at, params=params)
    if price is None:
        return None
    own = {"cached_input": config.cached_input_cost, "cache_write": config.cache_write_cost}
    given = {name: _decimal(cost) for name, cost in own.items() if cost is not None}
    if not given:
        return price
    return replace(price, tiers=tuple((n, replace(rates, **given)) for n, rates in price.tiers))


def catalogue_price(
    provider: str,
    model: str,
    *,
    at: datetime | None = None,
    params: Mapping[str, Any] | None = None,
) -> Price | None:
    """The catalogue's price of exactly this model of this provider; None when it has none.

    `at`: when the call is made, as prices change, with some providers by the hour. `params`: the
    call's parameters or the reply, whose service_tier or speed can have a price of its own. The
    first call loads the catalogue, which takes some 60 ms.
    """
    info = _find(provider, model)
    if info is None:
        return None
    variant = (
        {key: params[key] for key in PRICED_PARAMS if isinstance(params.get(key), str)}
        if params
        else None
    )
    return _price(info.get_prices(at or datetime.now(UTC), variant))


def context_window(provider: str, model: str) -> int | None:
    """How many tokens a model of the catalogue can hold, where that is known."""
    info = _find(provider, model)
    return None if info is None else info.context_window


def undated(model: str) -> str:
    """A model's id without the date or version at its end ("gpt-4o-2024-08-06" is gpt-4o)."""
    return _DATED.sub("", model)


def _own_price(config: ModelConfig) -> Price | None:
    if config.cost is not None:
        blended = _decimal(config.cost) * 1000
        return Price(tiers=((-1, Rates(input=blended, output=blended)),))
    if config.input_cost is not None and config.output_cost is not None:
        rates = Rates(input=_decimal(config.input_cost), output=_decimal(config.output_cost))
        return Price(tiers=((-1, rates),))
    return None


def _decimal(cost: float) -> Decimal:
    return Decimal(repr(cost))


def _find(provider: str, model: str) -> ModelInfo | None:
    known = _models(_CATALOGUE_NAMES.get(provider, provider))
    name = model.lower()
    return known.get(name) or known.get(undated(name))


@cache
def _models(provider_id: str) -> Mapping[str, ModelInfo]:
    """Every id that the catalogue lists for a provider, in lower case, and what it stands for."""
    from genai_prices.data import providers

    listed: dict[str, ModelInfo] = {}
    begun: dict[str, ModelInfo] = {}
    for info in next((found.models for found in providers if found.id == provider_id), ()):
        listed.setdefault(info.id.lower(), info)
        for rule, text in _texts(info.match):
            # A rule's beginning or part of a name is also a whole name, if all rules agree.
            if info.is_match(text):
                (listed if rule == "equals" else begun).setdefault(text.lower(), info)
    return begun | listed


def _texts(clause: MatchLogic) -> Iterator[tuple[str, str]]:
    for rule in ("equals", "starts_with", "contains"):
        text = getattr(clause, rule, None)
        if text is not None:
            yield rule, text
    for inner in (*getattr(clause, "or_", ()), *getattr(clause, "and_", ())):
        yield from _texts(inner)


def _price(found: ModelPrice) -> Price | None:
    """The catalogue's price in our terms; None for a model that does not turn text into text."""
    prices = {name: getattr(found, key) for name, key in _CATALOGUE_RATES.items()}
    given = {name: price for name, price in prices.items() if price is not None}
    if "input" not in given or "output" not in given:
        return None
    starts = {tier.start for price in given.values() for tier in getattr(price, "tiers", ())}
    tiers = tuple(
        (start, Rates(**{name: _rate(price, start) for name, price in given.items()}))
        for start in (-1, *sorted(starts))
    )
    per_thousand = _rate(found.requests_kcount or Decimal(0), -1)
    return Price(tiers=tiers, call_usd=per_thousand / 1000)


def _rate(price: Decimal | TieredPrices, start: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    reached = [tier.price for tier in price.tiers if tier.start <= start]  # by ascending start
    return reached[-1] if reached else price.base
