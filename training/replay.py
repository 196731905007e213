"""Recorded outcomes, replayed through the production cascade.

A `ReplaySet` is one chain of models on the prompts that all of them answered. `RecordedProvider`
gives the recorded answers to `router.cascade.run_cascade`; the judge is the production one, or
one whose models have not seen the prompt (evaluation/crossfit.py). `collect_stages` asks that judge
for the evidence of every stage once, so that thresholds can be searched over arrays; a test holds
the search and the cascade to the same decisions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router.cascade import CascadeResult, Judge, run_cascade
from router.errors import DataError, UpstreamError, UsageError
from router.policy import Assessment, Thresholds
from router.types import Draft, Query

from .outcomes import Outcomes

__all__ = [
    "CachedJudge",
    "RecordedProvider",
    "ReplaySet",
    "Stages",
    "collect_stages",
    "replay",
    "replay_set",
]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_CHARS_PER_TOKEN = 4.0  # where a source recorded no token counts


@dataclass(frozen=True, kw_only=True)
class ReplaySet:
    """One chain on n prompts: `rows` int64 [n, n_models] are row numbers of the outcomes, `group`
    the prompt's group, `correct` and `cost_usd` [n, n_models]; the last model is the verifier."""

    name: str
    chain: tuple[str, ...]
    rows: Ints
    group: Ints
    correct: Floats
    cost_usd: Floats
    drafts: tuple[tuple[Draft, ...], ...]
    queries: tuple[Query, ...]

    def __len__(self) -> int:
        return len(self.rows)


def replay_set(
    outcomes: Outcomes,
    groups: Ints,
    *,
    name: str,
    chain: Sequence[str],
    prices: Mapping[str, tuple[float, float]],
    sources: Sequence[str],
) -> ReplaySet:
    """The prompts of `sources` that every model of `chain` answered, each with a label.

    Costs are the recorded ones where there are any; else `prices` (USD per 1M tokens, input and
    output) times the recorded token counts or, without those, characters / 4. Raises DataError
    when no prompt has all the models, UsageError when a model has neither costs nor a price.
    """
    columns = {n: outcomes.column(n) for n in ("source", "model", "prompt", "response")}
    numbers = {n: outcomes.column(n) for n in ("output_tokens", "cost_usd", "confidence")}
    wanted = {model: position for position, model in enumerate(chain)}
    found: dict[int, list[int]] = {}
    inside = np.isin(columns["source"].astype(str), list(sources)) & ~np.isnan(outcomes.labels)
    for index in np.flatnonzero(inside).tolist():
        position = wanted.get(columns["model"][index])
        if position is not None:
            found.setdefault(int(outcomes.prompt_codes[index]), [-1] * len(chain))[position] = index
    rows = np.array([row for row in found.values() if min(row) >= 0], dtype=np.int64)
    if not len(rows):
        raise DataError(
            f"no prompt of {', '.join(sources)} was answered by all of {', '.join(chain)}; "
            "name models that the outcome files hold for the same prompts"
        )
    drafts, costs = [], np.zeros(rows.shape)
    for i, row in enumerate(rows):
        answers = []
        for j, index in enumerate(row):
            draft = _draft(columns, numbers, int(index), prices.get(chain[j]))
            costs[i, j] = draft.cost_usd or 0.0
            answers.append(draft)
        drafts.append(tuple(answers))
    return ReplaySet(
        name=name,
        chain=tuple(chain),
        rows=rows,
        group=groups[rows[:, 0]],
        correct=outcomes.labels[rows],
        cost_usd=costs,
        drafts=tuple(drafts),
        queries=tuple(Query.from_prompt(str(columns["prompt"][row[0]])) for row in rows),
    )


def _draft(
    columns: Mapping[str, npt.NDArray[Any]],
    numbers: Mapping[str, npt.NDArray[Any]],
    index: int,
    price: tuple[float, float] | None,
) -> Draft:
    text, model = str(columns["response"][index] or ""), str(columns["model"][index])
    tokens, cost, confidence = (
        _number(numbers[name][index]) for name in ("output_tokens", "cost_usd", "confidence")
    )
    n_in = max(1, round(len(str(columns["prompt"][index])) / _CHARS_PER_TOKEN))
    n_out = max(1, round(len(text) / _CHARS_PER_TOKEN)) if tokens is None else int(tokens)
    if cost is None and price is None:
        raise UsageError(
            f"no price is known for {model!r}, and its outcomes have no cost_usd; give either",
            param="prices",
        )
    if cost is None and price is not None:
        cost = (n_in * price[0] + n_out * price[1]) / 1e6
    return Draft(
        text=text,
        model=model,
        logprobs=None if confidence is None else (min(confidence, 0.0),),
        input_tokens=n_in,
        output_tokens=n_out,
        cost_usd=cost,
    )


