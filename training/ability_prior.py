"""What is believed of a model without a label of its own: from its name and price, and from how it
compares with known models where only numbers may be learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from router.abilities import prior_features

from .list_prices import LIST_PRICES
from .predictor_data import PredictorData
from .success_head import SuccessHead

__all__ = ["able_models", "fill_unseen", "fit_prior"]

Floats = npt.NDArray[np.float64]
_LEAST_LABELS = 100  # a model with fewer has no ability of its own
_RIDGE = 4.0
_PRIOR_ROWS = 50.0  # rows' worth of belief in the level that the name tells


def fit_prior(
    models: Sequence[str], vectors: npt.NDArray[Any], n_labels: npt.NDArray[Any]
) -> tuple[Floats, Floats]:
    """The prior for new models: ridge from `prior_features` to the vectors of known ones.

    vectors: [n_models, k + 2], theta, bias and verbosity; models with few labels are passed over.
    weights float64 [f, k + 2]; covariance of what they leave, [k + 1, k + 1], shrunk a little to
    its diagonal. The constant is not penalised.
    """
    rows = able_models(n_labels, vectors[:, -2])
    features = _features([models[row] for row in rows])
    known = np.asarray(vectors[rows], dtype=np.float64)
    penalty = _RIDGE * np.eye(features.shape[1])
    penalty[0, 0] = 1e-6
    solved = np.linalg.solve(features.T @ features + penalty, features.T @ known)
    weights = np.asarray(solved, dtype=np.float64)
    rest = (known - features @ weights)[:, :-1]
    covariance = np.atleast_2d(np.cov(rest, rowvar=False, bias=True))
    diagonal = np.diag(np.diag(covariance))
    return weights, 0.8 * covariance + 0.2 * diagonal + 1e-4 * np.eye(len(covariance))


def able_models(n_labels: npt.NDArray[Any], bias: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Row numbers of the models with labels enough for an ability of their own."""
    return np.flatnonzero((n_labels >= _LEAST_LABELS) & np.isfinite(bias))


def fill_unseen(
    head: SuccessHead,
    data: PredictorData,
    item: npt.NDArray[Any],
    rows: npt.NDArray[np.bool_],
) -> tuple[SuccessHead, npt.NDArray[np.int64]]:
    """The head with a guess for every model that it has not, and what stands behind the guesses.

    theta and bias come from the prior. Where a model has numbers (right or wrong, no text) in
    `rows`, bool [rows], its level is what it is beside the known models of the same sources:
    logit(accuracy) less theirs. item: [k + 1], the mean item of the prompts trained on. The count
    is int64 [n_models], rows compared by, 0 for known models.
    """
    counts = np.zeros(len(data.models), dtype=np.int64)
    known = np.isfinite(head.bias)
    if known.all() or len(able_models(head.n_labels, head.bias)) < 2:
        return head, counts
    vectors = np.hstack([head.theta, head.bias[:, None], np.zeros((len(head.bias), 1))])
    weights, _ = fit_prior(data.models, vectors, head.n_labels)
    guess = _features(data.models) @ weights
    theta = np.where(known[:, None], head.theta, guess[:, :-2])
    bias = np.where(known, head.bias, guess[:, -2])
    levels = theta @ item[:-1] + bias
    total = np.zeros(len(data.models))
    usable = rows & ~np.isnan(data.labels)
    for source in sorted(set(data.sources[usable].tolist())):
        at = usable & (data.sources == source)
        n = np.bincount(data.row_model[at], minlength=len(known))
        right = np.bincount(data.row_model[at], data.labels[at], minlength=len(known))
        present = n > 0
        if not (present & known).any():
            continue
        reached = np.log((right + 0.5) / (n - right + 0.5))
        ease = float(np.mean((reached - levels)[present & known]))
        new = present & ~known
        total[new] += n[new] * (reached - ease)[new]
        counts[new] += n[new]
    measured = (total + _PRIOR_ROWS * levels) / (counts + _PRIOR_ROWS)
    bias = np.where(counts > 0, bias + measured - levels, bias)
    filled = replace(head, theta=theta.astype(np.float32), bias=bias.astype(np.float32))
    return filled, counts


def _features(models: Sequence[str]) -> Floats:
    return np.array([prior_features(m, *LIST_PRICES.get(m, (None, None))) for m in models])
