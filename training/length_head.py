"""Fits the expected number of output tokens: what the prompt asks for, and how wordy a model is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .predictor_data import PredictorData
from .success_head import map_features

__all__ = ["LengthHead", "fit_lengths"]

Floats = npt.NDArray[np.float32]
_RIDGE = 300.0
_ROUNDS = 5
_PRIOR_ROWS = 50.0  # rows' worth of belief that a model is as wordy as the rest


@dataclass(frozen=True, kw_only=True)
class LengthHead:
    """log tokens = x . weights + bias + verbosity of the model; float32 [D], [n_models]."""

    weights: Floats
    bias: float
    verbosity: Floats


def fit_lengths(
    data: PredictorData, pooled: tuple[Floats, Floats], rows: npt.NDArray[np.bool_]
) -> LengthHead:
    """Ridge on prompts' mean log length, in turn with each model's mean departure from it.

    Half the residual variance is added to the bias, so that exp() is an expected count of a
    log-normal length and not its median.
    """
    usable = rows & np.isfinite(data.log_tokens)
    n_models = len(data.models)
    if not usable.any():
        width = 2 * pooled[0].shape[1] + data.texts.shape.shape[1]
        zeros = np.zeros(n_models, np.float32)
        return LengthHead(weights=np.zeros(width, np.float32), bias=5.0, verbosity=zeros)
    prompts, place = np.unique(data.row_prompt[usable], return_inverse=True)
    model, y = data.row_model[usable], data.log_tokens[usable].astype(np.float64)
    x = map_features(*pooled, data.texts.shape)[prompts].astype(np.float64)
    mean, scale = x.mean(axis=0), 1.0 / (x.std(axis=0) + 1e-6)
    unit = (x - mean) * scale
    count = np.bincount(place).astype(np.float64)
    weight = np.sqrt(count)
    gram = (unit * weight[:, None]).T @ unit + _RIDGE * np.eye(x.shape[1])
    verbosity = np.zeros(n_models)
    per_model = np.bincount(model, minlength=n_models)
    for _ in range(_ROUNDS):
        target = np.bincount(place, weights=y - verbosity[model]) / count
        middle = float(np.average(target, weights=weight))
        slope = np.linalg.solve(gram, (unit * weight[:, None]).T @ (target - middle))
        rest = y - (unit @ slope + middle)[place]
        summed = np.bincount(model, weights=rest, minlength=n_models)
        verbosity = summed / (per_model + _PRIOR_ROWS)
    left = rest - verbosity[model]
    slope = slope * scale
    bias = middle - float(mean @ slope) + 0.5 * float(left.var())
    return LengthHead(
        weights=slope.astype(np.float32), bias=bias, verbosity=verbosity.astype(np.float32)
    )
