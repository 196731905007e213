"""The domain head: two poolings of the whole text, and a close look at its two ends.

Requests stand at the start or the end of what people send, and what they paste in between says
little about what they want. So beside means over all tokens the head reads the first and the last
`window` tokens by themselves: their weighted mean, and the strongest answers of filters over three
neighbouring tokens, which tell "summarise this" from "this summary" wherever it stands there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .predictor_data import PromptTexts
from .vocabulary import StaticTable

__all__ = ["FIRST_WORD_ID", "DomainHead", "DomainSettings", "end_windows"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
FIRST_WORD_ID = 3  # ids below are padding and the marks of system message and earlier turn


@dataclass(frozen=True, kw_only=True)
class DomainSettings:
    """What the fit depends on beside its data; the defaults are what ships."""

    own_axes: int = 16
    end_axes: int = 32
    filters: int = 64
    window: int = 32  # tokens of each end
    hidden: int = 128
    dropout: float = 0.4
    epochs: int = 5
    batch: int = 128
    learning_rate: float = 2e-3
    table_rate: float = 3e-3
    table_decay: float = 0.1
    smoothing: float = 0.05
    max_tokens: int = 160  # read in training; head and tail of longer texts
    views: tuple[float, ...] = (0.35, 0.4, 0.25)  # chance of each view of a text
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class DomainHead:
    """probabilities = softmax((relu(u W1 + c1) W2 + c2) / temperature), u [D] being

    [mean [d], own [r], shape [s], means of both ends [2 e], filters' peaks at both ends [2 f]].

    `weights` float32 [V] are the head's own pooling weights, 0 for padding; `own` float32 [V, r]
    its own token table, pooled alike. `ends` float32 [V, e] is the table of the ends and
    `end_weights` [V] its weights, both 0 below FIRST_WORD_ID; `filters` float32 [3 e, f] and
    `filter_bias` [f] look at a token between its neighbours. `own`, `ends` and
    `end_weights` hold float16 values.
    The standardisation of u is folded into W1 and c1.
    """

    weights: Floats
    own: Floats
    ends: Floats
    end_weights: Floats
    filters: Floats
    filter_bias: Floats
    window: int
    w1: Floats
    c1: Floats
    w2: Floats
    c2: Floats

    def logits(self, texts: PromptTexts, table: StaticTable) -> Floats:
        """float32 [n, 10]."""
        vectors = np.hstack([table.vectors, self.own])
        out = np.zeros((len(texts), len(self.c2)), dtype=np.float32)
        for row, ids in enumerate(texts.ids):
            w = self.weights[ids]
            pooled = (w @ vectors[ids]) / max(float(w.sum()), 1e-6)
            u = np.concatenate([pooled, texts.shape[row], *self._look(ids)])
            out[row] = np.maximum(u @ self.w1 + self.c1, 0.0) @ self.w2 + self.c2
        return out

    def _look(self, ids: npt.NDArray[np.int32]) -> tuple[Floats, Floats]:
        """The means [2 e] and the peaks [2 f] of the ends of one text."""
        seen = end_windows([ids], self.window)[0]
        rows, inner = self.ends[seen], seen[:, 1:-1]
        w = self.end_weights[inner]
        mass = np.maximum(w.sum(axis=1, keepdims=True), 1e-6)
        means = np.einsum("ew,ewr->er", w, rows[:, 1:-1]) / mass
        beside = np.concatenate([rows[:, :-2], rows[:, 1:-1], rows[:, 2:]], axis=2)
        found = np.maximum(beside @ self.filters + self.filter_bias, 0.0)
        peaks = (found * (inner >= FIRST_WORD_ID)[:, :, None]).max(axis=1)
        return means.ravel(), peaks.ravel()


def end_windows(rows: Sequence[npt.NDArray[np.int32]], window: int) -> Ints:
    """The ids at the two ends of each user message, int64 [n, 2, window + 2], 0 beyond its ends.

    Each window has one more token on either side, a neighbour for the filters only. The message
    ends before the first mark; what was said earlier is left to the means over the whole.
    """
    out = np.zeros((len(rows), 2, window + 2), dtype=np.int64)
    for index, ids in enumerate(rows):
        marks = np.flatnonzero(ids < FIRST_WORD_ID)
        n = int(marks[0]) if len(marks) else len(ids)
        most = min(n, window + 1)
        out[index, 0, 1 : 1 + most] = ids[:most]
        out[index, 1, window + 1 - most : window + 1] = ids[n - most : n]
    return out
