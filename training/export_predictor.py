"""The predictor's files of an artifact: graph, abilities, tokenizer, golden inputs."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from router.encoder import WordPieceEncoder, pad
from router.text import read_query
from router.types import Query

from .ability_prior import able_models, fit_prior
from .fit_predictor import FittedPredictor
from .list_prices import LIST_PRICES
from .predictor_graph import build_graphs, run_graphs

__all__ = [
    "GOLDEN_TEXTS",
    "abilities_json",
    "all_aliases",
    "pack_arrays",
    "predictor_files",
]


GOLDEN_TEXTS = (
    "What is the capital of France?",
    "",
    "write a python function that reverses a linked list, pls",
    "A train leaves at 9:40 and travels 210 km at 84 km/h. If it stops twice for 7.5 minutes, "
    "when does it arrive?",
    "Which of the following is true of beta blockers?\nA. They raise heart rate\nB. They lower "
    "blood pressure\nC. They treat infections\nD. None of these",
    "Überse­tze bitte: 今日はいい天気ですね 🙂 — naïve façade",
    "SELECT name FROM users WHERE id IN (1, 2, 3); -- why is this slow? " * 60,
)


def predictor_files(fitted: FittedPredictor, aliases: Mapping[str, str]) -> dict[str, bytes]:
    """embedder.onnx, predictor.onnx, abilities.json, tokenizer.json and golden.npz, by name.

    `aliases` maps any name a model goes by to the canonical one.
    """
    abilities = abilities_json(fitted, aliases)
    graphs = build_graphs(fitted.weights)
    tokenizer = fitted.weights.table.tokenizer
    return {
        **{f"{name}.onnx": content for name, content in graphs.items()},
        "abilities.json": (
            json.dumps(abilities, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        ).encode(),
        "tokenizer.json": tokenizer,
        "golden.npz": pack_arrays(_golden(graphs, abilities, tokenizer)),
    }


def abilities_json(fitted: FittedPredictor, aliases: Mapping[str, str]) -> dict[str, Any]:
    """The content of abilities.json: abilities, other names, and the prior for new models."""
    k = fitted.theta.shape[1]
    entries: dict[str, Any] = {}
    for row in able_models(fitted.n_labels, fitted.bias):
        name = fitted.models[row]
        cost = LIST_PRICES.get(name, (None, None))
        vector = [*fitted.theta[row], fitted.bias[row], fitted.verbosity[row]]
        rounded = [round(float(value), 5) for value in vector]
        entries[name] = {
            "theta": rounded[:k],
            "bias": rounded[k],
            "verbosity": rounded[k + 1],
            "input_cost": cost[0],
            "output_cost": cost[1],
            "n_labels": int(fitted.n_labels[row]),
        }
    vectors = np.hstack([fitted.theta, fitted.bias[:, None], fitted.verbosity[:, None]])
    weights, covariance = fit_prior(fitted.models, vectors, fitted.n_labels)
    return {
        "k": k,
        "abilities": entries,
        "aliases": {
            alias: name
            for alias, name in sorted(aliases.items())
            if name in entries and alias != name
        },
        "prior": {
            "weights": np.round(weights, 5).tolist(),
            "covariance": np.round(covariance, 6).tolist(),
        },
    }


def _golden(
    graphs: Mapping[str, bytes], abilities: Mapping[str, Any], tokenizer: bytes
) -> dict[str, Any]:
    """Golden texts, what the graphs are fed for them, and what they answer."""
    encoder = WordPieceEncoder.from_bytes(tokenizer)
    readings = [read_query(Query.from_prompt(text)) for text in GOLDEN_TEXTS]
    some = list(abilities["abilities"].values())[:3]
    feeds: dict[str, npt.NDArray[Any]] = {
        "token_ids": pad([encoder.encode_reading(reading) for reading in readings]),
        "shape": np.stack([reading.shape for reading in readings]),
        "theta": np.array([[*a["theta"], a["bias"]] for a in some], dtype=np.float32),
        "verbosity": np.array([a["verbosity"] for a in some], dtype=np.float32),
    }
    # Rounded, so that the last bits of another processor's arithmetic do not name a new version.
    return {"texts": np.array(GOLDEN_TEXTS), **run_graphs(graphs, feeds, digits=4)}


def pack_arrays(arrays: Mapping[str, npt.NDArray[Any]] | Mapping[str, Any]) -> bytes:
    """An .npz whose bytes depend on nothing but the arrays: no clock, names in order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            content = io.BytesIO()
            np.save(content, np.asarray(arrays[name]), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getvalue())
    return out.getvalue()


def all_aliases(raw_names: Sequence[str], aliases: Mapping[str, str]) -> dict[str, str]:
    """Every raw name of the outcomes and every known alias, to its canonical name."""
    return {**{name: aliases.get(name, name) for name in raw_names}, **aliases}
