"""What the predictor is worth, from out-of-fold predictions: every figure with its n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router.abilities import Abilities

from .ability_prior import fit_prior
from .list_prices import LIST_PRICES
from .metrics import apgr, auc, ece
from .predictor_data import PredictorData
from .success_head import SuccessSettings, fit_success

__all__ = [
    "NewModel",
    "calibration_errors",
    "models_to_hold_out",
    "new_model_test",
    "pair_apgr",
    "source_aucs",
]

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


@dataclass(frozen=True, kw_only=True)
class NewModel:
    """How well one model is known after some of its labels, on the same `n` held-out rows.

    `aucs` by number of labels, means over draws of them, beside `trained`: that of predictions
    by a head that had the model in training. `aucs_within` and `trained_within` are means over
    sources, by rows, of the AUC in each: no credit for knowing which source is hard.
    """

    name: str
    n: int
    trained: float
    aucs: Mapping[int, float]
    trained_within: float
    aucs_within: Mapping[int, float]


def models_to_hold_out(data: PredictorData, *, least: int = 1500, every: int = 5) -> list[str]:
    """Every fifth, by name, of the models with labels enough to judge by."""
    usable = data.trainable & ~np.isnan(data.labels)
    counts = np.bincount(data.row_model[usable], minlength=len(data.models))
    able = [name for name, n in zip(data.models, counts, strict=True) if n >= least]
    return able[every // 2 :: every]


def new_model_test(
    data: PredictorData,
    pooled: tuple[Floats, Floats],
    held_out: Sequence[str],
    *,
    reference: npt.NDArray[Any],
    judged: npt.NDArray[np.bool_],
    budgets: Sequence[int] = (0, 50, 200, 1000),
    repeats: int = 5,
    settings: SuccessSettings | None = None,
) -> list[NewModel]:
    """Models left out of training, and fitted from some of their labels as a deployment would.

    One head is fitted without `held_out` and without the rows where `judged`, bool [rows]. A new
    model starts from the shipped kind of prior (its name and price) and gets labels at random
    from its other rows; it is read on its judged rows, beside `reference`, p [rows] of a head that
    had it in training.
    """
    chosen = settings or SuccessSettings()
    left_out = np.isin(data.row_model, [data.models.index(name) for name in held_out])
    head = fit_success(data, pooled, data.trainable & ~left_out & ~judged, chosen)
    items = head.features.items(*pooled, data.texts.shape)
    vectors = np.hstack([head.theta, head.bias[:, None], np.zeros((len(head.bias), 1))])
    weights, covariance = fit_prior(data.models, vectors, head.n_labels)
    population = Abilities(known={}, aliases={}, weights=weights, covariance=covariance)
    rng = np.random.default_rng(chosen.seed)
    usable = data.trainable & ~np.isnan(data.labels)
    found = []
    for name in held_out:
        mine = usable & (data.row_model == data.models.index(name))
        learn, judge = np.flatnonzero(mine & ~judged), np.flatnonzero(mine & judged)
        judge = judge[np.isfinite(reference[judge])]
        y, item = data.labels[judge] > 0.5, items[data.row_prompt[judge]]
        sources = data.sources[judge]
        aucs, within = {}, {}
        for budget in budgets:
            scores, inside = [], []
            for _ in range(repeats if budget else 1):
                some = rng.choice(learn, min(budget, len(learn)), replace=False)
                ability = population.fit(
                    name,
                    items[data.row_prompt[some], :-1],
                    items[data.row_prompt[some], -1],
                    data.labels[some] > 0.5,
                    **_prices(name),
                )
                logit = item[:, :-1] @ np.array(ability.theta) - item[:, -1]
                scores.append(auc(y, logit))
                inside.append(_within_sources(y, logit, sources))
            aucs[budget], within[budget] = float(np.mean(scores)), float(np.mean(inside))
        found.append(
            NewModel(
                name=name,
                n=len(judge),
                trained=auc(y, reference[judge]),
                aucs=aucs,
                trained_within=_within_sources(y, reference[judge], sources),
                aucs_within=within,
            )
        )
    return found


def _within_sources(y: npt.NDArray[Any], p: npt.NDArray[Any], sources: npt.NDArray[Any]) -> float:
    """Mean AUC of sources with both classes, weighted by their rows."""
    scores, weights = [], []
    for source in sorted(set(sources.tolist())):
        own = sources == source
        score = auc(y[own], p[own])
        if not np.isnan(score):
            scores.append(score)
            weights.append(int(own.sum()))
    return float(np.average(scores, weights=weights)) if scores else float("nan")


def _prices(name: str) -> dict[str, float]:
    return dict(zip(("input_cost", "output_cost"), LIST_PRICES.get(name, ()), strict=False))
