"""The predictor as two ONNX graphs, written node by node: the same bytes each time.

`embedder`: token_ids int64 [batch, length] (0 pads) to embedding [batch, d] of unit norm, and what
the other reads of the same table: mean and mean_d [batch, d], mass and mass_d [batch, 1], pooled
with the encoder's weights and the domain head's. A draft needs no more than this one.

`predictor`: those four, token_ids, shape float32 [batch, s], theta float32 [n_models, k + 1] and
verbosity float32 [n_models], to domains [batch, 10], p_success [batch, n_models], output_tokens
[batch, n_models], item [batch, k + 1].
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router.domains import DOMAINS
from router.text import SHAPE_FEATURES

from .domain_head import FIRST_WORD_ID, DomainHead
from .success_head import CLIP, MASS_SCALE, FeatureMap
from .vocabulary import StaticTable

__all__ = ["POOLED", "PredictorWeights", "build_graphs", "run_graphs"]

Floats = npt.NDArray[np.float32]
POOLED = ("mean", "mean_d", "mass", "mass_d")  # what the embedder hands on
_OPSET = 17
_IR_VERSION = 9
_NEVER = -1e4  # a filter's answer where there is no word


@dataclass(frozen=True, kw_only=True)
class PredictorWeights:
    """All that the graph holds. Lengths: log tokens = x @ `length` [D] + bias + verbosity."""

    table: StaticTable
    domain: DomainHead
    temperature: float  # the domain logits are divided by it
    abstain_below: float
    items: FeatureMap
    length: Floats
    length_bias: float


class _Graph:
    """Collects nodes and constants under readable names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, op: str, inputs: list[str], outputs: str | list[str], **attributes: Any) -> Any:
        from onnx import helper

        names = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))
        return outputs


