"""What a draft's own words say about it: one learned weight for each word and pair of words.

Drafts that are wrong talk differently ("however", "the closest option", "let us assume"), and what
they talk about tells how hard the question was. The weights are those of a logistic regression on
recorded drafts (training/fit_phrases.py); looking them up costs microseconds and no tokenizer.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import ArtifactDamagedError

__all__ = ["PhraseWeights", "phrases_of"]

_HEAD: Final = 700
_TAIL: Final = 700
_MARKS: Final = f"{string.punctuation}\n\t\r".encode()
_SPACES: Final = bytes(32 if byte in _MARKS else byte for byte in range(256))


def phrases_of(text: str) -> set[str]:
    """The distinct words and pairs of words of `text`: lower case, no punctuation; of a long text
    the first 700 and the last 700 characters are read."""
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]} {text[-_TAIL:]}"
    # Bytes are translated at memory speed, text with accents character by character.
    plain = text.lower().encode("utf-8", "surrogatepass").translate(_SPACES)
    words = plain.decode("utf-8", "surrogatepass").split()
    return {*words, *map(" ".join, pairwise(words))}


class PhraseWeights:
    """Weights of phrases, in log-odds of a draft's being right."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)

    def __len__(self) -> int:
        return len(self._weights)

    def judge(self, text: str) -> tuple[float, float]:
        """(log-odds, share of the phrases that are known, 0..1); zeros for a text without words.

        The log-odds are the sum of the weights of the phrases in `text` / the square root of their
        number. How much they are worth depends on how much of the text is known.
        """
        phrases = phrases_of(text)
        if not phrases:
            return 0.0, 0.0
        known = [weight for weight in map(self._weights.get, phrases) if weight is not None]
        # Summed exactly, since a set has no order and the same text must give the same number.
        total = math.fsum(known)
        return total / math.sqrt(len(phrases)), len(known) / len(phrases)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """As stored: phrases uint8 (UTF-8, one a line), weights int8 and their scale float32."""
        phrases = sorted(self._weights)
        values = np.array([self._weights[phrase] for phrase in phrases], dtype=np.float64)
        scale = max(float(np.abs(values).max(initial=0.0)) / 127.0, 1e-9)
        return {
            "phrases": np.frombuffer("\n".join(phrases).encode(), dtype=np.uint8),
            "weights": np.rint(values / scale).astype(np.int8),
            "scale": np.array(scale, dtype=np.float32),
        }

    @classmethod
    def from_arrays(cls, stored: Mapping[str, npt.NDArray[Any]], *, where: str) -> PhraseWeights:
        """Read what `to_arrays` gave; ArtifactDamagedError naming `where` when it is otherwise."""
        try:
            text = stored["phrases"].astype(np.uint8).tobytes().decode()
            values = (stored["weights"].astype(np.float64) * float(stored["scale"])).tolist()
            shared: dict[float, float] = {}  # one object for each of the 255, which caches can hold
            values = [shared.setdefault(value, value) for value in values]
            phrases = text.split("\n") if text else []
            return cls(dict(zip(phrases, values, strict=True)))
        except (KeyError, TypeError, ValueError) as exc:
            raise ArtifactDamagedError(
                f"{where} holds no phrase weights ({type(exc).__name__}: {exc}); restore it or "
                "export the artifact again"
            ) from exc
