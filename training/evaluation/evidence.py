"""The evidence on one line: every candidate chain replayed to every stage, on the same prompts.

The judge is asked once per prompt and stage. The inputs of the recalibration layer are recorded on
the way, so that other weights can be tried without judging again (`with_weights`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from router.errors import DataError
from router.validation.recalibration import Recalibration

from ..outcomes import Outcomes
from ..recalibrate import HeadData, fit_correction, fit_recalibration
from ..replay import ReplaySet, Stages, collect_stages, replay_set
from .bench import Bench
from .benchmarks import Line

__all__ = [
    "Candidate",
    "Evidence",
    "cross_recalibrated",
    "gain_error",
    "gather_evidence",
    "head_data",
    "recalibrated",
    "take",
    "with_weights",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class RecordingWeights(Recalibration):
    """A recalibration that notes each input it was applied to, as (head, input)."""

    seen: list[tuple[str, tuple[float, ...]]] = field(default_factory=list, compare=False)

    def corrects(self, head: str) -> bool:
        return True  # or inputs that change nothing would not be seen

    def weigh(self, head: str, inputs: tuple[float, ...]) -> float:
        self.seen.append((head, inputs))
        return super().weigh(head, inputs)


@dataclass(frozen=True, kw_only=True)
class StageInputs:
    """What the recalibration layer saw after `made` drafts: drafts float64 [n, made, n_inputs],
    verifier [n, n_inputs], correction [n, n_inputs]; `head` is that of the drafts, `correcting`
    that of the correction."""

    head: str
    drafts: Floats
    verifier: Floats
    correcting: str
    correction: Floats


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One chain with its evidence; `inputs[k]` is the stage after k + 1 drafts."""

    data: ReplaySet
    stages: Stages
    inputs: tuple[StageInputs, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The candidates of one line, prompt by prompt the same. `p_success` is [n, n_models] in the
    order of the first candidate's chain."""

    line: Line
    candidates: tuple[Candidate, ...]
    p_success: Floats

    @property
    def group(self) -> Ints:
        return self.candidates[0].data.group

    @property
    def verifier(self) -> Floats:
        """Quality of always asking the verifier, float64 [n]."""
        return self.candidates[0].stages.verifier

    @property
    def verifier_cost(self) -> Floats:
        return self.candidates[0].stages.verifier_cost

    def __len__(self) -> int:
        return len(self.verifier)


def gather_evidence(
    line: Line, outcomes: Outcomes, bench: Bench, *, progress: Any = iter
) -> Evidence:
    """Replay every candidate chain of a line on the prompts that all its models answered.

    Raises DataError when no prompt has all the models.
    """
    kept = bench.usable & np.isin(outcomes.column("model").astype(str), line.models)
    kept &= np.isin(outcomes.column("source").astype(str), line.sources)
    rows = np.flatnonzero(kept)
    part = outcomes.filter(kept)
    sets = [
        replay_set(
            part,
            bench.group[rows],
            name=line.name,
            chain=chain,
            prices=line.prices,
            sources=line.sources,
        )
        for chain in line.chains
    ]
    sets = _same_prompts(sets, part, line)
    candidates = [_judge(data, rows[data.rows], bench, progress) for data in sets]
    first = sets[0]
    p_success = np.zeros(first.correct.shape)
    for i, query in enumerate(first.queries):
        found = bench.prediction(query, rows[first.rows[i]].tolist()).p_success
        p_success[i] = [found[name] for name in first.chain]
    return Evidence(line=line, candidates=tuple(candidates), p_success=p_success)


def with_weights(candidate: Candidate, weights: Recalibration) -> Candidate:
    """The candidate as it would be judged with other recalibration weights."""
    stages = candidate.stages
    gain, accepted = stages.gain.copy(), stages.accepted.copy()
    for k, inputs in enumerate(candidate.inputs):
        p_drafts = _sigmoid(inputs.drafts @ np.array(getattr(weights, inputs.head)))
        p_verifier = _sigmoid(inputs.verifier @ np.array(weights.verifier))
        correction = inputs.correction @ np.array(getattr(weights, inputs.correcting))
        gain[:, k + 1] = p_verifier - p_drafts.max(axis=1) + correction
        best = p_drafts.argmax(axis=1)
        accepted[:, k] = candidate.data.correct[np.arange(len(best)), best]
    return replace(candidate, stages=replace(stages, gain=gain, accepted=accepted))


def head_data(candidate: Candidate, side: npt.NDArray[np.bool_]) -> dict[str, HeadData]:
    """What the labels of one side teach each head."""
    correct = candidate.data.correct[side]
    found: dict[str, list[tuple[Floats, Floats]]] = {"single": [], "pair": [], "verifier": []}
    for k, inputs in enumerate(candidate.inputs):
        for draft in range(k + 1):
            found[inputs.head].append((inputs.drafts[side, draft], correct[:, draft]))
        found["verifier"].append((inputs.verifier[side], correct[:, -1]))
    return {
        head: HeadData(
            inputs=np.concatenate([x for x, _ in parts]),
            correct=np.concatenate([y for _, y in parts]),
        )
        for head, parts in found.items()
        if parts
    }


def recalibrated(
    candidate: Candidate, side: npt.NDArray[np.bool_], *, prior: Recalibration, strength: float
) -> tuple[Candidate, Recalibration]:
    """The candidate under weights fitted to the labels of one side, and those weights.

    First the probabilities are refitted, each head by itself; then, stage by stage, a correction
    of the gain to what escalating was really worth.
    """
    weights = fit_recalibration(head_data(candidate, side), prior=prior, strength=strength)
    plain = with_weights(candidate, weights)
    corrections: dict[str, list[tuple[Floats, Floats]]] = {}
    for k, inputs in enumerate(candidate.inputs):
        worth = plain.stages.verifier - plain.stages.accepted[:, k]
        missed = (worth - plain.stages.gain[:, k + 1])[side]
        corrections.setdefault(inputs.correcting, []).append((inputs.correction[side], missed))
    for head, parts in corrections.items():
        found = fit_correction(
            np.concatenate([x for x, _ in parts]),
            np.concatenate([y for _, y in parts]),
            strength=strength,
        )
        weights = replace(weights, **{head: found})
    return with_weights(candidate, weights), weights


def cross_recalibrated(
    candidate: Candidate,
    side: npt.NDArray[np.bool_],
    *,
    prior: Recalibration,
    strength: float,
    seed: int,
) -> Candidate:
    """The candidate as a deployment sees it that has the labels of one side.

    The other side's prompts are judged under weights fitted to all of this side, and this side's
    by weights fitted to the half of it that they are not in, so that thresholds chosen on this
    side are not flattered by a fit to the same labels.
    """
    groups, codes = np.unique(candidate.data.group, return_inverse=True)
    half = (np.random.default_rng(seed).permutation(len(groups)) % 2)[codes]
    final, _ = recalibrated(candidate, side, prior=prior, strength=strength)
    gain, accepted = final.stages.gain.copy(), final.stages.accepted.copy()
    for number in (0, 1):
        fitted, _ = recalibrated(candidate, side & (half != number), prior=prior, strength=strength)
        own = side & (half == number)
        gain[own] = fitted.stages.gain[own]
        accepted[own] = fitted.stages.accepted[own]
    return replace(candidate, stages=replace(final.stages, gain=gain, accepted=accepted))


def gain_error(candidate: Candidate, side: npt.NDArray[np.bool_]) -> float:
    """Mean square of what escalating was really worth minus the gain, over one side's prompts and
    all stages with drafts."""
    stages = candidate.stages
    worth = stages.verifier[:, None] - stages.accepted
    return float(np.square((worth - stages.gain[:, 1:])[side]).mean())


def _same_prompts(sets: Sequence[ReplaySet], part: Outcomes, line: Line) -> list[ReplaySet]:
    """Every set cut to the prompts that all of them hold, in one order."""
    codes = [part.prompt_codes[data.rows[:, 0]] for data in sets]
    common = set(codes[0].tolist()).intersection(*(one.tolist() for one in codes[1:]))
    if not common:
        raise DataError(f"no prompt was answered by all of {', '.join(line.models)}")
    cut = []
    for data, code in zip(sets, codes, strict=True):
        order = np.argsort(code, kind="stable")
        cut.append(take(data, order[np.isin(code[order], sorted(common))]))
    return cut


def take(data: ReplaySet, chosen: Ints) -> ReplaySet:
    """The chosen prompts of a replay set, int64 [any]."""
    return replace(
        data,
        rows=data.rows[chosen],
        group=data.group[chosen],
        correct=data.correct[chosen],
        cost_usd=data.cost_usd[chosen],
        drafts=tuple(data.drafts[i] for i in chosen),
        queries=tuple(data.queries[i] for i in chosen),
    )


def _judge(data: ReplaySet, rows: Ints, bench: Bench, progress: Any) -> Candidate:
    """`rows`: the row numbers of the outcomes, int64 [n, n_models]."""
    base = bench.weights
    recorders = [
        RecordingWeights(single=base.single, pair=base.pair, verifier=base.verifier)
        for _ in range(len(data))
    ]
    judges = [
        bench.judge(own, recorder) for own, recorder in zip(rows.tolist(), recorders, strict=True)
    ]
    stages = collect_stages(data, judges, progress)
    return Candidate(data=data, stages=stages, inputs=_inputs(recorders, len(data.chain) - 1))


def _inputs(recorders: Sequence[RecordingWeights], n_drafters: int) -> tuple[StageInputs, ...]:
    """What was recorded, stage by stage: the drafts' inputs, then the verifier's."""
    if any(not one.seen for one in recorders):  # a judge of another kind: nothing to refit
        return ()
    stages, start = [], 0
    for made in range(1, n_drafters + 1):
        drafts = [[x for _, x in one.seen[start : start + made]] for one in recorders]
        stages.append(
            StageInputs(
                head=recorders[0].seen[start][0],
                drafts=np.array(drafts, dtype=np.float64),
                verifier=np.array([one.seen[start + made][1] for one in recorders]),
                correcting=recorders[0].seen[start + made + 1][0],
                correction=np.array([one.seen[start + made + 1][1] for one in recorders]),
            )
        )
        start += made + 2
    return tuple(stages)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -60, 60))), dtype=np.float64)