def build_graphs(weights: PredictorWeights) -> dict[str, bytes]:
    """The ONNX files' bytes by graph; the same weights give the same bytes."""
    from onnx import TensorProto, helper

    embedder, heads = _Graph(), _Graph()
    _pool(embedder, weights)
    _own(heads, weights.domain)
    _domains(heads, weights)
    _items(heads, weights.items)
    _models(heads, weights)
    k1 = weights.items.linear.shape[1] - weights.items.clusters
    d, s = weights.table.rows.shape[1], len(SHAPE_FEATURES)

    def real(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    token_ids = helper.make_tensor_value_info("token_ids", TensorProto.INT64, ["batch", "length"])
    widths = dict(zip(POOLED, (d, d, 1, 1), strict=True))
    pooled = [real(name, "batch", width) for name, width in widths.items()]
    about = {
        "abstain_below": repr(float(weights.abstain_below)),
        "domains": json.dumps(list(DOMAINS)),
        "shape": json.dumps(list(SHAPE_FEATURES)),
    }
    return {
        "embedder": _serialise(
            "embedder", embedder, [token_ids], [real("embedding", "batch", d), *pooled], {}
        ),
        "predictor": _serialise(
            "predictor",
            heads,
            [
                token_ids,
                *pooled,
                real("shape", "batch", s),
                real("theta", "n_models", k1),
                real("verbosity", "n_models"),
            ],
            [
                real("domains", "batch", len(DOMAINS)),
                real("p_success", "batch", "n_models"),
                real("output_tokens", "batch", "n_models"),
                real("item", "batch", k1),
            ],
            about,
        ),
    }


def run_graphs(
    graphs: Mapping[str, bytes], feeds: Mapping[str, npt.NDArray[Any]], *, digits: int = 9
) -> dict[str, npt.NDArray[Any]]:
    """Run both graphs one after the other, as the predictor does.

    `feeds` are token_ids, shape, theta and verbosity. What went in and came out, by
    "<graph>.in.<name>" and "<graph>.out.<name>"; what comes out, and goes into the next, is
    rounded to so many digits.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    known = dict(feeds)
    told: dict[str, npt.NDArray[Any]] = {}
    for graph in ("embedder", "predictor"):
        session = ort.InferenceSession(graphs[graph], options, providers=["CPUExecutionProvider"])
        given = {one.name: known[one.name] for one in session.get_inputs()}
        names = [one.name for one in session.get_outputs()]
        outputs = [np.round(one, digits) for one in session.run(names, given)]
        found = dict(zip(names, outputs, strict=True))
        known |= found
        told |= {f"{graph}.in.{name}": value for name, value in given.items()}
        told |= {f"{graph}.out.{name}": value for name, value in found.items()}
    return told


def _serialise(
    name: str, graph: _Graph, inputs: list[Any], outputs: list[Any], about: dict[str, str]
) -> bytes:
    from onnx import checker, helper

    model = helper.make_model(
        helper.make_graph(graph.nodes, name, inputs, outputs, initializer=graph.constants),
        producer_name="sluice",
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    helper.set_model_props(model, about)
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _pool(graph: _Graph, weights: PredictorWeights) -> None:
    """mean, mean_d [batch, d], mass, mass_d [batch, 1] and the unit embedding.

    Two poolings of one table at once: columns 0 and 1 of `pool` carry the rows' int8 scale.
    """
    table, domain = weights.table, weights.domain
    columns = [table.weights * table.scale, domain.weights * table.scale]
    columns += [table.weights, domain.weights]
    graph.constant("rows", table.rows)
    graph.constant("pool", np.stack(columns, axis=1).astype(np.float32))
    graph.constant("halves", np.array([2, 2], dtype=np.int64))
    graph.constant("ones", np.array([1, 1], dtype=np.int64))
    graph.constant("axis1", np.array([1], dtype=np.int64))
    graph.constant("axis2", np.array([2], dtype=np.int64))
    graph.constant("tiny", np.array(1e-6, dtype=np.float32))
    graph.add("Gather", ["pool", "token_ids"], "w_rows")
    graph.add("Transpose", ["w_rows"], "w", perm=[0, 2, 1])
    graph.add("Split", ["w", "halves"], ["w_scaled", "w_plain"], axis=1)
    graph.add("Gather", ["rows", "token_ids"], "row8")
    graph.add("Cast", ["row8"], "row", to=1)
    graph.add("MatMul", ["w_scaled", "row"], "sums")
    graph.add("ReduceSum", ["w_plain", "axis2"], "mass_raw", keepdims=1)
    graph.add("Max", ["mass_raw", "tiny"], "masses")
    graph.add("Div", ["sums", "masses"], "means")
    graph.add("Split", ["means", "ones"], ["mean_3", "mean_d3"], axis=1)
    graph.add("Squeeze", ["mean_3", "axis1"], "mean")
    graph.add("Squeeze", ["mean_d3", "axis1"], "mean_d")
    graph.add("Split", ["masses", "ones"], ["mass_3", "mass_d3"], axis=1)
    graph.add("Squeeze", ["mass_3", "axis1"], "mass")
    graph.add("Squeeze", ["mass_d3", "axis1"], "mass_d")
    graph.add("ReduceL2", ["mean"], "norm_raw", axes=[1], keepdims=1)
    graph.add("Max", ["norm_raw", "tiny"], "norm")
    graph.add("Div", ["mean", "norm"], "embedding")


def _own(graph: _Graph, domain: DomainHead) -> None:
    """own [batch, r]: the domain head's own columns, pooled with its own weights."""
    graph.constant("own_rows", domain.own.astype(np.float16))
    graph.constant("own_weights", domain.weights[:, None].astype(np.float32))
    graph.constant("axis1", np.array([1], dtype=np.int64))
    graph.constant("tiny", np.array(1e-6, dtype=np.float32))
    graph.add("Gather", ["own_weights", "token_ids"], "w_own_column")
    graph.add("Transpose", ["w_own_column"], "w_own", perm=[0, 2, 1])
    graph.add("Gather", ["own_rows", "token_ids"], "own_16")
    graph.add("Cast", ["own_16"], "own_row", to=1)
    graph.add("MatMul", ["w_own", "own_row"], "own_sum_3")
    graph.add("Squeeze", ["own_sum_3", "axis1"], "own_sum")
    graph.add("Max", ["mass_d", "tiny"], "mass_own")  # what was rounded may be 0
    graph.add("Div", ["own_sum", "mass_own"], "own")


def _domains(graph: _Graph, weights: PredictorWeights) -> None:
    """DomainHead.logits, operation by operation, and their softmax."""
    domain = weights.domain
    _ends(graph, domain)
    graph.constant("d_w1", domain.w1)
    graph.constant("d_c1", domain.c1)
    graph.constant("d_w2", (domain.w2 / weights.temperature).astype(np.float32))
    graph.constant("d_c2", (domain.c2 / weights.temperature).astype(np.float32))
    graph.add("Concat", ["mean_d", "own", "shape", "end_means", "peaks"], "u", axis=1)
    graph.add("Gemm", ["u", "d_w1", "d_c1"], "d_hidden_raw")
    graph.add("Relu", ["d_hidden_raw"], "d_hidden")
    graph.add("Gemm", ["d_hidden", "d_w2", "d_c2"], "d_logits")
    graph.add("Softmax", ["d_logits"], "domains", axis=1)


def _ends(graph: _Graph, domain: DomainHead) -> None:
    """end_means [batch, 2 e] and peaks [batch, 2 f] of the user message's first and last tokens.

    Its cost is the same for every length. A place beyond the message's ends is led to the first id
    behind the message, which is below FIRST_WORD_ID and so has rows of zeros.
    """
    _end_ids(graph, domain.window)
    window, axes, filters = domain.window, domain.ends.shape[1], domain.filters.shape[1]
    # One table for all that a token has: its vector, its weight, and whether it is no word at all.
    absent = np.arange(len(domain.ends)) < FIRST_WORD_ID
    columns = np.hstack([domain.ends, domain.end_weights[:, None], absent[:, None]])
    graph.constant("end_table", columns.astype(np.float16))
    graph.constant("end_shape", np.array([-1, window + 2, axes + 2], dtype=np.int64))
    graph.constant("end_parts", np.array([axes, 1, 1], dtype=np.int64))
    graph.constant("end_cut", np.array([axes, 2], dtype=np.int64))
    never = np.full((1, filters), _NEVER, dtype=np.float32)
    graph.constant("filters", np.vstack([domain.filters, never]))
    graph.constant("filter_bias", np.tile(domain.filter_bias, 2))
    for name, value in (("s0", 0), ("s1", 1), ("s2", 2), ("e0", -2), ("e1", -1), ("e2", 2**31)):
        graph.constant(name, np.array([value], dtype=np.int64))
    graph.constant("means_shape", np.array([-1, 2 * axes], dtype=np.int64))
    graph.constant("peaks_shape", np.array([-1, 2 * filters], dtype=np.int64))
    graph.add("Gather", ["end_table", "end_ids"], "end_16")
    graph.add("Cast", ["end_16"], "end_flat", to=1)
    graph.add("Reshape", ["end_flat", "end_shape"], "end_all")  # [2 batch, window + 2, e + 2]
    graph.add("Slice", ["end_all", "s1", "e1", "axis1"], "end_inner")
    graph.add("Split", ["end_all", "end_cut"], ["end_rows", "end_unused"], axis=2)
    graph.add("Split", ["end_inner", "end_parts"], ["end_middle", "end_w", "end_absent"], axis=2)
    graph.add("Slice", ["end_rows", "s0", "e0", "axis1"], "end_before")
    graph.add("Slice", ["end_rows", "s2", "e2", "axis1"], "end_after")
    graph.add(
        "Concat", ["end_before", "end_middle", "end_after", "end_absent"], "end_beside", axis=2
    )
    # The bias and the bend come after the maximum: it is the same, on a window-th of the numbers.
    graph.add("MatMul", ["end_beside", "filters"], "found")
    graph.add("ReduceMax", ["found"], "peaks_3", axes=[1], keepdims=0)
    graph.add("Reshape", ["peaks_3", "peaks_shape"], "peaks_raw")
    graph.add("Add", ["peaks_raw", "filter_bias"], "peaks_biased")
    graph.add("Relu", ["peaks_biased"], "peaks")
    graph.add("Transpose", ["end_w"], "end_w_row", perm=[0, 2, 1])
    graph.add("MatMul", ["end_w_row", "end_middle"], "end_sums")
    graph.add("ReduceSum", ["end_w", "axis1"], "end_mass_raw", keepdims=1)
    graph.add("Max", ["end_mass_raw", "tiny"], "end_mass")
    graph.add("Div", ["end_sums", "end_mass"], "end_means_3")
    graph.add("Reshape", ["end_means_3", "means_shape"], "end_means")


def _end_ids(graph: _Graph, window: int) -> None:
    """end_ids [batch, 2 (window + 2)]: `domain_head.end_windows`."""
    steps = np.arange(window + 2, dtype=np.int64)
    graph.constant("end_places", np.concatenate([steps - 1, steps - window - 1])[None])
    graph.constant("end_moves", np.repeat(np.array([[0, 1]], dtype=np.int64), window + 2, axis=1))
    graph.constant("one_behind", np.array([0, 0, 0, 1], dtype=np.int64))
    graph.constant("first_word", np.array(FIRST_WORD_ID, dtype=np.int64))
    graph.constant("place_0", np.array(0, dtype=np.int64))
    graph.add("Pad", ["token_ids", "one_behind"], "ids_ended")
    graph.add("Less", ["ids_ended", "first_word"], "is_mark")
    graph.add("Cast", ["is_mark"], "is_mark_32", to=6)
    graph.add("ArgMax", ["is_mark_32"], "n_user", axis=1, keepdims=1)
    graph.add("Mul", ["n_user", "end_moves"], "end_shift")
    graph.add("Add", ["end_shift", "end_places"], "end_raw")
    graph.add("Less", ["end_raw", "place_0"], "end_before_0")
    graph.add("Where", ["end_before_0", "n_user", "end_raw"], "end_from_0")
    graph.add("Min", ["end_from_0", "n_user"], "end_at")
    graph.add("GatherElements", ["ids_ended", "end_at"], "end_ids", axis=1)


def _items(graph: _Graph, items: FeatureMap) -> None:
    """FeatureMap.items, operation by operation."""
    k1 = items.linear.shape[1] - items.clusters
    graph.constant("mass_scale", np.array(MASS_SCALE, dtype=np.float32))
    graph.constant("linear", items.linear)
    graph.constant("linear_bias", items.linear_bias)
    graph.constant("sizes", np.array([k1, items.clusters], dtype=np.int64))
    graph.constant("from0", np.array([0], dtype=np.int64))
    graph.constant("to_local", np.array([items.local_axes], dtype=np.int64))
    graph.constant("local_mean", items.local_mean)
    graph.constant("local_scale", items.local_scale)
    graph.constant("low", np.array(-CLIP, dtype=np.float32))
    graph.constant("high", np.array(CLIP, dtype=np.float32))
    graph.constant("experts", items.experts)
    graph.constant("expert_bias", items.expert_bias)
    graph.constant("expert_shape", np.array([-1, items.clusters, k1], dtype=np.int64))
    graph.add("Sqrt", ["mass"], "root")
    graph.add("Div", ["root", "mass_scale"], "size")
    graph.add("Mul", ["mean", "size"], "scaled")
    graph.add("Concat", ["mean", "scaled", "shape"], "x", axis=1)
    graph.add("Gemm", ["x", "linear", "linear_bias"], "common")
    graph.add("Split", ["common", "sizes"], ["item_common", "gate_logits"], axis=1)
    graph.add("Softmax", ["gate_logits"], "gate", axis=1)
    graph.add("Slice", ["scaled", "from0", "to_local", "axis1"], "leading")
    graph.add("Concat", ["leading", "shape"], "local_raw", axis=1)
    graph.add("Sub", ["local_raw", "local_mean"], "local_off")
    graph.add("Mul", ["local_off", "local_scale"], "local_unit")
    graph.add("Clip", ["local_unit", "low", "high"], "local")
    graph.add("Gemm", ["local", "experts", "expert_bias"], "expert_flat")
    graph.add("Reshape", ["expert_flat", "expert_shape"], "expert")
    graph.add("Unsqueeze", ["gate", "axis1"], "gate_row")
    graph.add("MatMul", ["gate_row", "expert"], "mixed_3")
    graph.add("Squeeze", ["mixed_3", "axis1"], "mixed")
    graph.add("Add", ["item_common", "mixed"], "item")


def _models(graph: _Graph, weights: PredictorWeights) -> None:
    """p = sigmoid([a, 1] . [theta, c] - b), tokens = exp(x . length + verbosity)."""
    k = weights.items.linear.shape[1] - weights.items.clusters - 1
    graph.constant("item_sizes", np.array([k, 1], dtype=np.int64))
    graph.constant("length", weights.length.reshape(-1, 1).astype(np.float32))
    graph.constant("length_bias", np.array([weights.length_bias], dtype=np.float32))
    graph.constant("most", np.array(11.5, dtype=np.float32))  # e^11.5: about 100,000 tokens
    graph.constant("least", np.array(0.0, dtype=np.float32))
    graph.add("Split", ["item", "item_sizes"], ["a", "b"], axis=1)
    graph.add("Split", ["theta", "item_sizes"], ["direction", "offset"], axis=1)
    graph.add("Transpose", ["offset"], "offset_row", perm=[1, 0])
    graph.add("Sub", ["offset_row", "b"], "ease")
    graph.add("Gemm", ["a", "direction", "ease"], "p_logits", transB=1)
    graph.add("Sigmoid", ["p_logits"], "p_success")
    graph.add("Gemm", ["x", "length", "length_bias"], "log_length")
    graph.add("Add", ["log_length", "verbosity"], "log_tokens_raw")
    graph.add("Clip", ["log_tokens_raw", "least", "most"], "log_tokens")
    graph.add("Exp", ["log_tokens"], "output_tokens")
