"""Evidence vectors: one column per name, finite or NaN, for any text whatever."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.types import Draft, Query
from router.validation.features import (
    PAIR_FEATURES,
    SINGLE_FEATURES,
    DraftEvidence,
    compare_drafts,
    draft_evidence,
    logit,
    logprob_statistic,
    pair_features,
    query_evidence,
)
from router.validation.phrases import PhraseWeights

PHRASES = PhraseWeights({"however": -2.0, "so the": 0.5, "answer": 0.1})
SUM = "Janet has 3 apples and buys 4 more. How many has she?"
CHOICE = "Which gas do plants take in?\nA) oxygen\nB) carbon dioxide"


def evidence(query: str, text: str, **draft: object) -> DraftEvidence:
    asked = query_evidence(Query.from_prompt(query))
    return draft_evidence(
        asked,
        Draft(text=text, **draft),  # type: ignore[arg-type]
        p_success=0.7,
        p_typical=0.6,
        phrases=PHRASES,
    )


def pair(one: DraftEvidence, two: DraftEvidence) -> np.ndarray:
    return pair_features(one, two, compare_drafts(one, two), single=0.8, peer_single=0.4)


def test_names_are_distinct_and_vectors_are_as_long() -> None:
    assert len(set(SINGLE_FEATURES)) == len(SINGLE_FEATURES)
    assert len(set(PAIR_FEATURES)) == len(PAIR_FEATURES)
    one = evidence(SUM, "3 + 4 = 7\n#### 7")
    two = evidence(SUM, "It is 8.")
    assert one.single.shape == (len(SINGLE_FEATURES),)
    assert pair(one, two).shape == (len(PAIR_FEATURES),)
    assert one.single.dtype == pair(one, two).dtype == np.float32


def test_values_are_found_by_name() -> None:
    one = evidence(SUM, "3 + 4 = 7\n#### 7")
    assert one.value("kind_number") == 1.0
    assert one.value("kind_text") == 0.0
    assert one.value("marked") == 1.0
    assert one.value("query_numbers_used") == 1.0
    assert one.value("answer_in_reasoning") == 1.0
    assert one.value("p_success_logit") == pytest.approx(logit(0.7))
    wrong = evidence(SUM, "3 + 4 = 9\n#### 9")
    assert wrong.value("n_wrong_equations") == 1.0
    chosen = evidence(CHOICE, "The answer is (B).")
    assert chosen.value("n_options") == 2.0
    assert chosen.value("letter") == 1.0


def test_formats_of_one_answer_give_the_same_reading() -> None:
    plain = evidence(SUM, "3 + 4 = 7\n#### 7")
    stored = evidence(SUM, '{"reasoning": "3 + 4 = 7", "answer": 7}')
    for name in ("kind_number", "answer_log_magnitude", "query_numbers_used", "n_wrong_equations"):
        assert plain.value(name) == stored.value(name), name


def test_what_was_not_predicted_is_missing_and_not_invented() -> None:
    asked = query_evidence(Query.from_prompt(SUM))
    read = draft_evidence(
        asked, Draft(text="7"), p_success=math.nan, p_typical=math.nan, phrases=PHRASES
    )
    assert math.isnan(read.value("p_success_logit"))
    assert math.isnan(read.value("relevance"))
    assert read.embedding is None
    assert math.isnan(read.logprob)


def test_words_and_meaning_are_evidence() -> None:
    asked = query_evidence(Query.from_prompt(SUM))
    north, east = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)

    def read(text: str, embedding: np.ndarray) -> DraftEvidence:
        return draft_evidence(
            asked,
            Draft(text=text),
            p_success=0.7,
            p_typical=0.6,
            phrases=PHRASES,
            query_embedding=north,
            embedding=embedding,
        )

    sure, unsure = read("So the answer is 7.", north), read("However, the answer is 8.", east)
    assert sure.value("phrases") > 0.0 > unsure.value("phrases")
    assert sure.value("relevance") == 1.0
    assert unsure.value("relevance") == 0.0
    found = pair(sure, unsure)
    assert found[PAIR_FEATURES.index("meaning")] == 0.0
    assert found[PAIR_FEATURES.index("peer_phrases")] == np.float32(unsure.value("phrases"))


def test_the_log_probability_statistic() -> None:
    assert math.isnan(logprob_statistic(None))
    assert math.isnan(logprob_statistic(()))
    assert logprob_statistic((-0.1, -0.3)) == pytest.approx(-0.2)
    assert logprob_statistic((-math.inf, -1.0)) == -50.0
    assert logprob_statistic((0.5,)) == 0.0


@pytest.mark.parametrize(
    ("p", "low", "high"), [(0.0, -9.3, -9.2), (0.5, 0.0, 0.0), (1.0, 9.2, 9.3)]
)
def test_log_odds_are_clipped(p: float, low: float, high: float) -> None:
    assert low <= logit(p) <= high


TEXT = st.one_of(
    st.text(st.characters(codec=None)),
    st.text(alphabet=st.sampled_from(list("aAB1e9-+=*/().,$#\\{}[]\"'` \n\ud800٣"))),
    st.sampled_from(
        ["#### 1e999", "9" * 400, "-" + "9" * 59, "#### -0", "1,,,2", "²", "\\boxed{1e-400}"]
    ),
)


@given(TEXT, TEXT, TEXT)
def test_no_text_raises_or_gives_an_infinity(query: str, draft: str, peer: str) -> None:
    one, two = evidence(query, draft), evidence(query, peer)
    for vector in (one.single, two.single, pair(one, two), pair(two, one)):
        assert not np.isinf(vector).any()


@pytest.mark.parametrize(
    "text", ["9" * 100_000, "\ud800" * 100_000, "a b " * 25_000, "\\" * 100_000]
)
def test_long_texts_on_both_sides(text: str) -> None:
    one = evidence(text, text, logprobs=(-1.0,) * 1000, finish_reason="length")
    assert not np.isinf(one.single).any()
    assert one.logprob == -1.0
