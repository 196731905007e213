"""Who judges a recorded row: what has not seen it (cross-fitted), or an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from router.cascade import ArtifactJudge, Judge
from router.predictor import Predictor
from router.types import Embedding, Prediction, Query
from router.validation.recalibration import Recalibration
from router.validation.validator import Validator

from ..outcomes import Outcomes
from .crossfit import Crossfit, RecordedPredictor

__all__ = ["ArtifactBench", "Bench", "CrossfitBench"]

Ints = npt.NDArray[np.int64]


class Bench(Protocol):
    """Judges rows of the outcomes, named by their numbers."""

    @property
    def group(self) -> Ints:
        """The group of each row, int64 [n_rows]."""
        ...

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which rows can be judged."""
        ...

    @property
    def weights(self) -> Recalibration:
        """The recalibration that is used when none is given."""
        ...

    def prediction(self, query: Query, rows: Sequence[int]) -> Prediction:
        """The prediction for one prompt and the models of these rows of it."""
        ...

    def prediction_beside(
        self, query: Query, rows: Sequence[int], texts: Sequence[str]
    ) -> tuple[Prediction, list[Embedding | None]]:
        """The same, and the embeddings of some texts, None for an empty one."""
        ...

    def validator(self, row: int) -> Validator:
        """The validator that may judge this row."""
        ...

    def judge(self, rows: Sequence[int], weights: Recalibration | None) -> Judge:
        """The judge of a cascade over these rows of one prompt."""
        ...


class CrossfitBench:
    """Each row is judged by models that have not seen its prompt, nor, with `unseen_sources`, any
    prompt of its source (where such a validator was trained)."""

    def __init__(
        self, crossfit: Crossfit, outcomes: Outcomes, *, unseen_sources: bool = False
    ) -> None:
        self._crossfit = crossfit
        self._models = outcomes.column("model")
        self._sources = outcomes.column("source")
        self._unseen = unseen_sources
        self.group = crossfit.group
        self.usable = ~np.isnan(crossfit.p_success) & (crossfit.fold >= 0)
        self.weights = crossfit.validators[0].recalibration

    def prediction(self, query: Query, rows: Sequence[int]) -> Prediction:
        return self._predictor(rows).predict(query)

    def prediction_beside(
        self, query: Query, rows: Sequence[int], texts: Sequence[str]
    ) -> tuple[Prediction, list[Embedding | None]]:
        predictor = self._predictor(rows)
        return predictor.predict(query), predictor.embed_texts(texts)

    def validator(self, row: int) -> Validator:
        if self._unseen:
            return self._crossfit.without[str(self._sources[row])]
        return self._crossfit.validators[int(self._crossfit.fold[row])]

    def judge(self, rows: Sequence[int], weights: Recalibration | None) -> Judge:
        return ArtifactJudge(self._predictor(rows), self.validator(rows[0]), recalibration=weights)

    def _predictor(self, rows: Sequence[int]) -> RecordedPredictor:
        known = {str(self._models[row]): float(self._crossfit.p_success[row]) for row in rows}
        typical = float(self._crossfit.p_typical[rows[0]])
        return RecordedPredictor(known, typical, self._crossfit.embedder)


class ArtifactBench:
    """Every row is judged as production would judge it."""

    def __init__(
        self, predictor: Predictor, validator: Validator, outcomes: Outcomes, group: Ints
    ) -> None:
        self.predictor = predictor
        self._validator = validator
        self._models = outcomes.column("model")
        self.group = group
        self.usable = np.ones(len(outcomes), dtype=bool)
        self.weights = validator.recalibration

    def prediction(self, query: Query, rows: Sequence[int]) -> Prediction:
        return self.predictor.predict(query, self._names(rows))

    def prediction_beside(
        self, query: Query, rows: Sequence[int], texts: Sequence[str]
    ) -> tuple[Prediction, list[Embedding | None]]:
        return self.prediction(query, rows), self.predictor.embed_texts(texts)

    def validator(self, row: int) -> Validator:
        return self._validator

    def judge(self, rows: Sequence[int], weights: Recalibration | None) -> Judge:
        return ArtifactJudge(self.predictor, self._validator, recalibration=weights)

    def _names(self, rows: Sequence[int]) -> tuple[str, ...]:
        names: list[Any] = [self._models[row] for row in rows]
        return tuple(dict.fromkeys(map(str, names)))
