"""The validator's files of an artifact: graphs, weights, what they expect, golden inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from router.validation.escalation import ESCALATION_FEATURES
from router.validation.features import PAIR_FEATURES, SINGLE_FEATURES
from router.validation.recalibration import HEADS, UNCHANGED, Recalibration

from .export_predictor import pack_arrays
from .fit_validator import ValidatorFit
from .tree_graph import booster_graph

__all__ = ["validator_files", "validator_golden"]

_COLUMNS = {"single": SINGLE_FEATURES, "pair": PAIR_FEATURES, "escalation": ESCALATION_FEATURES}
_GOLDEN_ROWS = 16


def validator_files(
    fit: ValidatorFit,
    *,
    accept_thresholds: Mapping[str, float],
    recalibration: Recalibration = UNCHANGED,
) -> dict[str, bytes]:
    """File name -> content. `accept_thresholds` has one p_acceptable for "single", for "pair"."""
    about = {
        **{f"{name}_features": list(columns) for name, columns in _COLUMNS.items()},
        "accept_thresholds": {name: accept_thresholds[name] for name in ("single", "pair")},
        "recalibration": {head: list(getattr(recalibration, head)) for head in HEADS},
    }
    graphs = {
        f"validator_{name}.onnx": booster_graph(*_boosters(fit, name), features=columns)
        for name, columns in _COLUMNS.items()
    }
    return {
        **graphs,
        "validator_phrases.npz": pack_arrays(fit.phrases.to_arrays()),
        "validator.json": (json.dumps(about, indent=1) + "\n").encode(),
    }


def validator_golden(fit: ValidatorFit, *, seed: int) -> dict[str, npt.NDArray[Any]]:
    """Golden inputs and outputs of the graphs, in the names `router.artifact` replays."""
    generator = np.random.default_rng(seed)
    golden: dict[str, npt.NDArray[Any]] = {}
    for name, columns in _COLUMNS.items():
        features = generator.normal(1.0, 2.0, (_GOLDEN_ROWS, len(columns))).astype(np.float32)
        features[generator.random(features.shape) < 0.1] = np.nan
        logits = [one.predict(features, raw_score=True) for one in _boosters(fit, name)]
        golden[f"validator_{name}.in.features"] = features
        golden[f"validator_{name}.out.logit"] = np.stack(logits, axis=1).astype(np.float32)
    return golden


def _boosters(fit: ValidatorFit, name: str) -> tuple[Any, ...]:
    """The boosters of a graph, one for each of its outputs."""
    found = getattr(fit, name)
    return found if isinstance(found, tuple) else (found,)
