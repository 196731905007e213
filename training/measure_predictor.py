"""What the predictor is worth, from out-of-fold predictions: every figure with its n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from router.abilities import Ability, fit_ability

from .metrics import apgr, auc, ece
from .predictor_data import PredictorData, pool
from .success_head import SuccessSettings, fit_success
from .vocabulary import StaticTable

__all__ = ["calibration_errors", "new_model_test", "pair_apgr", "source_aucs"]

Floats = npt.NDArray[np.float32]


def pair_apgr(
    data: PredictorData, p: Floats, labels: Floats, *, source: str, weak: str, strong: str
) -> dict[str, float]:
    """APGR of routing by p(strong) - p(weak) over the prompts of `source` with both labels."""
    columns = {}
    for role, name in (("weak", weak), ("strong", strong)):
        at = (data.sources == source) & (data.row_model == data.models.index(name))
        at &= ~np.isnan(labels) & ~np.isnan(p)
        columns[role] = {
            int(prompt): (float(y), float(q))
            for prompt, y, q in zip(data.row_prompt[at], labels[at], p[at], strict=True)
        }
    both = sorted(set(columns["weak"]) & set(columns["strong"]))
    low = np.array([columns["weak"][i] for i in both])
    high = np.array([columns["strong"][i] for i in both])
    wish = high[:, 1] - low[:, 1]
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(200):
        rows = rng.integers(0, len(both), len(both))
        draws.append(apgr(wish[rows], low[rows, 0], high[rows, 0]))
    low95, high95 = np.percentile(draws, [2.5, 97.5])
    return {
        "apgr": apgr(wish, low[:, 0], high[:, 0]),
        "low95": float(low95),
        "high95": float(high95),
        "n": len(both),
    }


def source_aucs(data: PredictorData, p: Floats, rows: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Per source: mean AUC within models of at least 100 labels, and how many rows and models."""
    found: dict[str, Any] = {}
    usable = rows & ~np.isnan(data.labels) & ~np.isnan(p)
    for source in sorted(set(data.sources[usable].tolist())):
        at = usable & (data.sources == source)
        scores = []
        for model in np.unique(data.row_model[at]):
            own = at & (data.row_model == model)
            score = auc(data.labels[own] > 0.5, p[own]) if own.sum() >= 100 else float("nan")
            if not np.isnan(score):
                scores.append(score)
        if scores:
            found[source] = {
                "auc": float(np.mean(scores)),
                "models": len(scores),
                "n": int(at.sum()),
            }
    return found


def calibration_errors(
    data: PredictorData, p: Floats, rows: npt.NDArray[np.bool_], *, least: int = 500
) -> dict[str, float]:
    """Expected calibration error of each model with at least `least` labels."""
    usable = rows & ~np.isnan(data.labels) & ~np.isnan(p)
    return {
        data.models[model]: ece(data.labels[at], p[at])
        for model in np.unique(data.row_model[usable])
        if (at := usable & (data.row_model == model)).sum() >= least
    }


def new_model_test(
    data: PredictorData,
    table: StaticTable,
    held_out: Sequence[str],
    *,
    reference: Floats,
    n_labels: int = 200,
    repeats: int = 5,
    folds: int = 5,
    fold_seed: int = 20,
    settings: SuccessSettings | None = None,
    priors: Mapping[str, Ability] | None = None,
) -> list[dict[str, Any]]:
    """AUC of models left out of training and fitted from `n_labels` outcomes, by source.

    One head is fitted without `held_out` and without the first fold; each model's ability then
    comes from `n_labels` random rows of the other folds (a source at a time) and is read on the
    first fold, beside `reference`, the out-of-fold p of a head that had the model in training.
    The prior is the population of the head's other models, or `priors` by name.
    """
    chosen = settings or SuccessSettings()
    left_out = np.isin(data.row_model, [data.models.index(name) for name in held_out])
    test = data.folds(folds, fold_seed)[data.row_prompt] == 0
    pooled = pool(data.texts, table)
    head = fit_success(data, pooled, data.trainable & ~left_out & ~test, chosen)
    items = head.features.items(*pooled, data.texts.shape)
    known = np.isfinite(head.bias) & (head.n_labels >= 500)
    vectors = np.hstack([head.theta, head.bias[:, None]])[known].astype(np.float64)
    covariance = np.cov(vectors, rowvar=False) + 1e-4 * np.eye(vectors.shape[1])
    centre = vectors.mean(axis=0)
    rng = np.random.default_rng(chosen.seed)
    results = []
    for name in held_out:
        model = data.models.index(name)
        mine = (data.row_model == model) & data.trainable & ~np.isnan(data.labels)
        for source in sorted(set(data.sources[mine].tolist())):
            at = mine & (data.sources == source)
            learn, judge = np.flatnonzero(at & ~test), np.flatnonzero(at & test)
            y = data.labels[judge] > 0.5
            if len(learn) < n_labels or len(judge) < 100 or not 10 < y.sum() < len(y) - 10:
                continue
            start = (priors or {}).get(name) or Ability(
                name=name,
                theta=tuple(centre[:-1].tolist()),
                bias=float(centre[-1]),
                verbosity=0.0,
                input_cost=None,
                output_cost=None,
                n_labels=0,
            )
            scores = []
            for _ in range(repeats):
                some = rng.choice(learn, n_labels, replace=False)
                found = fit_ability(
                    items[data.row_prompt[some], :-1],
                    items[data.row_prompt[some], -1],
                    data.labels[some] > 0.5,
                    start,
                    covariance=covariance,
                )
                item = items[data.row_prompt[judge]]
                scores.append(auc(y, item[:, :-1] @ np.array(found.theta) - item[:, -1]))
            results.append(
                {
                    "model": name,
                    "source": source,
                    "n": len(judge),
                    "auc_new": float(np.mean(scores)),
                    "auc_trained": auc(y, reference[judge]),
                }
            )
    return results
