"""The policy section: each line at each target, its rivals, ways to choose, one pooled policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router.validation.recalibration import Recalibration

from ..bootstrap import Interval, group_bootstrap
from ..policy_search import simulate
from ..recalibrate import fit_recalibration
from ..replay import Stages
from ..report import Cell, Table
from .benchmarks import Bar
from .choosing import Chosen, Masks, Sums, choose_point, half_masks, saving_at, sum_by_split
from .evidence import Evidence, head_data, with_weights
from .risk import Ladder, build_ladder, choose_certified
from .rivals import figures, fixed_rules, mix_retention, rival_sums, thresholded_rules

__all__ = [
    "LineResult",
    "choice_table",
    "measure_line",
    "policy_table",
    "pooled_table",
    "rival_table",
]

Floats = npt.NDArray[np.float64]
SHARE = 0.5  # of the count in the retention estimate, the rest being predicted
DELTA = 0.05
STRENGTH = 20.0


@dataclass(frozen=True, kw_only=True)
class TargetResult:
    """One line at one target. `saving` and `retention` are means over the splits' test sides."""

    bar: Bar
    saving: Interval
    retention: Interval
    curve_saving: float
    certified: Chosen
    uncertified: float
    by_share: dict[float, Chosen]
    refitted: Chosen | None
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
    """All choices of one line at each of its targets. `weights`: the prior of a refit."""
    masks = half_masks(evidence.group, n_splits, seed)
    sums = sum_by_split([one.stages for one in evidence.candidates], masks, steps=steps)
    ladder = build_ladder(evidence, sums)
    wanted = [bar.target for bar in evidence.line.bars]
    rivals = thresholded_rules(rival_sums(evidence, masks, embedding=embedding, seed=seed), wanted)
    refits = _refitted(evidence, masks[:, :n_refits], wanted, weights, steps)
    results = []
    for number, bar in enumerate(evidence.line.bars):
        by_share = {
            share: choose_point(sums, bar.target, share=share) for share in (1.0, SHARE, 0.0)
        }
        chosen = by_share[SHARE]
        retention, saving = _intervals(evidence, sums, masks, chosen, seed)
        certified, without = choose_certified(
            evidence, ladder, masks, target=bar.target, delta=DELTA
        )
        results.append(
            TargetResult(
                bar=bar,
                saving=saving,
                retention=retention,
                curve_saving=saving_at(sums, bar.target, share=SHARE),
                certified=certified,
                uncertified=without,
                by_share=by_share,
                refitted=refits[number] if refits else None,
                rivals={name: chosen[number] for name, chosen in rivals.items()},
            )
        )
    return LineResult(evidence=evidence, sums=sums, ladder=ladder, targets=tuple(results))


def policy_table(results: Sequence[LineResult]) -> Table:
    """One row per line and target: the point choice, the certified one, agreement, the bar."""
    rows: list[list[Cell]] = []
    for line in results:
        fixed = {rule.name: figures(rule, line.evidence) for rule in fixed_rules(line.evidence)}
        agreed = fixed.get("plain agreement", (None, None))
        for one in line.targets:
            rows.append(
                [
                    line.evidence.line.name,
                    len(line.evidence),
                    one.bar.target,
                    one.retention,
                    one.saving,
                    one.bar.saving,
                    one.met,
                    one.curve_saving,
                    float(one.certified.retention.mean()),
                    float(one.certified.saving.mean()),
                    one.uncertified,
                    *agreed,
                ]
            )
    columns = [
        "line",
        "n",
        "target",
        "retention",
        "saving",
        "bar",
        "met",
        "saving on the held-out curve",
        "certified retention",
        "certified saving",
        "not enough labels",
        "agreement retention",
        "agreement saving",
    ]
    note = (
        "Means over half/half splits by group, read on the side that was not used to choose. "
        "'Saving on the held-out curve' is where the mean held-out retention is the target. "
        f"The certified choice holds with confidence {1 - DELTA:.0%}; without a certificate the "
        "verifier answers."
    )
    return Table(
        name="policy",
        columns=columns,
        rows=rows,
        note=note,
        decimals=4,
        percent=frozenset(
            {
                "saving",
                "bar",
                "saving on the held-out curve",
                "certified saving",
                "not enough labels",
                "agreement saving",
            }
        ),
    )


