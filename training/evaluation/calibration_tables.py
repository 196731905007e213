"""Whether a chance of 0.8 is right four times in five: by model where training saw the sources,
and source by source where it did not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..metrics import ece
from ..outcomes import Outcomes
from ..report import Cell, Table

__all__ = ["calibration_tables"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_FEWEST_LABELS = 500
_BAR = 0.03
_BINS = 15
_REDRAWS = 20
_LISTED = 20


def calibration_tables(
    outcomes: Outcomes, p: Floats, *, unseen_sources: tuple[str, ...] = (), seed: int = 0
) -> tuple[list[Table], dict[str, float]]:
    """By model on the sources that trained, and by source on the rest; with headline figures.

    p: float64 [n_rows], cross-fitted, NaN where nothing was predicted. Sources that train are
    those free to (train_ok) but for `unseen_sources`.
    """
    usable = ~np.isnan(p) & ((outcomes.labels == 0) | (outcomes.labels == 1))
    source = outcomes.column("source").astype(str)
    trained = outcomes.column("train_ok").astype(bool) & ~np.isin(source, list(unseen_sources))
    by_model, summary = _by_model(outcomes, p, usable & trained, seed)
    return [by_model, _by_source(outcomes, p, usable & ~trained)], summary


def _by_model(
    outcomes: Outcomes, p: Floats, usable: Bools, seed: int
) -> tuple[Table, dict[str, float]]:
    model = outcomes.column("model").astype(str)
    rng = np.random.default_rng(seed)
    found: list[tuple[Any, ...]] = []
    for name in outcomes.models:
        own = np.flatnonzero(usable & (model == name))
        if len(own) < _FEWEST_LABELS:
            continue
        y, q = outcomes.labels[own], p[own]
        chance = float(np.mean([_ece(np.less(rng.random(len(q)), q), q) for _ in range(_REDRAWS)]))
        found.append(
            (name, len(own), _ece(y, q), chance, _beyond_chance(y, q), q.mean() - y.mean())
        )
    found.sort(key=lambda one: -one[4])
    columns = np.array([one[2:5] for one in found]).reshape(-1, 3)
    means = columns.mean(axis=0).tolist() if found else [float("nan")] * 3
    raw, beyond = columns[:, 0], columns[:, 2]
    summary = {
        "ece_mean": means[0],
        "ece_by_chance": means[1],
        "ece_beyond_chance": means[2],
        "ece_models": float(len(found)),
        "ece_within_0.03": float((raw <= _BAR).sum()),
        "ece_beyond_chance_within_0.03": float((beyond <= _BAR).sum()),
    }
    n = sum(one[1] for one in found)
    rows: list[list[Cell]] = [[f"mean of {len(found)} models", n, *means, None]]
    shares = [float((values <= _BAR).mean()) if found else None for values in (raw, beyond)]
    rows += [["share within 0.03", None, shares[0], None, shares[1], None]]
    rows += [list(one) for one in found[:_LISTED]]
    table = Table(
        name="success-calibration",
        columns=["model", "n", "ECE", "by chance", "beyond chance", "mean p - accuracy"],
        rows=rows,
        decimals=4,
        note=f"Held-out prompts of the sources that train; models with at least {_FEWEST_LABELS} "
        f"labels there; the {_LISTED} worst. {_BINS} bins of equal count. By chance: what a "
        "perfectly calibrated p would show with as many rows. Beyond chance: the root of the mean "
        "squared gap less its sampling variance (Kumar et al. 1909.10155), never below the ECE of "
        "unlimited rows but for luck.",
    )
    return table, summary


def _by_source(outcomes: Outcomes, p: Floats, usable: Bools) -> Table:
    source, model = (outcomes.column(name).astype(str) for name in ("source", "model"))
    rows: list[list[Cell]] = []
    for name in outcomes.sources:
        own = np.flatnonzero(usable & (source == name))
        if len(own) < _FEWEST_LABELS:
            continue
        y, q = outcomes.labels[own], p[own]
        names = np.unique(model[own])
        gaps = [float(np.mean((q - y)[model[own] == one])) for one in names]
        level = [float(np.mean(y)), float(np.mean(q)), _ece(y, q), float(np.mean(np.abs(gaps)))]
        rows.append([name, len(own), len(names), *level])
    return Table(
        name="success-transfer",
        columns=["source", "rows", "models", "accuracy", "mean p", "ECE", "mean |gap| by model"],
        rows=rows,
        note="Sources that never train: what the prompt and other sources tell of them. Judges' "
        "preferences (alpacaeval2) are no rate of success, and p is not meant to predict them.",
    )


def _ece(y: npt.NDArray[Any], p: npt.NDArray[Any]) -> float:
    return ece(y, p, _BINS, equal_mass=True)


def _beyond_chance(y: npt.NDArray[Any], p: npt.NDArray[Any]) -> float:
    """Root of the mean squared gap over bins of equal count, less the variance of their means."""
    total = 0.0
    for own in np.array_split(np.argsort(p, kind="stable"), _BINS):
        if len(own) < 2:
            continue
        rate = float(y[own].mean())
        gap = float(p[own].mean()) - rate
        total += len(own) / len(p) * (gap**2 - rate * (1.0 - rate) / (len(own) - 1))
    return float(np.sqrt(max(total, 0.0)))
