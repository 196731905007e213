"""The validation section: does it tell right from wrong, set by set, and how honestly?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router.types import Draft, Query
from router.validation.features import meaningful, query_evidence

from ..bootstrap import Interval, group_bootstrap
from ..draft_rows import has_drafts
from ..metrics import auc, brier, ece, within_model_auc
from ..outcomes import Outcomes
from ..report import Cell, Table
from .bench import Bench
from .evidence import Evidence

__all__ = ["JudgedPairs", "judge_pairs", "logprob_table", "pair_table", "validation_table"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_RESAMPLES = 200


@dataclass(frozen=True, kw_only=True)
class JudgedPairs:
    """Random ordered pairs of drafts of one source, judged; all [n]. NaN in `pair` where a prompt
    has one draft only; `unseen_*` by a validator that never saw the source, if there is one."""

    source: str
    model: npt.NDArray[Any]
    group: Ints
    correct: Floats
    single: Floats
    pair: Floats
    unseen_single: Floats | None = None
    unseen_pair: Floats | None = None


def judge_pairs(
    source: str,
    outcomes: Outcomes,
    bench: Bench,
    *,
    unseen: Bench | None,
    most: int,
    seed: int,
    progress: Any = iter,
) -> JudgedPairs | None:
    """Judge at most `most` drafts of a source, alone and beside a random peer; None if it has no
    drafts with labels."""
    rows = np.flatnonzero(
        (outcomes.column("source") == source) & bench.usable & has_drafts(outcomes)
    )
    if not len(rows):
        return None
    ones, peers = _pairs(rows, outcomes.prompt_codes[rows], most, np.random.default_rng(seed))
    texts = _Texts(outcomes, np.concatenate([ones, peers[peers >= 0]]))
    found = np.full((4, len(ones)), np.nan)
    for number in progress(range(len(ones))):
        one, peer = int(ones[number]), int(peers[number])
        for offset, judge in enumerate((bench, unseen)):
            if judge is not None:
                found[2 * offset, number] = _p(judge, texts, (one,))
                if peer >= 0:
                    found[2 * offset + 1, number] = _p(judge, texts, (one, peer))
    return JudgedPairs(
        source=source,
        model=outcomes.column("model")[ones],
        group=bench.group[ones],
        correct=outcomes.labels[ones],
        single=found[0],
        pair=found[1],
        unseen_single=found[2] if unseen is not None else None,
        unseen_pair=found[3] if unseen is not None else None,
    )


def validation_table(judged: Sequence[JudgedPairs], *, seed: int) -> Table:
    """One row per source: AUC within models, Brier and calibration error, alone and in pairs."""
    rows: list[list[Cell]] = []
    for one in judged:
        paired = ~np.isnan(one.pair)
        both = bool(paired.any())
        row: list[Cell] = [
            one.source,
            len(one.correct),
            _auc(one, one.single, seed),
            _auc(one, one.pair, seed) if both else None,
            brier(one.correct, one.single),
            brier(one.correct[paired], one.pair[paired]) if both else None,
            ece(one.correct, one.single),
            ece(one.correct[paired], one.pair[paired]) if both else None,
        ]
        for values in (one.unseen_single, one.unseen_pair):
            known = values is not None and not np.isnan(values).all()
            row.append(_auc(one, values, seed) if known and values is not None else None)
        rows.append(row)
    columns = ["source", "n", "AUC single", "AUC pair", "Brier single", "Brier pair"]
    columns += ["ECE single", "ECE pair", "AUC single, set left out", "AUC pair, set left out"]
    return Table(
        name="validation",
        columns=columns,
        rows=rows,
        note="AUC for right against wrong, averaged within models; random drafts beside the draft "
        "of a random other model. 'Set left out': judged by a validator that never saw the set.",
    )


def pair_table(lines: Sequence[Evidence], *, seed: int) -> Table:
    """The benchmark pairs: AUC of both drafters' drafts alone and beside each other."""
    rows: list[list[Cell]] = []
    for line in lines:
        seen = set()
        for candidate in line.candidates:
            drafters = candidate.data.chain[:2]
            if len(candidate.data.chain) < 3 or frozenset(drafters) in seen:
                continue
            seen.add(frozenset(drafters))
            pair = np.array(
                [remembered[drafters].p_drafts for remembered in candidate.stages.assessed]
            )
            single = np.array([one[drafters[:1]].p_drafts[0] for one in candidate.stages.assessed])
            correct = candidate.data.correct
            group = candidate.data.group
            rows.append(
                [
                    line.line.name,
                    " + ".join(drafters),
                    len(correct),
                    _plain_auc(correct[:, 0], single, group, seed),
                    _mean_auc(correct, pair, group, seed),
                ]
            )
    return Table(
        name="benchmark-pairs",
        columns=["line", "drafters", "n", "AUC single (first)", "AUC pair (mean of both)"],
        rows=rows,
    )


