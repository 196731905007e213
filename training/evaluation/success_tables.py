"""The success section: what is known of each model's chance before it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bootstrap import Interval, group_bootstrap
from ..metrics import apgr, cpt, within_model_auc
from ..outcomes import Outcomes
from ..report import Cell, Table

__all__ = ["has_pair", "official_labels", "pair_router_table", "success_table"]

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


def has_pair(outcomes: Outcomes) -> bool:
    """Whether these outcomes hold RouteLLM's recorded pair."""
    return set(_BARS) <= set(outcomes.sources) and {_STRONG, _WEAK} <= set(outcomes.models)


def pair_router_table(
    outcomes: Outcomes, judges: Mapping[str, Floats], group: Ints, *, seed: int
) -> Table | None:
    """RouteLLM's recorded pair by its own measures; None when the outcomes do not hold it.

    `judges`: p [n_rows] by what the heads were trained on.
    """
    labels = official_labels(outcomes)
    rows: list[list[Cell]] = []
    for (told, p), (source, (bar, published)) in product(judges.items(), _BARS.items()):
        pair = _both(outcomes, p, source)
        if not len(pair):
            continue
        weak, strong = labels[pair[:, 0]], labels[pair[:, 1]]
        score = p[pair[:, 1]] - p[pair[:, 0]]
        own = group[pair[:, 0]]
        area = _interval(apgr, score, weak, strong, own, seed)
        half = _interval(partial(cpt, recovered=0.5), score, weak, strong, own, seed)
        most = _interval(partial(cpt, recovered=0.8), score, weak, strong, own, seed)
        met = area.estimate >= bar - 5e-4
        rows.append([source, told, len(pair), area, bar, met, published, half, most])
    if not rows:
        return None
    columns = ["source", "trained on", "n", "APGR", "bar", "met", "published best"]
    return Table(
        name="routellm",
        columns=[*columns, "CPT50", "CPT80"],
        rows=rows,
        note=f"{_WEAK} against {_STRONG}, judged by the authors' own labels; score: difference of "
        "p. What ships is trained on the repaired labels; trained on the authors' is an "
        "experiment, on the same folds.",
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
