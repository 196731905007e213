"""What takes a fit of its own to tell: RouteLLM's pair by its authors' labels, and new models.

Both follow the folds that the cross-fitted predictions were made with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..fit_predictor import fold_logits
from ..measure_predictor import NewModel, models_to_hold_out, new_model_test
from ..outcomes import Outcomes
from ..predictor_data import PredictorData, authors_labels, collect, pool
from ..report import Cell, Table
from ..vocabulary import StaticTable, distil_vocabulary
from .success_tables import has_pair

__all__ = ["Experiments", "new_model_tables", "run_experiments"]

Floats = npt.NDArray[np.float64]
_CLOSE = 0.01  # of the AUC of a model that was in training


@dataclass(frozen=True, kw_only=True)
class Experiments:
    """p_success [n_rows of the outcomes] by heads trained on the authors' labels (NaN where there
    is none; None without RouteLLM's files), and what is known of new models."""

    p_authors: Floats | None
    new_models: Sequence[NewModel]


def run_experiments(
    outcomes: Outcomes,
    p: Floats,
    fold: npt.NDArray[np.int64],
    *,
    aliases: Mapping[str, str],
    cache: Path | None,
    say: Any,
) -> Experiments:
    """Some six fits of the success head. p: cross-fitted p_success [n_rows]; fold [n_rows]: the
    rows of fold 0 judge the new models. Only rows labelled 0 or 1 are used."""
    usable = (outcomes.labels == 0) | (outcomes.labels == 1)
    part = outcomes.filter(usable)
    told = part.labels[part.column("train_ok").astype(bool)]
    paired = has_pair(part)
    if not paired and len(told) < 1500:
        return Experiments(p_authors=None, new_models=())
    say("reading prompts for experiments")
    table = distil_vocabulary(cache=cache)
    data = collect(part, table, aliases=aliases, cache=cache)
    p_authors = None
    if paired:
        p_authors = np.full(len(outcomes), np.nan)
        p_authors[usable] = _by_authors(data, table, part, cache, say)
    held_out = models_to_hold_out(data)
    new_models: list[NewModel] = []
    if held_out:
        say(f"leaving out {len(held_out)} models")
        pooled = pool(data.texts, table)
        judged = fold[usable] == 0
        new_models = new_model_test(data, pooled, held_out, reference=p[usable], judged=judged)
    return Experiments(p_authors=p_authors, new_models=new_models)


def new_model_tables(found: Sequence[NewModel]) -> list[Table]:
    """AUC of models left out of training by number of their labels: over all, and within sources;
    empty without any."""
    if not found:
        return []
    note = (
        "A model's held-out rows{}. The models were left out of training together; each starts "
        "from the prior of its name and price and is fitted by fit_ability from labels at random "
        "(mean of five draws). The second row: the share of models whose AUC is at most 0.01 "
        "below that of the model trained in."
    )
    whole = [(one.name, one.n, one.aucs, one.trained) for one in found]
    within = [(one.name, one.n, one.aucs_within, one.trained_within) for one in found]
    return [
        _new_models("new-models", whole, note.format(" of all its sources at once")),
        _new_models(
            "new-models-within-sources", within, note.format(", mean over sources by their rows")
        ),
    ]


def _new_models(
    name: str, found: Sequence[tuple[str, int, Mapping[int, float], float]], note: str
) -> Table:
    budgets = sorted(found[0][2])
    trained = np.array([one[3] for one in found])
    by_budget = np.array([[one[2][budget] for budget in budgets] for one in found])
    close = (by_budget >= trained[:, None] - _CLOSE).mean(axis=0)
    n = sum(one[1] for one in found)
    rows: list[list[Cell]] = [
        [f"mean of {len(found)}", n, *by_budget.mean(axis=0).tolist(), float(trained.mean())],
        ["within 0.01 of trained in", None, *close.tolist(), None],
    ]
    rows += [[one[0], one[1], *(one[2][b] for b in budgets), one[3]] for one in found]
    columns = ["model", "n", *(f"{budget} labels" for budget in budgets), "trained in"]
    return Table(name=name, columns=columns, rows=rows, note=note)


def _by_authors(
    data: PredictorData, table: StaticTable, part: Outcomes, cache: Path | None, say: Any
) -> Floats:
    labels = authors_labels(part).astype(np.float32)
    logits, _ = fold_logits(data, table, work=cache, labels=labels, say=say)
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64))))
