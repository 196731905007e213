"""Predictions: whole, bounded, the same alone and in a batch, for any text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.artifact import load_artifact
from router.domains import DOMAINS, GENERAL
from router.encoder import MAX_TOKENS, WordPieceEncoder
from router.errors import ArtifactDamagedError
from router.predictor import Predictor
from router.text import clean
from router.types import Query
from tests.tiny_predictor import CREATED, MODELS, tiny_fitted, tiny_tokenizer, write_tiny
from training.export_artifact import write_artifact
from training.export_predictor import predictor_files


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    root = tmp_path_factory.mktemp("models")
    write_tiny(root)
    return Predictor(load_artifact(root))


def ask(text: str) -> Query:
    return Query.from_prompt(text)


def test_a_prediction_is_whole(predictor: Predictor) -> None:
    found = predictor.predict(ask("What is the capital of France?"))
    assert tuple(found.p_success) == MODELS == tuple(found.output_tokens)
    assert all(0.0 <= p <= 1.0 for p in found.p_success.values())
    assert all(tokens >= 1.0 for tokens in found.output_tokens.values())
    assert tuple(found.domains) == DOMAINS
    assert sum(found.domains.values()) == pytest.approx(1.0, abs=1e-5)
    assert np.linalg.norm(found.embedding) == pytest.approx(1.0, abs=1e-5)
    assert found.artifact == predictor.artifact.version
    assert found.input_tokens == 7


def test_models_are_predicted_in_the_order_asked_by_any_name(predictor: Predictor) -> None:
    names = ["gpt-4o-2024-08-06", "never-heard-of-9b", "gpt-4o"]
    found = predictor.predict(ask("why"), names)
    assert list(found.p_success) == names
    assert found.p_success["gpt-4o"] == found.p_success["gpt-4o-2024-08-06"]


def test_alone_and_in_a_batch_is_the_same(predictor: Predictor) -> None:
    texts = [
        "why",
        "",
        "write a python function " * 50,
        "é" * 10,
        *(f"train {i}" for i in range(40)),
    ]
    many = predictor.predict_many([ask(text) for text in texts])
    for text, batched in zip(texts, many, strict=True):
        alone = predictor.predict(ask(text))
        assert alone.domain == batched.domain
        assert list(alone.p_success.values()) == pytest.approx(
            list(batched.p_success.values()), abs=1e-5
        )
        assert alone.embedding == pytest.approx(batched.embedding, abs=1e-5)


def test_drafts_are_embedded_as_messages_are(predictor: Predictor) -> None:
    texts = ["the capital", "", "write a python function that train " * 40]
    embeddings = predictor.embed_texts(texts)
    assert embeddings[1] is None
    for text, found in zip(texts, embeddings, strict=True):
        if found is not None:
            np.testing.assert_allclose(found, predictor.embed([text])[0], atol=1e-5)
            np.testing.assert_allclose(found, predictor.predict(ask(text)).embedding, atol=1e-5)
    assert predictor.embed_texts([""]) == [None]
    assert predictor.embed_texts([]) == []


def test_nothing_to_predict_is_an_empty_list(predictor: Predictor) -> None:
    assert predictor.predict_many([]) == []
    assert predictor.embed([]).shape == (0, predictor.dimension)
    a, b = predictor.item_features([])
    assert a.shape == (0, 3)
    assert b.shape == (0,)


def test_item_features_explain_p_success(predictor: Predictor) -> None:
    queries = [ask("why"), ask("write a python function")]
    a, b = predictor.item_features(queries)
    ability = predictor.abilities.get("gpt-4o")
    logits = a @ np.array(ability.theta) - b + ability.bias
    found = [p.p_success["gpt-4o"] for p in predictor.predict_many(queries)]
    assert found == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-5)


def test_an_added_ability_is_used_at_once(predictor: Predictor) -> None:
    query = ask("why is the capital")
    a, b = predictor.item_features([query] * 50)
    always = predictor.abilities.fit("acme-7b", a, b, np.ones(50, bool))
    before = predictor.predict(query, ["acme-7b"]).p_success["acme-7b"]
    predictor.add_ability(always)
    assert predictor.predict(query, ["acme-7b"]).p_success["acme-7b"] > before


def test_a_prediction_stays_when_the_next_is_made(predictor: Predictor) -> None:
    """The graphs write into the same arrays every time."""
    texts = ["why is the capital", "write a python function", "train 7"]
    queries = [ask(text) for text in texts]
    kept = [predictor.predict(query, MODELS[:2]) for query in queries]
    embedded = [predictor.embed_texts([text])[0] for text in texts]
    predictor.predict(queries[0], MODELS)
    for one, draft, text, query in zip(kept, embedded, texts, queries, strict=True):
        assert one == predictor.predict(query, MODELS[:2])
        assert np.array_equal(one.embedding, predictor.embed([text])[0])
        assert np.array_equal(draft, one.embedding)


def test_threads_do_not_see_each_others_predictions(predictor: Predictor) -> None:
    queries = [ask(f"train {index} " * (1 + index % 7)) for index in range(40)]
    alone = [predictor.predict(query) for query in queries]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: [predictor.predict(query) for query in queries], range(8)):
            assert found == alone
            for one, other in zip(found, alone, strict=True):
                assert np.array_equal(one.embedding, other.embedding)


def test_below_the_threshold_the_domain_is_general(predictor: Predictor, monkeypatch) -> None:
    monkeypatch.setattr(predictor, "abstain_below", 1.1)
    found = predictor.predict(ask("write a python function"))
    assert found.domain == GENERAL
    assert found.domain_confidence == found.domains[GENERAL]


@given(st.text(max_size=300))
def test_any_text_is_predicted(predictor: Predictor, text: str) -> None:
    found = predictor.predict(ask(text))
    assert np.isfinite(list(found.p_success.values())).all()
    assert np.isfinite(found.embedding).all()


@pytest.mark.parametrize(
    "text", ["\ud800" * 50, "{" * 100_000, "🙂" * 5000, "a" * 100_000, "\x00\x07", "漢字かな" * 900]
)
def test_hostile_text_is_predicted(predictor: Predictor, text: str) -> None:
    found = predictor.predict(ask(text))
    assert np.isfinite(list(found.p_success.values())).all()


def test_ids_do_not_depend_on_what_was_read_before() -> None:
    fresh, used = (WordPieceEncoder.from_bytes(tiny_tokenizer()) for _ in range(2))
    noise = [" ".join(f"q{chr(97 + i)}{chr(97 + j)}x" for j in range(26)) for i in range(26)]
    for text in noise:
        used.encode(text)
    everything = " ".join(noise)
    assert fresh.encode(everything) == used.encode(everything)
    assert len(used.encode(everything)) <= MAX_TOKENS


@given(st.text(max_size=200))
def test_ids_are_in_the_vocabulary(text: str) -> None:
    encoder = WordPieceEncoder.from_bytes(tiny_tokenizer())
    assert all(0 <= i < encoder.vocabulary_size for i in encoder.encode(clean(text)))


def test_an_artifact_with_another_tokenizer_is_refused(tmp_path: Path) -> None:
    files = predictor_files(tiny_fitted(), {})
    swapped = files["tokenizer.json"].replace(b'"what"', b'"whaat"')
    assert swapped != files["tokenizer.json"]
    version = write_artifact(tmp_path, {**files, "tokenizer.json": swapped}, {}, CREATED)
    with pytest.raises(ArtifactDamagedError, match="golden texts"):
        Predictor(load_artifact(tmp_path, version))
