"""The lines that are reported: which models in which sources, at what prices, against what bars."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from router.errors import DataError

from ..outcomes import Outcomes

__all__ = ["Bar", "Line", "benchmark_lines", "find_lines", "line_for_chain"]

Prices = Mapping[str, tuple[float, float]]
TARGETS = (0.96, 0.98, 0.99, 1.0)
_FEWEST_PROMPTS = 200


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A target retention, and the saving asked for at it (None: none was set)."""

    target: float
    saving: float | None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One comparison. `chains` are the candidate chains, all ending in the same verifier; which of
    them to use is part of the policy and chosen on the calibration side. The first is the one a
    pooled policy uses: its drafters go from cheap to dear."""

    name: str
    sources: tuple[str, ...]
    chains: tuple[tuple[str, ...], ...]
    prices: Prices
    bars: tuple[Bar, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """All models of its chains."""
        return tuple(dict.fromkeys(model for chain in self.chains for model in chain))

    @property
    def verifier(self) -> str:
        return self.chains[0][-1]


def benchmark_lines(outcomes: Outcomes) -> list[Line]:
    """The published lines whose sources and models are all among the outcomes."""
    stored = json.loads(files("training").joinpath("benchmarks.json").read_text(encoding="utf-8"))
    prices = {name: (pair[0], pair[1]) for name, pair in stored["prices_usd_per_1m_tokens"].items()}
    sources, models = set(outcomes.sources), set(outcomes.models)
    found = []
    for entry in stored["lines"]:
        chains = [
            (*order, entry["verifier"])
            for drafters in entry["drafters"]
            if models.issuperset(drafters)
            for order in itertools.permutations(drafters)
        ]
        if (
            not chains
            or not sources.issuperset(entry["sources"])
            or entry["verifier"] not in models
        ):
            continue
        line = Line(
            name=entry["name"],
            sources=tuple(entry["sources"]),
            chains=tuple(chains),
            prices=prices,
            bars=tuple(Bar(target=t, saving=s) for t, s in entry["bars"]),
        )
        found.append(line)
    return found


def line_for_chain(
    chain: Sequence[str], outcomes: Outcomes, prices: Prices, *, sources: Sequence[str] = ()
) -> Line:
    """A line for a chain that the user names, with every order of its drafters."""
    unknown = [model for model in chain if model not in outcomes.models]
    if unknown:
        raise DataError(
            f"no outcomes of {', '.join(unknown)}; the files hold {', '.join(outcomes.models[:20])}"
        )
    *drafters, verifier = chain
    where = f"{sources[0]}: " if len(sources) == 1 else ""
    return Line(
        name=f"{where}{' + '.join(drafters)} -> {verifier}",
        sources=tuple(sources) or outcomes.sources,
        chains=tuple((*order, verifier) for order in itertools.permutations(drafters)),
        prices=prices,
        bars=tuple(Bar(target=target, saving=None) for target in TARGETS),
    )


def find_lines(outcomes: Outcomes, costs: Mapping[str, float], prices: Prices) -> list[Line]:
    """For each source: its two cheapest models that are any good, and the best model above them.

    `costs`: mean USD an answer of each model. Models that answered fewer than 200 prompts of the
    source, or whose accuracy is below two thirds of its best, are left out.
    """
    found = []
    for name in outcomes.sources:
        accuracy = {m: a for m, a in _accuracy(outcomes, name).items() if m in costs}
        if not accuracy:
            continue
        best = max(accuracy, key=lambda model: (accuracy[model], -costs[model]))
        good = [
            m for m, a in accuracy.items() if costs[m] < costs[best] and a * 3 > accuracy[best] * 2
        ]
        cheapest = sorted(good, key=costs.__getitem__)[:2]
        if cheapest:
            found.append(line_for_chain([*cheapest, best], outcomes, prices, sources=(name,)))
    if not found:
        raise DataError(
            "no source has two models with 200 labelled prompts and known prices in common, so "
            "there is nothing to route between; name a chain with --chain, or add cost_usd"
        )
    return found


def _accuracy(outcomes: Outcomes, source: str) -> dict[str, float]:
    """Mean label of each model with enough labels in the source."""
    rows = ~np.isnan(outcomes.labels) & (outcomes.column("source") == source)
    names, codes = np.unique(outcomes.column("model")[rows].astype(str), return_inverse=True)
    counts = np.bincount(codes, minlength=len(names))
    total = np.bincount(codes, outcomes.labels[rows], minlength=len(names))
    mean = total / np.maximum(counts, 1)
    return {
        str(name): float(mean[i]) for i, name in enumerate(names) if counts[i] >= _FEWEST_PROMPTS
    }
