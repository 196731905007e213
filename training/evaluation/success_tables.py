"""The success section: what is known of each model's chance before it is asked."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bootstrap import Interval, group_bootstrap
from ..metrics import apgr, cpt, ece, within_model_auc
from ..outcomes import Outcomes
from ..report import Cell, Table

__all__ = ["calibration_table", "official_labels", "pair_router_table", "success_table"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_RESAMPLES = 200
_MOST_ROWS = 20_000
_FEWEST_LABELS = 500
_STRONG, _WEAK = "gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1"
_BARS = {"routellm-mmlu": (0.66, 0.603), "routellm-gsm8k": (0.65, 0.622)}


def success_table(outcomes: Outcomes, p: Floats, group: Ints, *, seed: int) -> Table:
    """AUC within models, per source. p: float64 [n_rows], NaN where nothing was predicted."""
    source = outcomes.column("source")
    binary = (outcomes.labels == 0) | (outcomes.labels == 1)
    rows: list[list[Cell]] = []
    for name in outcomes.sources:
        own = np.flatnonzero((source == name) & binary & ~np.isnan(p))
        if len(own) < _FEWEST_LABELS:
            continue
        n = len(own)
        own = _some_prompts(own, outcomes.prompt_codes[own], seed)
        correct, values = outcomes.labels[own], p[own]
        model = outcomes.column("model")[own].astype(str)
        found = _interval(within_model_auc, correct, values, model, group[own], seed)
        rows.append([name, n, len(np.unique(model)), found])
    return Table(
        name="success",
        columns=["source", "rows", "models", "AUC within models"],
        rows=rows,
        note=f"From the prompt alone. Sources of more than {_MOST_ROWS:,} rows: on a random part "
        "of their prompts.",
    )


def calibration_table(outcomes: Outcomes, p: Floats) -> tuple[Table, dict[str, float]]:
    """Expected calibration error of each model with 500 labels or more, the worst ones listed;
    with the mean and the largest."""
    usable = ~np.isnan(p) & ((outcomes.labels == 0) | (outcomes.labels == 1))
    model = outcomes.column("model")
    found = []
    for name in outcomes.models:
        own = np.flatnonzero(usable & (model == name))
        if len(own) >= _FEWEST_LABELS:
            error = ece(outcomes.labels[own], p[own])
            bias = float(np.mean(p[own]) - np.mean(outcomes.labels[own]))
            found.append((name, len(own), error, bias))
    found.sort(key=lambda one: -one[2])
    errors = [one[2] for one in found]
    summary = {
        "ece_max": max(errors, default=float("nan")),
        "ece_mean": float(np.mean(errors)) if errors else float("nan"),
        "ece_models": float(len(errors)),
        "ece_above_0.03": float(sum(error > 0.03 for error in errors)),
    }
    rows: list[list[Cell]] = [
        [f"all {len(found)} models, mean", sum(one[1] for one in found), summary["ece_mean"], None]
    ]
    rows += [list(one) for one in found[:20]]
    table = Table(
        name="success-calibration",
        columns=["model", "n", "ECE", "mean p - accuracy"],
        rows=rows,
        decimals=4,
        note="Models with at least 500 labels; the twenty worst. 15 bins of equal width.",
    )
    return table, summary


def official_labels(outcomes: Outcomes) -> Floats:
    """Labels as RouteLLM's authors have them: a note "repo_label=0" or "=1" tells theirs."""
    labels = outcomes.labels.copy()
    notes = outcomes.column("note")
    for index in np.flatnonzero(
        np.char.startswith(outcomes.column("source").astype(str), "routellm")
    ):
        note = notes[index]
        if note is not None and str(note).startswith("repo_label="):
            labels[index] = float(str(note)[11] == "1")
    return labels


def pair_router_table(outcomes: Outcomes, p: Floats, group: Ints, *, seed: int) -> Table | None:
    """RouteLLM's recorded pair by its own measures; None when the outcomes do not hold it."""
    labels = official_labels(outcomes)
    rows: list[list[Cell]] = []
    for source, (bar, published) in _BARS.items():
        pair = _both(outcomes, p, source)
        if not len(pair):
            continue
        weak, strong = labels[pair[:, 0]], labels[pair[:, 1]]
        score = p[pair[:, 1]] - p[pair[:, 0]]
        own = group[pair[:, 0]]
        area = _interval(apgr, score, weak, strong, own, seed)
        half = _interval(partial(cpt, recovered=0.5), score, weak, strong, own, seed)
        most = _interval(partial(cpt, recovered=0.8), score, weak, strong, own, seed)
        rows.append(
            [source, len(pair), area, bar, area.estimate >= bar - 5e-4, published, half, most]
        )
    if not rows:
        return None
    return Table(
        name="routellm",
        columns=["source", "n", "APGR", "bar", "met", "published best", "CPT50", "CPT80"],
        rows=rows,
        note=f"{_WEAK} against {_STRONG}, the authors' own labels; score: difference of p.",
    )


def _both(outcomes: Outcomes, p: Floats, source: str) -> Ints:
    """Row numbers of the weak and the strong model's answers to the same prompts, int64 [n, 2]."""
    model, where = outcomes.column("model"), outcomes.column("source") == source
    sides = []
    for name in (_WEAK, _STRONG):
        own = np.flatnonzero(where & (model == name) & ~np.isnan(p) & ~np.isnan(outcomes.labels))
        sides.append(dict(zip(outcomes.prompt_codes[own].tolist(), own.tolist(), strict=True)))
    common = sorted(set(sides[0]) & set(sides[1]))
    found = [(sides[0][code], sides[1][code]) for code in common]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _interval(measure: Any, one: Any, two: Any, three: Any, group: Ints, seed: int) -> Interval:
    """Of a measure of three columns."""
    return group_bootstrap(
        lambda i: float(measure(one[i], two[i], three[i])), group, n=_RESAMPLES, seed=seed
    )


def _some_prompts(rows: Ints, prompts: Ints, seed: int) -> Ints:
    """All rows, or those of random prompts up to about the most."""
    if len(rows) <= _MOST_ROWS:
        return rows
    names, codes = np.unique(prompts, return_inverse=True)
    kept = np.random.default_rng(seed).random(len(names)) < _MOST_ROWS / len(rows)
    return rows[kept[codes]]
