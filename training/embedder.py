"""Embeddings of texts from the static table alone, as the artifact's graph computes them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from router.encoder import WordPieceEncoder
from router.types import Embedding

from .vocabulary import StaticTable

__all__ = ["Embedder", "save_table"]

_KEPT = 20_000


class Embedder:
    """text -> float32 [d] of unit norm; what `Predictor.embed_texts` gives for the same text
    (a test compares them). The last texts are remembered."""

    def __init__(self, table: StaticTable) -> None:
        self._encoder = WordPieceEncoder.from_bytes(table.tokenizer)
        self._vectors, self._weights = table.vectors, table.weights
        self._remembered = lru_cache(_KEPT)(self._embed)

    @classmethod
    def from_file(cls, path: Path) -> Embedder:
        """Read what `save_table` wrote."""
        with np.load(path) as stored:
            return cls(
                StaticTable(
                    rows=stored["rows"],
                    scale=stored["scale"],
                    weights=stored["weights"],
                    tokenizer=stored["tokenizer"].tobytes(),
                )
            )

    def __call__(self, text: str) -> Embedding:
        return self._remembered(text)

    def _embed(self, text: str) -> Embedding:
        ids = self._encoder.encode_text(text)
        weights = self._weights[ids]
        mean = (weights @ self._vectors[ids]) / max(float(weights.sum()), 1e-6)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-6), dtype=np.float32)


def save_table(table: StaticTable, path: Path) -> None:
    """Write a table for `Embedder.from_file`."""
    np.savez(
        path,
        rows=table.rows,
        scale=table.scale,
        weights=table.weights,
        tokenizer=np.frombuffer(table.tokenizer, dtype=np.uint8),
    )
