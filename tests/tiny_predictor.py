"""A complete, tiny, seeded predictor: real files that load like the shipped, in milliseconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from router.domains import DOMAINS
from router.text import SHAPE_FEATURES
from training.domain_head import FIRST_WORD_ID, DomainHead
from training.export_artifact import promote_version, write_artifact
from training.export_predictor import predictor_files
from training.fit_predictor import FittedPredictor
from training.predictor_graph import PredictorWeights
from training.success_head import FeatureMap
from training.vocabulary import StaticTable, quantise_rows

CREATED = "2026-11-01T00:00:00Z"
MODELS = ("gpt-4o", "gpt-4o-mini", "llama-3.1-8b", "claude-3.5-sonnet")
_WORDS = "what is the capital of france write a python function that train and why how ##s ##ing"


def tiny_tokenizer() -> bytes:
    """A tokenizer.json of WordPiece kind with some words, letters and signs."""
    signs = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    tokens = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", *signs, *_WORDS.split()]
    tokens += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return json.dumps({"model": {"type": "WordPiece", "vocab": vocabulary}}).encode()


def tiny_table(d: int = 8, seed: int = 0) -> StaticTable:
    tokenizer = tiny_tokenizer()
    size = len(json.loads(tokenizer)["model"]["vocab"])
    rng = np.random.default_rng(seed)
    rows, scale = quantise_rows(rng.normal(size=(size, d)).astype(np.float32))
    weights = rng.uniform(0.5, 1.5, size).astype(np.float32)
    weights[0] = 0.0
    return StaticTable(rows=rows, scale=scale, weights=weights, tokenizer=tokenizer)


def tiny_fitted(seed: int = 0) -> FittedPredictor:
    """Random weights of every part, k = 3, two clusters."""
    rng = np.random.default_rng(seed)
    table = tiny_table(seed=seed)
    d, s, k1, clusters, axes, own = 8, len(SHAPE_FEATURES), 4, 2, 4, 3
    width, ends, filters = 2 * d + s, 2, 4

    def draw(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) * 0.3).astype(np.float32)

    weights = PredictorWeights(
        table=table,
        domain=DomainHead(
            weights=np.r_[0.0, rng.uniform(0.5, 1.5, len(table.weights) - 1)].astype(np.float32),
            own=draw(len(table.weights), own).astype(np.float16).astype(np.float32),
            ends=_from_first_word(draw(len(table.weights), ends)),
            end_weights=_from_first_word(np.abs(draw(len(table.weights))) + 0.5),
            filters=draw(3 * ends, filters),
            filter_bias=draw(filters),
            window=4,
            w1=draw(d + own + s + 2 * (ends + filters), 5),
            c1=draw(5),
            w2=draw(5, len(DOMAINS)),
            c2=draw(len(DOMAINS)),
        ),
        temperature=0.8,
        abstain_below=0.2,
        items=FeatureMap(
            linear=draw(width, k1 + clusters),
            linear_bias=draw(k1 + clusters),
            local_mean=draw(axes + s),
            local_scale=np.abs(draw(axes + s)) + 0.5,
            experts=draw(axes + s, clusters * k1),
            expert_bias=draw(clusters * k1),
            clusters=clusters,
            dimension=d,
            local_axes=axes,
        ),
        length=draw(width),
        length_bias=4.0,
    )
    return FittedPredictor(
        weights=weights,
        models=MODELS,
        theta=draw(len(MODELS), k1 - 1),
        bias=draw(len(MODELS)) + 0.5,
        verbosity=draw(len(MODELS)),
        n_labels=np.full(len(MODELS), 500),
    )


def _from_first_word(rows: np.ndarray) -> np.ndarray:
    """Rounded as the graph holds them, and 0 for padding and marks."""
    rows = rows.astype(np.float16).astype(np.float32)
    rows[:FIRST_WORD_ID] = 0.0
    return rows


def write_tiny(root: Path, seed: int = 0) -> str:
    """Write and promote a tiny artifact under the models folder `root`; its version."""
    aliases = {"gpt-4o-2024-08-06": "gpt-4o", "Meta-Llama-3.1-8B-Instruct": "llama-3.1-8b"}
    files = predictor_files(tiny_fitted(seed), aliases)
    version = write_artifact(root, files, {"made_for": "tests"}, CREATED)
    promote_version(root, version)
    return version
