"""Learning what phrases are worth: models told apart from words, and the router's own reading."""

from __future__ import annotations

import numpy as np
import pytest

from training.fit_phrases import as_weights, fit_phrases
from training.phrase_counts import PhraseCollector, PhraseCounts

N = 400


@pytest.fixture(scope="module")
def drafts() -> tuple[list[str], np.ndarray, np.ndarray]:
    """(texts, right, model): "however" marks a wrong draft; "indeed" only marks the able model."""
    rng = np.random.default_rng(0)
    able = rng.random(N) < 0.5
    right = rng.random(N) < np.where(able, 0.9, 0.4)
    texts = [
        f"{'indeed' if a else 'well'} the sum is {rng.integers(100)}"
        + ("" if r or rng.random() < 0.3 else " however this is odd")
        for a, r in zip(able, right, strict=True)
    ]
    return texts, right, np.where(able, "able", "weak").astype(object)


def counted(texts: list[str], *, fewest: int = 25) -> PhraseCounts:
    collector = PhraseCollector()
    for text in texts:
        collector.add(text)
    return collector.counts(np.ones(len(texts), dtype=bool), fewest=fewest)


def learned(
    counts: PhraseCounts, right: np.ndarray, model: np.ndarray, kept: np.ndarray | None = None
) -> np.ndarray:
    rows = np.arange(N) if kept is None else kept
    return fit_phrases(counts, right, rows, source=np.full(N, "sums", dtype=object), model=model)


def test_words_are_credited_and_models_are_not(
    drafts: tuple[list[str], np.ndarray, np.ndarray],
) -> None:
    texts, right, model = drafts
    counts = counted(texts)
    weights = learned(counts, right, model)
    worth = dict(zip(counts.phrases, weights.tolist(), strict=True))
    assert worth["however"] < -0.3
    assert abs(worth["indeed"]) < abs(worth["however"]) * 0.7
    again = learned(counts, right, model)
    np.testing.assert_array_equal(weights, again)


def test_the_router_reads_what_was_learned(
    drafts: tuple[list[str], np.ndarray, np.ndarray],
) -> None:
    texts, right, model = drafts
    counts = counted(texts)
    weights = learned(counts, right, model)
    router = as_weights(counts, weights)
    judged = np.array([router.judge(text) for text in texts])
    np.testing.assert_allclose(judged[:, 0], counts.logits(weights), atol=0.02)
    np.testing.assert_allclose(judged[:, 1], counts.known_share(weights), atol=1e-6)


def test_rare_phrases_and_those_of_other_rows_have_no_weight(
    drafts: tuple[list[str], np.ndarray, np.ndarray],
) -> None:
    texts, right, model = drafts
    counts = counted(texts)
    assert "73" not in counts.phrases
    kept = np.flatnonzero(model == "weak")
    weights = learned(counts, right, model, kept)
    worth = dict(zip(counts.phrases, weights.tolist(), strict=True))
    assert worth["indeed"] == 0.0
    assert worth["however"] < 0.0
