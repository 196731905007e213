"""A complete, tiny, seeded validator: real graphs of a few leaves, fitted in milliseconds."""

from __future__ import annotations

from pathlib import Path

import lightgbm as lgb
import numpy as np

from router.validation.escalation import ESCALATION_FEATURES, TARGETS
from router.validation.features import PAIR_FEATURES, SINGLE_FEATURES
from router.validation.phrases import PhraseWeights
from training.export_artifact import write_artifact
from training.export_predictor import pack_arrays
from training.export_validator import validator_files, validator_golden
from training.fit_validator import ValidatorFit

CREATED = "2026-11-01T00:00:00Z"
_TELLING = {
    "single": (SINGLE_FEATURES, "p_success_logit"),
    "pair": (PAIR_FEATURES, "same_answer"),
    "escalation": (ESCALATION_FEATURES, "verifier_success_logit"),
}


def tiny_validator_fit(seed: int = 0) -> ValidatorFit:
    """Boosters on noise, in which one feature each tells: a pair is right when it agrees."""
    generator = np.random.default_rng(seed)
    found = {}
    for name, (columns, telling) in _TELLING.items():
        x = generator.normal(size=(400, len(columns)))
        x[:, columns.index(telling)] = generator.integers(0, 2, 400)
        x[generator.random(x.shape) < 0.05] = np.nan
        y = (x[:, columns.index(telling)] + generator.normal(0.0, 0.3, 400) > 0.5).astype(float)
        settings = {
            "objective": "binary",
            "num_leaves": 4,
            "learning_rate": 0.4,
            "verbose": -1,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
        }
        found[name] = lgb.train(settings, lgb.Dataset(x, y), num_boost_round=4)
    return ValidatorFit(
        phrases=PhraseWeights({"however": -1.0, "of course": 0.5}),
        single=found["single"],
        pair=found["pair"],
        escalation=(found["escalation"],) * len(TARGETS),
    )


def tiny_validator_files(seed: int = 0) -> dict[str, bytes]:
    """The validator's files of an artifact, golden inputs included."""
    fit = tiny_validator_fit(seed)
    files = validator_files(fit, accept_thresholds={"single": 0.7, "pair": 0.6})
    return {**files, "golden.npz": pack_arrays(validator_golden(fit, seed=seed))}


def write_tiny_validator(root: Path, seed: int = 0) -> str:
    """Write a tiny validator as an artifact of its own; its version."""
    return write_artifact(root, tiny_validator_files(seed), {"made_for": "tests"}, CREATED)
