"""The report's figures, drawn into its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..plots import Mark, cost_quality_curve, histogram_with_target, reliability_diagram
from ..report import Figure
from .choosing import Masks, Sums, choose_point
from .line_results import LineResult, counted_share
from .rivals import figures, fixed_rules, rival_sums
from .validator_tables import JudgedPairs

__all__ = ["draw_curve", "draw_guarantee", "draw_reliability"]

Floats = npt.NDArray[np.float64]
_AIMS = np.concatenate([np.linspace(0.85, 0.95, 6), np.linspace(0.955, 1.01, 23)])


def draw_curve(folder: Path, line: LineResult, masks: Masks) -> Figure:
    """Held-out retention over saving, the policy and its rivals; aims chosen on the other side."""
    evidence = line.evidence
    curves = {"Sluice": _curve(line.sums, share=counted_share(line.evidence))}
    for name, sums in rival_sums(evidence, masks).items():
        curves[name] = _curve(sums, share=1.0)
    points = {}
    for rule in fixed_rules(evidence):
        kept, saved = figures(rule, evidence)
        if saved > -0.2 and rule.name != f"always {evidence.line.verifier}":
            points[rule.name] = Mark(saving=saved, retention=kept)
    name = evidence.line.name
    slug = "".join(c if c.isalnum() else "-" for c in name.lower())
    targets = [one.bar.target for one in line.targets]
    path = cost_quality_curve(
        folder / "figures" / f"curve-{slug}.png",
        curves,
        points,
        targets=targets,
        title=f"{name} (n = {len(evidence):,})",
        retention_from=min(0.93, min(targets) - 0.03),
    )
    return Figure(name=f"Cost and quality: {name}", path=path)


def draw_reliability(folder: Path, judged: Sequence[JudgedPairs]) -> list[Figure]:
    """One diagram for drafts alone, one for drafts beside a peer; all sources together."""
    found = []
    for name, title in (("single", "a draft alone"), ("pair", "a draft beside a peer")):
        p = np.concatenate([getattr(one, name) for one in judged])
        y = np.concatenate([one.correct for one in judged])
        known = ~np.isnan(p)
        if not known.any():
            continue
        path = reliability_diagram(
            folder / "figures" / f"reliability-{name}.png",
            y[known],
            p[known],
            title=f"P(right), {title}",
        )
        found.append(Figure(name=f"Reliability: {title}", path=path))
    return found


def draw_guarantee(folder: Path, realised: Mapping[tuple[float, float], Floats]) -> list[Figure]:
    """(target, delta) -> realised retention of each split."""
    found = []
    for (target, delta), values in realised.items():
        if not len(values):
            continue
        path = histogram_with_target(
            folder / "figures" / f"guarantee-{round(target * 100)}.png",
            values,
            target,
            delta,
            title=f"Certified at ({target:g}, {delta:g}) for as many more prompts, all lines",
        )
        found.append(Figure(name=f"Guarantee at ({target:g}, {delta:g})", path=path))
    return found


def _curve(sums: Sums, *, share: float) -> tuple[Floats, Floats]:
    """Mean held-out saving and retention at each aim, without repeats."""
    chosen = [choose_point(sums, float(aim), share=share) for aim in _AIMS]
    points = np.array([[one.saving.mean(), one.retention.mean()] for one in chosen])
    kept = np.unique(points.round(5), axis=0)
    return kept[:, 0], kept[:, 1]
