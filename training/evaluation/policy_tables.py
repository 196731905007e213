"""The policy section's tables: each line at each target, its rivals, ways to choose, one pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..fit_policy import first_alone
from ..policy_search import simulate
from ..replay import Stages
from ..report import Cell, Table
from .choosing import Chosen, Masks, Sums, choose_point, half_masks, sum_by_split
from .evidence import Evidence
from .line_results import DELTA, LineResult
from .rivals import figures, fixed_rules, mix_retention

__all__ = ["choice_table", "policy_table", "pooled_table", "rival_table"]

_POLICY_COLUMNS = (
    "line",
    "n",
    "target",
    "retention",
    "saving",
    "bar",
    "met",
    "shipped retention",
    "shipped saving",
    "certified retention",
    "certified saving",
    "not enough labels",
    "agreement retention",
    "agreement saving",
)
_POLICY_SHARES = frozenset(
    {"saving", "bar", "shipped saving", "certified saving", "not enough labels", "agreement saving"}
)
_POOLED_SHARE = 1.0  # of the count in the estimate of retention, of the many prompts of all lines


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
                    float(one.shipped.retention.mean()),
                    float(one.shipped.saving.mean()),
                    float(one.certified.retention.mean()),
                    float(one.certified.saving.mean()),
                    one.uncertified,
                    *agreed,
                ]
            )
    n_calibrated = max(len(one.calibrated.policy) for line in results for one in line.targets)
    note = (
        "Means over half/half splits by group, read on the side that was not used to choose. "
        "Retention and saving: last layer and thresholds fitted to the calibration side, as "
        f"'sluice calibrate' does, in {n_calibrated} splits; 'shipped': its thresholds alone. "
        f"The certified choice holds with confidence {1 - DELTA:.0%}; without a certificate the "
        "verifier answers."
    )
    return Table(
        name="policy",
        columns=_POLICY_COLUMNS,
        rows=rows,
        note=note,
        decimals=4,
        percent=_POLICY_SHARES,
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
                "counted": one.counted,
                "mixed": one.shipped,
                "predicted": one.predicted,
                "mixed, recalibrated": one.calibrated,
            }
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
        note="'mixed' counts a share n / (n + 200) of n prompts and predicts the rest (a control "
        "variate); 'recalibrated' refits the validator's last layer on each calibration side, the "
        "shipped weights being the prior, and keeps it where it foretells that side's gains "
        "better; what is said of that side's prompts is said by weights fitted to its other half.",
    )


def pooled_table(
    results: Sequence[LineResult], *, n_splits: int, steps: int, seed: int, alone: bool = False
) -> Table:
    """One policy for all lines, chosen without knowing the line, beside each line's own; with
    `alone`, for the first drafter and the verifier only."""
    kept_results = [line for line in results if len(line.evidence.line.chains[0]) == 3]
    lines = [line.evidence for line in kept_results]
    pooled = _pool(lines, alone=alone)
    masks = half_masks(pooled.group, n_splits, seed)
    weights = np.concatenate([np.full(len(one), 1.0 / len(one)) for one in lines])
    sums = sum_by_split([pooled], masks, weights=weights, steps=steps)
    rows: list[list[Cell]] = []
    starts = np.cumsum([0, *(len(one) for one in lines)])
    for target in (0.96, 0.98, 0.99, 1.0):
        chosen = choose_point(sums, target, share=_POOLED_SHARE)
        kept, saved = float(chosen.retention.mean()), float(chosen.saving.mean())
        rows.append(["all lines, each counting alike", target, kept, saved, None, None])
        for number, one in enumerate(lines):
            part = slice(starts[number], starts[number + 1])
            retention, saving = _realised(pooled, sums, chosen, masks, part)
            own = {r.bar.target: r for r in kept_results[number].targets}.get(target)
            own_kept = own.retention.estimate if own and not alone else None
            own_saved = own.saving.estimate if own and not alone else None
            rows.append([one.line.name, target, retention, saving, own_kept, own_saved])
    return Table(
        name="pooled-one-drafter" if alone else "pooled",
        columns=["line", "target", "retention", "saving", "own retention", "own saving"],
        rows=rows,
        decimals=4,
        percent=frozenset({"saving", "own saving"}),
        note="Thresholds are chosen on the calibration sides of all lines together"
        + ("; the first drafter has no second one beside it." if alone else "."),
    )


def _pool(lines: Sequence[Evidence], *, alone: bool) -> Stages:
    """The first candidates of all lines as one; costs in units of the line's mean verifier cost."""
    first = [one.candidates[0].stages for one in lines]
    if alone:
        first = [first_alone(one) for one in first]
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
    done: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for split, number in enumerate(chosen.policy.tolist()):
        rest = masks[part, split] < 0.5
        if number >= 0 and number not in done:
            found = simulate(pooled, [sums.thresholds[number]])
            done[number] = (found.quality[0], found.cost_usd[0])
        quality, cost = done.get(number, (pooled.verifier, pooled.verifier_cost))
        kept.append(quality[part][rest].sum() / pooled.verifier[part][rest].sum())
        saved.append(1 - cost[part][rest].sum() / pooled.verifier_cost[part][rest].sum())
    return float(np.mean(kept)), float(np.mean(saved))