def _number(value: Any) -> float | None:
    """None for what is unknown."""
    return None if value is None or np.isnan(value) else float(value)


class RecordedProvider:
    """Answers one prompt of a replay set with what its models answered then."""

    def __init__(self, chain: Sequence[str], drafts: Sequence[Draft]) -> None:
        self._drafts = dict(zip(chain, drafts, strict=True))

    async def complete(self, query: Query, model: str) -> Draft:
        """The recorded answer; UpstreamError when the model has none."""
        if model not in self._drafts:
            raise UpstreamError("no recorded answer", model=model, provider="replay")
        return self._drafts[model]


class CachedJudge:
    """Remembers a judge's assessments of one prompt by the models that have drafted."""

    def __init__(self, judge: Judge, remembered: dict[tuple[str | None, ...], Assessment]) -> None:
        self._judge = judge
        self._remembered = remembered

    def start(self, query: Query, chain: Sequence[str]) -> Assessment:
        return self._recall((), lambda: self._judge.start(query, chain))

    def assess(self, query: Query, chain: Sequence[str], drafts: Sequence[Draft]) -> Assessment:
        key = tuple(draft.model for draft in drafts)
        return self._recall(key, lambda: self._judge.assess(query, chain, drafts))

    def _recall(self, key: tuple[str | None, ...], ask: Any) -> Assessment:
        if key not in self._remembered:
            self._remembered[key] = ask()
        return self._remembered[key]


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The evidence of every stage of one replay set, and what each way out is worth and costs.

    `gain` float64 [n, n_drafters + 1]: the gain of escalating before any draft, after the first,
    after the second ... `assessed` has the assessments themselves.
    """

    gain: Floats
    accepted: Floats  # [n, n_drafters]: quality of accepting after 1, 2, ... drafts
    draft_cost: Floats  # [n, n_drafters]: cost of the first 1, 2, ... drafts together
    verifier: Floats  # [n]
    verifier_cost: Floats  # [n]
    group: Ints
    assessed: tuple[dict[tuple[str | None, ...], Assessment], ...]


def collect_stages(data: ReplaySet, judges: Sequence[Judge], progress: Any = iter) -> Stages:
    """Ask `judges[i]` for the evidence on prompt i at every stage, in the order of the chain."""
    n, drafters = len(data), len(data.chain) - 1
    gain = np.zeros((n, drafters + 1))
    accepted = np.zeros((n, drafters))
    assessed = []
    for i in progress(range(n)):
        remembered: dict[tuple[str | None, ...], Assessment] = {}
        judge = CachedJudge(judges[i], remembered)
        gain[i, 0] = judge.start(data.queries[i], data.chain).gain
        for made in range(1, drafters + 1):
            found = judge.assess(data.queries[i], data.chain, data.drafts[i][:made])
            gain[i, made] = found.gain
            best = max(range(made), key=lambda k: (found.p_drafts[k], -k))
            accepted[i, made - 1] = data.correct[i, best]
        assessed.append(remembered)
    return Stages(
        gain=gain,
        accepted=accepted,
        draft_cost=np.cumsum(data.cost_usd[:, :-1], axis=1),
        verifier=data.correct[:, -1],
        verifier_cost=data.cost_usd[:, -1],
        group=data.group,
        assessed=tuple(assessed),
    )


def replay(
    data: ReplaySet, judges: Sequence[Judge], thresholds: Thresholds
) -> tuple[list[CascadeResult[Draft]], Floats, Floats]:
    """Run the production cascade on every prompt: (results, quality [n], cost_usd [n])."""

    async def run() -> list[CascadeResult[Draft]]:
        return [
            await run_cascade(
                query,
                chain=data.chain,
                thresholds=thresholds,
                judge=judge,
                provider=RecordedProvider(data.chain, drafts),
            )
            for query, judge, drafts in zip(data.queries, judges, data.drafts, strict=True)
        ]

    results = asyncio.run(run())
    position = {model: j for j, model in enumerate(data.chain)}
    quality = np.array(
        [data.correct[i, position[str(one.answer.model)]] for i, one in enumerate(results)]
    )
    return results, quality, np.array([one.cost_usd for one in results])
