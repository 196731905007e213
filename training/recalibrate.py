"""Fits the few weights between the validator's graphs and its probabilities to labelled outcomes.

What was learned elsewhere is the prior: ridge logistic regression towards the shipped weights, so
that a deployment with no outcomes keeps them and one with thousands is calibrated to its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.errors import UsageError
from router.validation.recalibration import HEADS, Recalibration

__all__ = ["HeadData", "fit_correction", "fit_recalibration"]

Floats = npt.NDArray[np.float64]
_NEWTON_STEPS = 25
_SETTLED = 1e-7
_STILL = 1e-9  # spread of an input that does not vary
_CORRECTIONS = ("gain_first", "gain_later")


@dataclass(frozen=True, kw_only=True)
class HeadData:
    """Inputs of one head, float64 [n, n_inputs], and whether the answer was right, 0/1 [n]."""

    inputs: Floats
    correct: Floats


def fit_recalibration(
    data: Mapping[str, HeadData], *, prior: Recalibration, strength: float
) -> Recalibration:
    """The weights that maximise likelihood - strength / 2 * |w - prior|^2, head by head.

    A head without data keeps its prior, as the corrections do (`fit_correction`). `strength` is in
    units of squared logits: an input that varies by about one moves freely once the outcomes are a
    multiple of it.
    """
    if not strength > 0:
        raise UsageError(f"strength is {strength}, expected above 0", param="strength")
    unknown = sorted(set(data) - set(HEADS))
    if unknown:
        raise UsageError(f"heads {unknown}, expected some of {sorted(HEADS)}", param="data")
    fitted = {
        head: _fit(data[head], np.array(getattr(prior, head)), strength)
        if head in data and len(data[head].correct)
        else getattr(prior, head)
        for head in HEADS
        if head not in _CORRECTIONS
    }
    kept = {head: getattr(prior, head) for head in _CORRECTIONS}
    return Recalibration(**fitted, **kept)


def fit_correction(inputs: Floats, missed: Floats, *, strength: float) -> tuple[float, ...]:
    """Weights of a linear correction: ridge regression of `missed`, float64 [n], on `inputs`
    [n, n_inputs], of which those that do not vary weigh nothing. The first input is the intercept
    and is not shrunk."""
    spread = inputs.std(axis=0)
    varies = spread > _STILL
    centre = inputs.mean(axis=0)
    x = (inputs[:, varies] - centre[varies]) / spread[varies]
    middle = float(missed.mean())
    gram = x.T @ x + strength * np.eye(x.shape[1])
    slopes = np.zeros(inputs.shape[1])
    slopes[varies] = np.linalg.solve(gram, x.T @ (missed - middle)) / spread[varies]
    slopes[0] = middle - float(centre @ slopes)
    return tuple(float(value) for value in slopes)


def _fit(data: HeadData, prior: Floats, strength: float) -> tuple[float, ...]:
    """Newton's method with halved steps; convex, so it ends at the one optimum."""
    x, y = data.inputs, data.correct
    w = prior.copy()
    loss = _loss(x, y, w, prior, strength)
    for _ in range(_NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ w, -30, 30)))
        gradient = x.T @ (p - y) + strength * (w - prior)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + strength * np.eye(len(w))
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (lower := _loss(x, y, w - size * step, prior, strength)) > loss and size > 1e-4:
            size /= 2
        w = w - size * step
        if loss - lower < _SETTLED * max(1.0, abs(loss)):
            break
        loss = lower
    return tuple(float(value) for value in w)


def _loss(x: Floats, y: Floats, w: Floats, prior: Floats, strength: float) -> float:
    z = x @ w
    return float((np.logaddexp(0.0, z) - y * z).sum() + strength / 2 * ((w - prior) ** 2).sum())