def logprob_table(
    outcomes: Outcomes, bench: Bench, *, model: str, seed: int, progress: Any = iter
) -> Table:
    """Sources with log-probabilities: the raw one against the validator that is given it."""
    confidence = outcomes.column("confidence").astype(np.float64)
    usable = bench.usable & has_drafts(outcomes) & (outcomes.column("model") == model)
    usable &= ~np.isnan(confidence)
    rows: list[list[Cell]] = []
    for source in sorted(set(outcomes.column("source")[usable].tolist())):
        own = np.flatnonzero(usable & (outcomes.column("source") == source))
        texts = _Texts(outcomes, own)
        p = np.array([_p(bench, texts, (int(row),)) for row in progress(own)])
        without = np.array([_p(bench, texts, (int(row),), logprobs=False) for row in own])
        correct, group = outcomes.labels[own], bench.group[own]
        row: list[Cell] = [source, len(own), _plain_auc(correct, confidence[own], group, seed)]
        row += [_plain_auc(correct, p, group, seed), _plain_auc(correct, without, group, seed)]
        rows.append([*row, auc(correct, p) >= auc(correct, confidence[own]) - 5e-4])
    columns = ["source", "n", "AUC raw log-prob", "AUC validator", "AUC without log-probs"]
    return Table(
        name="log-probs",
        columns=[*columns, "no lower than raw"],
        rows=rows,
        note=f"Drafts of {model}, judged alone.",
    )


class _Texts:
    """The drafts and prompts of some rows, read once."""

    def __init__(self, outcomes: Outcomes, rows: Ints) -> None:
        numbers = np.unique(rows)
        mask = np.zeros(len(outcomes), dtype=bool)
        mask[numbers] = True
        part = outcomes.filter(mask)
        names = ("prompt", "response", "model", "confidence")
        columns = [part.column(name) for name in names]
        self._rows = {
            int(n): values for n, values in zip(numbers, zip(*columns, strict=True), strict=True)
        }

    def query(self, row: int) -> Query:
        return Query.from_prompt(str(self._rows[row][0]))

    def draft(self, row: int, *, logprobs: bool) -> Draft:
        _, response, model, confidence = self._rows[row]
        known = logprobs and confidence is not None and not np.isnan(confidence)
        return Draft(
            text=str(response),
            model=str(model),
            logprobs=(min(float(confidence), 0.0),) if known else None,
        )


def _p(bench: Bench, texts: _Texts, rows: tuple[int, ...], *, logprobs: bool = True) -> float:
    """P(the first row's draft is right), the other rows' drafts known."""
    query = texts.query(rows[0])
    drafts = [texts.draft(row, logprobs=logprobs) for row in rows]
    prediction, embeddings = bench.prediction_beside(query, rows, list(map(meaningful, drafts)))
    judged = bench.validator(rows[0]).judge(
        query_evidence(query), drafts, prediction, embeddings=embeddings
    )
    return judged.p_drafts[0]


def _pairs(
    rows: Ints, prompts: Ints, most: int, generator: np.random.Generator
) -> tuple[Ints, Ints]:
    """At most `most` rows, each with a random other row of its prompt (-1 where it has none)."""
    order = np.argsort(prompts, kind="stable")
    starts = np.flatnonzero(np.diff(prompts[order], prepend=-1))
    size = np.diff(np.append(starts, len(order)))
    start_of = np.repeat(starts, size)
    size_of = np.repeat(size, size)
    place = np.arange(len(order)) - start_of
    chosen = np.sort(generator.permutation(len(order))[:most])
    shift = 1 + generator.integers(0, np.maximum(size_of[chosen] - 1, 1))
    other = order[start_of[chosen] + (place[chosen] + shift) % size_of[chosen]]
    peers = np.where(size_of[chosen] > 1, rows[other], -1)
    return rows[order[chosen]], peers.astype(np.int64)


def _auc(one: JudgedPairs, p: Floats, seed: int) -> Interval:
    known = ~np.isnan(p)
    correct, values, model = one.correct[known], p[known], one.model[known].astype(str)
    return group_bootstrap(
        lambda i: within_model_auc(correct[i], values[i], model[i]),
        one.group[known],
        n=_RESAMPLES,
        seed=seed,
    )


def _plain_auc(correct: Floats, p: Floats, group: Ints, seed: int) -> Interval:
    return group_bootstrap(lambda i: auc(correct[i], p[i]), group, n=_RESAMPLES, seed=seed)


def _mean_auc(correct: Floats, p: Floats, group: Ints, seed: int) -> Interval:
    """Mean over the drafters; correct and p [n, n_drafters or more]."""
    return group_bootstrap(
        lambda i: float(np.mean([auc(correct[i, j], p[i, j]) for j in range(p.shape[1])])),
        group,
        n=_RESAMPLES,
        seed=seed,
    )