def rival_table(results: Sequence[LineResult]) -> Table:
    """One row per line, target and rule: retention and saving."""
    rows: list[list[Cell]] = []
    for line in results:
        name = line.evidence.line.name
        for rule in fixed_rules(line.evidence):
            kept, saved = figures(rule, line.evidence)
            rows.append([name, None, rule.name, kept, saved])
        for one in line.targets:
            target = one.bar.target
            saved = one.saving.estimate
            mixed = mix_retention(line.evidence, saved)
            rows.append([name, target, "Sluice", one.retention.estimate, saved])
            rows.append([name, target, "random mix at Sluice's saving", mixed, saved])
            for rule_name, chosen in one.rivals.items():
                kept = float(chosen.retention.mean())
                rows.append([name, target, rule_name, kept, float(chosen.saving.mean())])
    return Table(
        name="rivals",
        columns=["line", "target", "rule", "retention", "saving"],
        rows=rows,
        decimals=4,
        percent=frozenset({"saving"}),
        note="Thresholds are chosen on the calibration side and read on the other; rules without "
        "one are read on all prompts. The mix is the better of the drafters' and in-sample.",
    )


def choice_table(results: Sequence[LineResult]) -> Table:
    """Ways to estimate retention on the calibration side, and refitting the last layer there."""
    rows: list[list[Cell]] = []
    for line in results:
        for one in line.targets:
            ways = {
                "raw": one.by_share[1.0],
                "mixed": one.by_share[SHARE],
                "predicted": one.by_share[0.0],
            }
            if one.refitted is not None:
                ways["mixed, recalibrated"] = one.refitted
            for way, chosen in ways.items():
                rows.append(
                    [
                        line.evidence.line.name,
                        one.bar.target,
                        way,
                        float(chosen.retention.mean()),
                        float(chosen.saving.mean()),
                        float(chosen.retention.std()),
                    ]
                )
    return Table(
        name="choice",
        columns=["line", "target", "estimate", "retention", "saving", "spread over splits"],
        rows=rows,
        decimals=4,
        percent=frozenset({"saving"}),
        note="'mixed' counts half and predicts half (a control variate); 'recalibrated' refits the "
        "validator's last layer on each calibration side, the shipped weights being the prior.",
    )


def pooled_table(results: Sequence[LineResult], *, n_splits: int, steps: int, seed: int) -> Table:
    """One policy for all lines, chosen without knowing the line, beside each line's own."""
    kept_results = [line for line in results if len(line.evidence.line.chains[0]) == 3]
    lines = [line.evidence for line in kept_results]
    pooled = _pool(lines)
    masks = half_masks(pooled.group, n_splits, seed)
    weights = np.concatenate([np.full(len(one), 1.0 / len(one)) for one in lines])
    sums = sum_by_split([pooled], masks, weights=weights, steps=steps)
    rows: list[list[Cell]] = []
    starts = np.cumsum([0, *(len(one) for one in lines)])
    for target in (0.96, 0.98, 0.99, 1.0):
        chosen = choose_point(sums, target, share=SHARE)
        kept, saved = float(chosen.retention.mean()), float(chosen.saving.mean())
        rows.append(["all lines, each counting alike", target, kept, saved, None, None])
        for number, one in enumerate(lines):
            part = slice(starts[number], starts[number + 1])
            retention, saving = _realised(pooled, sums, chosen, masks, part)
            own = {r.bar.target: r for r in kept_results[number].targets}.get(target)
            own_kept = own.retention.estimate if own else None
            own_saved = own.saving.estimate if own else None
            rows.append([one.line.name, target, retention, saving, own_kept, own_saved])
    return Table(
        name="pooled",
        columns=["line", "target", "retention", "saving", "own retention", "own saving"],
        rows=rows,
        decimals=4,
        percent=frozenset({"saving", "own saving"}),
        note="Thresholds are chosen on the calibration sides of all lines together.",
    )


