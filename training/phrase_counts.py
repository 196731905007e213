"""Which phrases stand in which drafts, as a sparse matrix; what `fit_phrases` learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router.validation.phrases import phrases_of

__all__ = ["PhraseCollector", "PhraseCounts"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class PhraseCounts:
    """Row i of the scipy CSR `matrix`, float32 [n, n_phrases], has 1 / sqrt(sizes[i]) at each
    phrase of draft i that is among `phrases`; `sizes` int64 [n] counts all its phrases."""

    phrases: tuple[str, ...]
    matrix: Any
    sizes: Ints

    def logits(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The log-odds of `PhraseWeights.judge` for each draft, float64 [n]."""
        return np.asarray(self.matrix @ weights, dtype=np.float64)

    def known_share(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The share of each draft's phrases that have a weight, float64 [n]."""
        scaled = self.matrix @ (weights != 0.0).astype(np.float64)
        return np.asarray(scaled / np.sqrt(np.maximum(self.sizes, 1)), dtype=np.float64)


class PhraseCollector:
    """Collects drafts one by one; phrases become numbers as they are met."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._rows: list[npt.NDArray[np.int32]] = []

    def add(self, text: str) -> None:
        """The next draft's reasoning."""
        numbers = self._numbers
        found = [numbers.setdefault(phrase, len(numbers)) for phrase in phrases_of(text)]
        self._rows.append(np.array(found, dtype=np.int32))

    def counts(self, counted: npt.NDArray[np.bool_], *, fewest: int) -> PhraseCounts:
        """All drafts over the phrases that stand in at least `fewest` of those `counted`, bool
        [n]."""
        from scipy import sparse

        sizes = np.array([len(row) for row in self._rows])
        flat = np.concatenate(self._rows) if self._rows else np.zeros(0, dtype=np.int32)
        owner = np.repeat(np.arange(len(sizes)), sizes)
        times = np.bincount(flat[counted[owner]], minlength=len(self._numbers))
        names = np.array(list(self._numbers), dtype=object)
        kept = np.flatnonzero(times >= fewest)
        kept = kept[np.argsort(names[kept])]  # in an order that no set's order can change
        column = np.full(len(self._numbers), -1, dtype=np.int64)
        column[kept] = np.arange(len(kept))
        known = column[flat] >= 0
        values = 1.0 / np.sqrt(np.maximum(sizes, 1))
        matrix = sparse.csr_matrix(
            (values[owner[known]].astype(np.float32), (owner[known], column[flat[known]])),
            shape=(len(sizes), len(kept)),
        )
        matrix.sort_indices()
        return PhraseCounts(phrases=tuple(names[kept].tolist()), matrix=matrix, sizes=sizes)
