"""What each line comes to at each of its targets: the choices, their rivals, their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router.validation.recalibration import Recalibration

from ..bootstrap import Interval, group_bootstrap
from ..policy_search import simulate
from ..replay import Stages
from .benchmarks import Bar
from .choosing import Chosen, Masks, Sums, choose_point, half_masks, sum_by_split
from .evidence import Candidate, Evidence, cross_recalibrated, gain_error
from .risk import Ladder, build_ladder, choose_certified
from .rivals import rival_sums, thresholded_rules

__all__ = ["DELTA", "LineResult", "TargetResult", "counted_share", "measure_line"]

Floats = npt.NDArray[np.float64]
PREDICTED_PROMPTS = 200.0  # what the evidence's own prediction of retention is worth in counts
DELTA = 0.05
STRENGTH = 40.0


@dataclass(frozen=True, kw_only=True)
class TargetResult:
    """One line at one target; means over the splits' test sides.

    `calibrated`: last layer and thresholds fitted on the calibration side, as `sluice calibrate`
    does; `retention` and `saving` are its. `shipped`: thresholds alone; `counted` and `predicted`
    the same by other estimates of retention.
    """

    bar: Bar
    retention: Interval
    saving: Interval
    calibrated: Chosen
    shipped: Chosen
    counted: Chosen
    predicted: Chosen
    certified: Chosen
    uncertified: float
    rivals: dict[str, Chosen]

    @property
    def met(self) -> bool | None:
        """Whether the bar is met: the saving asked for, at the target or above (to .0005)."""
        if self.bar.saving is None:
            return None
        kept = self.retention.estimate >= self.bar.target - 5e-4
        return kept and self.saving.estimate >= self.bar.saving - 5e-4


@dataclass(frozen=True, kw_only=True)
class LineResult:
    """One line: its evidence, the sums over splits, the ladder of the certified choice."""

    evidence: Evidence
    sums: Sums
    ladder: Ladder
    targets: tuple[TargetResult, ...]


def counted_share(evidence: Evidence) -> float:
    """The share of the count in the estimate of retention from half the prompts, 0..1; the rest is
    as the evidence predicts it. The more prompts, the more they count."""
    n = len(evidence) / 2
    return n / (n + PREDICTED_PROMPTS)


class _Tally:
    """What happened to each prompt over the splits in which it was on the test side."""

    def __init__(self, n: int) -> None:
        self.loss, self.cost, self.times = np.zeros(n), np.zeros(n), np.zeros(n)

    def add(self, stages: Stages, sums: Sums, number: int, tests: Floats) -> None:
        """`tests` float64 [n]: how often policy `number` met each prompt; -1 is the verifier."""
        self.times += tests
        if number < 0:
            self.cost += tests * stages.verifier_cost
            return
        done = simulate(stages, [sums.thresholds[number]])
        self.loss += tests * (stages.verifier - done.quality[0])
        self.cost += tests * done.cost_usd[0]

    def intervals(
        self, evidence: Evidence, chosen: Chosen, *, seed: int
    ) -> tuple[Interval, Interval]:
        """Of retention and saving, over groups: each prompt stands with its mean over its tests,
        so that they hold the luck of the prompts and that of the choice."""
        seen = self.times > 0
        loss, cost = self.loss[seen] / self.times[seen], self.cost[seen] / self.times[seen]
        verifier, price = evidence.verifier[seen], evidence.verifier_cost[seen]
        group = evidence.group[seen]
        kept = group_bootstrap(
            lambda i: float(1 - loss[i].sum() / verifier[i].sum()), group, seed=seed
        )
        saved = group_bootstrap(
            lambda i: float(1 - cost[i].sum() / price[i].sum()), group, seed=seed
        )
        return (
            replace(kept, estimate=float(chosen.retention.mean())),
            replace(saved, estimate=float(chosen.saving.mean())),
        )


def measure_line(
    evidence: Evidence,
    *,
    n_splits: int,
    n_refits: int,
    steps: int,
    seed: int,
    embedding: npt.NDArray[np.floating] | None = None,
    weights: Recalibration | None = None,
) -> LineResult:
    """All choices of one line at each of its targets.

    `weights`: the prior of the recalibration, made in the first `n_refits` splits; without one, or
    with no refits, or a judge that has no last layer, thresholds alone are chosen.
    """
    masks = half_masks(evidence.group, n_splits, seed)
    sums = sum_by_split([one.stages for one in evidence.candidates], masks, steps=steps)
    ladder = build_ladder(evidence, sums)
    wanted = [bar.target for bar in evidence.line.bars]
    rivals = thresholded_rules(rival_sums(evidence, masks, embedding=embedding, seed=seed), wanted)
    if weights is not None and n_refits and evidence.candidates[0].inputs:
        calibrated = _recalibrated(evidence, masks[:, :n_refits], wanted, weights, steps)
    else:
        calibrated = _thresholds_alone(evidence, sums, masks, wanted)
    share = counted_share(evidence)
    results = []
    for number, bar in enumerate(evidence.line.bars):
        chosen, tally = calibrated[number]
        retention, saving = tally.intervals(evidence, chosen, seed=seed)
        certified, without = choose_certified(
            evidence, ladder, masks, target=bar.target, delta=DELTA
        )
        results.append(
            TargetResult(
                bar=bar,
                retention=retention,
                saving=saving,
                calibrated=chosen,
                shipped=choose_point(sums, bar.target, share=share),
                counted=choose_point(sums, bar.target),
                predicted=choose_point(sums, bar.target, share=0.0),
                certified=certified,
                uncertified=without,
                rivals={name: chosen[number] for name, chosen in rivals.items()},
            )
        )
    return LineResult(evidence=evidence, sums=sums, ladder=ladder, targets=tuple(results))


def _thresholds_alone(
    evidence: Evidence, sums: Sums, masks: Masks, targets: Sequence[float]
) -> list[tuple[Chosen, _Tally]]:
    found = []
    for target in targets:
        chosen = choose_point(sums, target, share=counted_share(evidence))
        tally = _Tally(len(evidence))
        for number in np.unique(chosen.policy).tolist():
            tests = (masks[:, chosen.policy == number] < 0.5).sum(axis=1).astype(np.float64)
            owner = int(sums.owner[number]) if number >= 0 else 0
            tally.add(evidence.candidates[owner].stages, sums, number, tests)
        found.append((chosen, tally))
    return found


def _recalibrated(
    evidence: Evidence,
    masks: Masks,
    targets: Sequence[float],
    prior: Recalibration,
    steps: int,
) -> list[tuple[Chosen, _Tally]]:
    """Per target, the choice under the last layer that fits each calibration side better."""
    chosen: list[list[Chosen]] = [[] for _ in targets]
    tallies = [_Tally(len(evidence)) for _ in targets]
    for split in range(masks.shape[1]):
        mine = masks[:, split] > 0.5
        stages = [one.stages for one in _better(evidence.candidates, mine, prior, split)]
        sums = sum_by_split(stages, masks[:, split : split + 1], steps=steps)
        for target, own, tally in zip(targets, chosen, tallies, strict=True):
            one = choose_point(sums, target, share=counted_share(evidence))
            number = int(one.policy[0])
            owner = int(sums.owner[number]) if number >= 0 else 0
            tally.add(stages[owner], sums, number, (~mine).astype(np.float64))
            own.append(one)
    return [
        (
            Chosen(
                policy=np.concatenate([one.policy for one in own]),
                retention=np.concatenate([one.retention for one in own]),
                saving=np.concatenate([one.saving for one in own]),
            ),
            tally,
        )
        for own, tally in zip(chosen, tallies, strict=True)
    ]


def _better(
    candidates: Sequence[Candidate], side: npt.NDArray[np.bool_], prior: Recalibration, seed: int
) -> Sequence[Candidate]:
    """The candidates as they are, or refitted to the side, whichever foretells its gains better.

    What is compared and returned of the side's own prompts owes nothing to their labels.
    """
    refitted = [
        cross_recalibrated(one, side, prior=prior, strength=STRENGTH, seed=seed)
        for one in candidates
    ]
    before, after = (
        sum(gain_error(one, side) for one in several) for several in (candidates, refitted)
    )
    return refitted if after < before else candidates
