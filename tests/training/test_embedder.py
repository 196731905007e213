"""Embeddings made in training are those that the artifact's graph gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from router.artifact import load_artifact
from router.predictor import Predictor
from tests.tiny_predictor import tiny_table, write_tiny
from training.embedder import Embedder, save_table

TEXTS = ("what is the capital", "x" * 5000, "why and how " * 500, "\ud800 odd", "日本語", " ")


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    root = tmp_path_factory.mktemp("models")
    return Predictor(load_artifact(root, write_tiny(root)))


def test_the_graph_embeds_alike(predictor: Predictor) -> None:
    embed = Embedder(tiny_table())
    found = predictor.embed_texts(TEXTS)
    for text, one in zip(TEXTS, found, strict=True):
        assert one is not None
        np.testing.assert_allclose(embed(text), one, atol=1e-5)


def test_a_table_survives_being_stored(tmp_path: Path) -> None:
    save_table(tiny_table(), tmp_path / "table.npz")
    again = Embedder.from_file(tmp_path / "table.npz")
    for text in TEXTS:
        np.testing.assert_array_equal(again(text), Embedder(tiny_table())(text))
