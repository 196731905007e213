"""What `sluice train` leaves to measure by: predictions and validators that never saw a prompt.

`<work>/crossfit/` holds `predictions.parquet` (source, prompt_id, model, p_success, p_typical,
fold, group), `folds.json` ({"folds": [version, ...], "without": {source: version}, "models_root":
"."}), `embedder.npz` (the static table) and one artifact-like folder for each version. A prompt of
fold k is judged by validator k.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from router.artifact import load_artifact
from router.domains import GENERAL
from router.errors import DataError
from router.types import Embedding, Prediction, Query
from router.validation.validator import Validator

from ..embedder import Embedder
from ..outcomes import Outcomes

__all__ = ["Crossfit", "RecordedPredictor", "load_crossfit"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_KEYS = ["source", "prompt_id", "model"]
_NOTHING = np.zeros(1, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Crossfit:
    """Cross-fitted predictions, one entry per row of the outcomes they were joined to.

    `p_success` and `p_typical` are NaN and `fold` -1 where there is no prediction. `validators`
    by fold; `without` has, by source, a validator that never saw the source.
    """

    p_success: Floats
    p_typical: Floats
    fold: Ints
    group: Ints
    validators: tuple[Validator, ...]
    without: Mapping[str, Validator]
    embedder: Embedder


def load_crossfit(work: Path, outcomes: Outcomes) -> Crossfit:
    """Read `<work>/crossfit` and line it up with the outcomes.

    Raises DataError when the folder is not there or knows none of the outcomes.
    """
    folder = work / "crossfit"
    table, index = folder / "predictions.parquet", folder / "folds.json"
    embedder = folder / "embedder.npz"
    missing = [path.name for path in (table, index, embedder) if not path.is_file()]
    if missing:
        raise DataError(
            f"{folder} has no {' and no '.join(missing)}: run 'sluice train' with --work {work}, "
            "which leaves cross-fitted predictions there, or name an artifact with --artifact to "
            "evaluate that"
        )
    predicted = pd.read_parquet(table)
    keys = pd.DataFrame({name: outcomes.column(name).astype(str) for name in _KEYS})
    joined = keys.merge(predicted, on=_KEYS, how="left", validate="one_to_one")
    if joined["p_success"].isna().all():
        raise DataError(
            f"{table} knows none of these outcomes: it was written for other files; give those "
            "that 'sluice train' was given, or name an artifact with --artifact"
        )
    versions = json.loads(index.read_text(encoding="utf-8"))
    root = folder / versions.get("models_root", ".")
    without = versions.get("without", {})
    return Crossfit(
        p_success=joined["p_success"].to_numpy(dtype=np.float64),
        p_typical=joined["p_typical"].to_numpy(dtype=np.float64),
        fold=joined["fold"].fillna(-1).to_numpy(dtype=np.int64),
        group=_groups(joined["group"]),
        validators=tuple(_validator(root, version) for version in versions["folds"]),
        without={source: _validator(root, version) for source, version in without.items()},
        embedder=Embedder.from_file(embedder),
    )


class RecordedPredictor:
    """Recalls what was predicted of one prompt; stands where a predictor would. The embeddings
    have seen no label, so they are made anew."""

    def __init__(self, p_success: Mapping[str, float], p_typical: float, embed: Embedder) -> None:
        self._embed = embed
        self._prediction = Prediction(
            domain=GENERAL,
            domain_confidence=1.0,
            domains={},
            p_success=dict(p_success),
            p_typical=p_typical,
            output_tokens={},
            input_tokens=0.0,
            embedding=_NOTHING,
            artifact="crossfit",
        )

    def predict(self, query: Query, models: Sequence[str] | None = None) -> Prediction:
        """The recorded prediction, with the query's embedding."""
        return replace(self._prediction, embedding=self._embed(query.text))

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding | None]:
        """The embeddings of texts, None for an empty one."""
        return [self._embed(text) if text else None for text in texts]


def _validator(root: Path, version: str) -> Validator:
    return Validator(load_artifact(root, version, verify=False))


def _groups(column: Any) -> Ints:
    """Group names or numbers as dense numbers; rows without one are alone."""
    codes, _ = pd.factorize(column)
    codes = codes.astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max() + 1 + np.arange(int(alone.sum()))
    return np.asarray(codes)
