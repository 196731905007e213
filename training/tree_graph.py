"""LightGBM boosters as ONNX graphs: one TreeEnsembleRegressor that gives their raw log-odds.

Thresholds are rounded down to float32, so that `x <= t` decides alike for every float32 x in both
runtimes (a test compares them row by row). Missing values (NaN) follow the booster's default side.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from router.errors import DataError

__all__ = ["booster_graph"]

_OPSET = 17
_ML_OPSET = 3


def booster_graph(*boosters: Any, features: tuple[str, ...]) -> bytes:
    """A serialised ONNX model: `features` float32 [batch, n] -> `logit` float32
    [batch, n_boosters].

    Raises DataError for categorical splits, which Sluice does not train.
    """
    nodes = _Nodes()
    for target, booster in enumerate(boosters):
        for tree in booster.dump_model()["tree_info"]:
            nodes.add_tree(tree["tree_structure"], target)
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["logit"],
        domain="ai.onnx.ml",
        n_targets=len(boosters),
        aggregate_function="SUM",
        post_transform="NONE",
        **nodes.attributes(),
    )
    graph = helper.make_graph(
        [ensemble],
        "validator",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(features)])],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, [None, len(boosters)])],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="sluice", ir_version=9)
    helper.set_model_props(model, {"features": json.dumps(list(features))})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


class _Nodes:
    """The flat columns of a TreeEnsembleRegressor."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, float, str, int, int, int]] = []
        self.leaves: list[tuple[int, int, int, float]] = []
        self.n_trees = 0

    def add_tree(self, root: dict[str, Any], target: int) -> None:
        """One tree more, whose leaves count for `target`."""
        tree_id = self.n_trees
        self.n_trees += 1
        pending = [root]
        numbered = 1
        index = 0
        while index < len(pending):
            node = pending[index]
            if "leaf_value" in node:
                self.rows.append((tree_id, index, 0, 0.0, "LEAF", 0, 0, 0))
                self.leaves.append((tree_id, index, target, float(node["leaf_value"])))
            else:
                if node["decision_type"] != "<=":
                    raise DataError("a booster with categorical splits cannot be exported")
                left, right = numbered, numbered + 1
                numbered += 2
                pending += [node["left_child"], node["right_child"]]
                limit = _round_down(float(node["threshold"]))
                missing_left = int(_missing_goes_left(node))
                feature = int(node["split_feature"])
                row = (tree_id, index, feature, limit, "BRANCH_LEQ", left, right, missing_left)
                self.rows.append(row)
            index += 1

    def attributes(self) -> dict[str, Any]:
        trees, ids, features, values, modes, lefts, rights, missing = (
            list(column) for column in zip(*self.rows, strict=True)
        )
        return {
            "nodes_treeids": trees,
            "nodes_nodeids": ids,
            "nodes_featureids": features,
            "nodes_values": values,
            "nodes_modes": modes,
            "nodes_truenodeids": lefts,
            "nodes_falsenodeids": rights,
            "nodes_missing_value_tracks_true": missing,
            "target_treeids": [leaf[0] for leaf in self.leaves],
            "target_nodeids": [leaf[1] for leaf in self.leaves],
            "target_ids": [leaf[2] for leaf in self.leaves],
            "target_weights": [leaf[3] for leaf in self.leaves],
        }


def _missing_goes_left(node: dict[str, Any]) -> bool:
    """Where a booster sends NaN: a feature without NaN in training treats it as zero."""
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return float(node["threshold"]) >= 0.0


def _round_down(value: float) -> float:
    """The largest float32 that is not above `value`."""
    limits = np.finfo(np.float32)
    rounded = np.float32(min(max(value, float(limits.min)), float(limits.max)))
    if float(rounded) > value:
        rounded = np.nextafter(rounded, np.float32(-np.inf))
    return float(rounded)
