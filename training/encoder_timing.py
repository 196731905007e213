"""How long encoder designs take, from text to pooled vector, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import numpy as np

from router.encoder import WordPieceEncoder
from router.text import read_query
from router.types import Query

from .vocabulary import StaticTable

__all__ = ["TIMED_CHARS", "time_static", "time_teacher"]

TIMED_CHARS: Final = (100, 1_000, 10_000)


def _prompts(length: int, n: int, seed: int = 0) -> list[Query]:
    rng = Random(seed)
    words = "the of a model price function why patient court sum integral write story data".split()
    text = " ".join(rng.choice(words) for _ in range(length))
    starts = [rng.randrange(max(len(text) - length, 1)) for _ in range(n)]
    return [Query.from_prompt(text[start : start + length]) for start in starts]


def _percentiles(ask: Callable[[Query], object], *, n: int) -> list[tuple[float, float]]:
    found = []
    for length in TIMED_CHARS:
        times = []
        for query in _prompts(length, n):
            start = time.perf_counter()
            ask(query)
            times.append((time.perf_counter() - start) * 1e3)
        found.append((float(np.percentile(times, 50)), float(np.percentile(times, 99))))
    return found


def _session(graph: bytes) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def time_static(table: StaticTable, extra: Sequence[bytes]) -> list[tuple[float, float]]:
    """Reading, tokenising and the pooling graph (and `extra` graphs on the same ids)."""
    from onnx import TensorProto, helper, numpy_helper

    constants = [
        numpy_helper.from_array(table.rows, "rows"),
        numpy_helper.from_array((table.weights * table.scale)[:, None], "pool"),
    ]
    nodes = [
        helper.make_node("Gather", ["pool", "token_ids"], ["w"]),
        helper.make_node("Transpose", ["w"], ["wt"], perm=[0, 2, 1]),
        helper.make_node("Gather", ["rows", "token_ids"], ["row8"]),
        helper.make_node("Cast", ["row8"], ["row"], to=1),
        helper.make_node("MatMul", ["wt", "row"], ["sums"]),
    ]
    ids = helper.make_tensor_value_info("token_ids", TensorProto.INT64, ["batch", "length"])
    sums = helper.make_tensor_value_info(
        "sums", TensorProto.FLOAT, ["batch", 1, table.rows.shape[1]]
    )
    model = helper.make_model(
        helper.make_graph(nodes, "pool", [ids], [sums], initializer=constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    sessions = [_session(graph) for graph in (model.SerializeToString(), *extra)]
    encoder = WordPieceEncoder.from_bytes(table.tokenizer)

    def ask(query: Query) -> None:
        row = np.array([encoder.encode_reading(read_query(query))], dtype=np.int64)
        for session in sessions:
            session.run(None, {"token_ids": row})

    return _percentiles(ask, n=300)


def time_teacher(graph: bytes, table: StaticTable) -> list[tuple[float, float]]:
    session = _session(graph)
    encoder = WordPieceEncoder.from_bytes(table.tokenizer)

    def ask(query: Query) -> None:
        ids = encoder.encode_reading(read_query(query))[:126]
        row = np.array([[101, *ids, 102]], dtype=np.int64)
        session.run(None, {"input_ids": row, "attention_mask": np.ones_like(row)})

    return _percentiles(ask, n=60)
