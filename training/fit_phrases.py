"""Fits the weights of phrases: logistic regression of rightness on the words of a draft.

Each model on each source has an intercept of its own, which is then thrown away: what is left
tells a model's right drafts from its wrong ones, and not a good model from a bad one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from router.validation.phrases import PhraseWeights

from .phrase_counts import PhraseCounts

__all__ = ["FEWEST_DRAFTS", "as_weights", "fit_phrases"]

Floats = npt.NDArray[np.float64]
_INVERSE_PENALTY = 0.3
_INTERCEPT_SIZE = 0.5  # of the intercepts' column: the smaller, the more they are shrunk
_SOURCE_BALANCE = 0.35
_STEPS = 80
FEWEST_DRAFTS = 25  # in which a phrase must stand to get a weight


def fit_phrases(
    counts: PhraseCounts,
    correct: npt.NDArray[np.bool_],
    kept: npt.NDArray[np.int64],
    *,
    source: npt.NDArray[np.object_],
    model: npt.NDArray[np.object_],
) -> Floats:
    """Weights float64 [n_phrases], learned from the rows `kept`, 0 for a phrase that few of them
    have; `source` and `model` [n].

    A row of a source of n rows counts n^-0.35. Deterministic.
    """
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    names = np.array([f"{s}\0{m}" for s, m in zip(source[kept], model[kept], strict=True)])
    _, who = np.unique(names, return_inverse=True)
    ones = np.full(len(kept), _INTERCEPT_SIZE, dtype=np.float32)
    intercepts = sparse.csr_matrix((ones, (np.arange(len(kept)), who)))
    _, inverse, sizes = np.unique(source[kept].astype(str), return_inverse=True, return_counts=True)
    weights = sizes[inverse] ** -_SOURCE_BALANCE
    fitted = LogisticRegression(C=_INVERSE_PENALTY, solver="lbfgs", tol=1e-3, max_iter=_STEPS).fit(
        sparse.hstack([counts.matrix[kept], intercepts]).tocsr(),
        correct[kept],
        sample_weight=weights / weights.mean(),
    )
    found = np.asarray(fitted.coef_[0][: len(counts.phrases)], dtype=np.float64)
    found[counts.matrix[kept].getnnz(axis=0) < FEWEST_DRAFTS] = 0.0
    return found


def as_weights(counts: PhraseCounts, weights: Floats) -> PhraseWeights:
    """The same weights for the router, rounded as they are stored."""
    pairs = zip(counts.phrases, weights.tolist(), strict=True)
    exact = PhraseWeights({phrase: weight for phrase, weight in pairs if weight})
    return PhraseWeights.from_arrays(exact.to_arrays(), where="memory")