def _pool(lines: Sequence[Evidence]) -> Stages:
    """The first candidates of all lines as one; costs in units of the line's mean verifier cost."""
    first = [one.candidates[0].stages for one in lines]
    units = [float(one.verifier_cost.mean()) for one in first]
    priced = list(zip(first, units, strict=True))
    return replace(
        first[0],
        gain=np.concatenate([one.gain for one in first]),
        accepted=np.concatenate([one.accepted for one in first]),
        draft_cost=np.concatenate([one.draft_cost / unit for one, unit in priced]),
        verifier=np.concatenate([one.verifier for one in first]),
        verifier_cost=np.concatenate([one.verifier_cost / unit for one, unit in priced]),
        group=np.concatenate([one.group for one in first]),
        assessed=(),
    )


def _realised(
    pooled: Stages, sums: Sums, chosen: Chosen, masks: Masks, part: slice
) -> tuple[float, float]:
    """Mean retention and saving of the chosen policies on one line's test prompts."""
    kept, saved = [], []
    done: dict[int, tuple[Floats, Floats]] = {}
    for split, number in enumerate(chosen.policy.tolist()):
        rest = masks[part, split] < 0.5
        if number >= 0 and number not in done:
            found = simulate(pooled, [sums.thresholds[number]])
            done[number] = (found.quality[0], found.cost_usd[0])
        quality, cost = done.get(number, (pooled.verifier, pooled.verifier_cost))
        kept.append(quality[part][rest].sum() / pooled.verifier[part][rest].sum())
        saved.append(1 - cost[part][rest].sum() / pooled.verifier_cost[part][rest].sum())
    return float(np.mean(kept)), float(np.mean(saved))


def _intervals(
    evidence: Evidence, sums: Sums, masks: Masks, chosen: Chosen, seed: int
) -> tuple[Interval, Interval]:
    """Intervals of retention and saving over groups.

    Each prompt stands with its mean loss and cost over the splits in which it was on the test
    side, so the interval holds the luck of the prompts and that of the choice.
    """
    n = len(evidence)
    loss, cost, times = np.zeros(n), np.zeros(n), np.zeros(n)
    for number in np.unique(chosen.policy):
        tests = (masks[:, chosen.policy == number] < 0.5).sum(axis=1)
        times += tests
        if number < 0:
            cost += tests * evidence.verifier_cost
            continue
        stages = evidence.candidates[int(sums.owner[number])].stages
        done = simulate(stages, [sums.thresholds[int(number)]])
        loss += tests * (evidence.verifier - done.quality[0])
        cost += tests * done.cost_usd[0]
    seen = times > 0
    loss, cost = loss[seen] / times[seen], cost[seen] / times[seen]
    verifier, price = evidence.verifier[seen], evidence.verifier_cost[seen]
    group = evidence.group[seen]
    kept = group_bootstrap(lambda i: float(1 - loss[i].sum() / verifier[i].sum()), group, seed=seed)
    saved = group_bootstrap(lambda i: float(1 - cost[i].sum() / price[i].sum()), group, seed=seed)
    return (
        replace(kept, estimate=float(chosen.retention.mean())),
        replace(saved, estimate=float(chosen.saving.mean())),
    )


def _refitted(
    evidence: Evidence,
    masks: Masks,
    targets: Sequence[float],
    prior: Recalibration | None,
    steps: int,
) -> list[Chosen] | None:
    """Per target, the choice after the last layer was refitted on each calibration side."""
    if prior is None or not masks.shape[1] or not evidence.candidates[0].inputs:
        return None
    found: list[list[Chosen]] = [[] for _ in targets]
    for split in range(masks.shape[1]):
        mine = masks[:, split] > 0.5
        stages = []
        for candidate in evidence.candidates:
            weights = fit_recalibration(head_data(candidate, mine), prior=prior, strength=STRENGTH)
            stages.append(with_weights(candidate, weights).stages)
        sums = sum_by_split(stages, masks[:, split : split + 1], steps=steps)
        for number, target in enumerate(targets):
            found[number].append(choose_point(sums, target, share=SHARE))
    return [
        Chosen(
            policy=np.concatenate([one.policy for one in own]),
            retention=np.concatenate([one.retention for one in own]),
            saving=np.concatenate([one.saving for one in own]),
        )
        for own in found
    ]
