"""Phrase weights: what is read of a text, what it is worth, and how the weights are stored."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import ArtifactDamagedError
from router.validation.phrases import PhraseWeights, phrases_of

WEIGHTS = PhraseWeights({"however": -1.0, "of course": 0.5, "naïve": 0.25})


def test_words_and_pairs_of_words_are_read_without_punctuation_or_case() -> None:
    assert phrases_of("However, it's 7.") == {
        "however",
        "it",
        "s",
        "7",
        "however it",
        "it s",
        "s 7",
    }
    assert phrases_of("  \n.,;") == set()


def test_of_a_long_text_the_ends_are_read() -> None:
    text = "first " + "middle " * 1000 + "last"
    assert {"first", "last", "middle middle"} <= phrases_of(text)
    assert len(phrases_of("x" * 100_000)) <= 3


def test_a_text_is_worth_the_weights_of_its_phrases() -> None:
    logit, known = WEIGHTS.judge("however of course")
    n = len({"however", "of", "course", "however of", "of course"})
    assert logit == pytest.approx((-1.0 + 0.5) / math.sqrt(n))
    assert known == pytest.approx(2 / n)
    assert WEIGHTS.judge("") == (0.0, 0.0)
    assert WEIGHTS.judge("nothing known here")[1] == 0.0


@given(st.text())
def test_any_text_is_judged_the_same_each_time(text: str) -> None:
    logit, known = WEIGHTS.judge(text)
    assert math.isfinite(logit)
    assert 0.0 <= known <= 1.0
    assert WEIGHTS.judge(text) == (logit, known)


def test_weights_survive_being_stored_to_a_part_in_a_hundred() -> None:
    stored = WEIGHTS.to_arrays()
    assert stored["weights"].dtype == np.int8
    read = PhraseWeights.from_arrays(stored, where="here")
    assert len(read) == len(WEIGHTS)
    for text in ("however", "of course", "a naïve view"):
        assert read.judge(text)[0] == pytest.approx(WEIGHTS.judge(text)[0], abs=0.01)
    assert len(PhraseWeights.from_arrays(PhraseWeights({}).to_arrays(), where="here")) == 0


@pytest.mark.parametrize("broken", ["missing", "short", "bytes"])
def test_damaged_weights_are_refused_by_name(broken: str) -> None:
    stored = WEIGHTS.to_arrays()
    if broken == "missing":
        del stored["scale"]
    elif broken == "short":
        stored["weights"] = stored["weights"][:1]
    else:
        stored["phrases"] = np.array([255, 254], dtype=np.uint8)
    with pytest.raises(ArtifactDamagedError, match=r"^phrases\.npz holds no phrase weights"):
        PhraseWeights.from_arrays(stored, where="phrases.npz")
