"""Trees as ONNX decide as the booster does, row by row, missing values and exact ties included."""

from __future__ import annotations

import json
from typing import Any

import lightgbm as lgb
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from router.errors import DataError
from training.tree_graph import booster_graph

N, D = 800, 6
NAMES = tuple(f"f{i}" for i in range(D))
SETTINGS = {
    "objective": "binary",
    "num_leaves": 15,
    "min_child_samples": 5,
    "verbose": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}


def trained(*, missing: bool, seed: int = 0, **changes: Any) -> tuple[Any, np.ndarray]:
    """A booster and its float32 training rows; features 0..2 have NaN if `missing`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, D)).astype(np.float32)
    x[:, 1] = rng.integers(0, 4, N)
    x[:, 4] = np.round(x[:, 4], 1)
    if missing:
        x[:, :3][rng.random((N, 3)) < 0.3] = np.nan
    y = (np.nan_to_num(x[:, 0], nan=1.5) + x[:, 4] - x[:, 1] % 2 + rng.normal(0, 0.3, N)) > 0
    data = lgb.Dataset(x, np.nan_to_num(y).astype(float))
    return lgb.train({**SETTINGS, **changes}, data, num_boost_round=30), x


def both(booster: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds by the booster and by its graph."""
    session = ort.InferenceSession(
        booster_graph(booster, features=NAMES), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["logit"], {"features": rows})
    assert found.shape == (len(rows), 1)
    return booster.predict(rows.astype(np.float64), raw_score=True), found[:, 0]


@pytest.mark.parametrize("missing", [True, False], ids=["with NaN", "without NaN"])
def test_the_graph_gives_the_boosters_log_odds(missing: bool) -> None:
    booster, x = trained(missing=missing)
    rng = np.random.default_rng(1)
    fresh = (rng.normal(size=(N, D)) * 3).astype(np.float32)
    gaps = fresh.copy()
    gaps[rng.random(gaps.shape) < 0.4] = np.nan  # also where training had none
    corners = np.array([[v] * D for v in (0.0, -0.0, np.nan, 1e30, -1e30, 1e-38)], dtype=np.float32)
    for rows in (x, fresh, gaps, corners):
        wanted, found = both(booster, rows)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_values_right_at_a_threshold_go_the_same_way() -> None:
    booster, x = trained(missing=True)
    limits = [
        float(node["threshold"])
        for tree in booster.dump_model()["tree_info"]
        for node in splits(tree["tree_structure"])
        # The largest double parts NaN from all numbers; LightGBM reads |x| <= 1e-35 as zero.
        if 1e-30 < abs(float(node["threshold"])) < 1e30
    ]
    assert limits
    rows = []
    for limit in np.unique(limits):
        at = np.float32(limit)
        for value in (np.nextafter(at, np.float32(-9e9)), at, np.nextafter(at, np.float32(9e9))):
            row = x[len(rows) % N].copy()
            row[:] = np.where(np.isnan(row), row, value)
            rows.append(row)
    wanted, found = both(booster, np.stack(rows))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def splits(node: dict[str, Any]) -> list[dict[str, Any]]:
    if "leaf_value" in node:
        return []
    return [node, *splits(node["left_child"]), *splits(node["right_child"])]


def test_a_booster_that_learned_nothing_is_one_leaf_a_tree() -> None:
    x = np.zeros((50, D), dtype=np.float32)
    data = lgb.Dataset(x, np.r_[np.ones(25), np.zeros(25)])
    booster = lgb.train(SETTINGS, data, num_boost_round=3)
    wanted, found = both(booster, x)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_same_booster_gives_the_same_bytes_and_names_its_features() -> None:
    booster, _ = trained(missing=True)
    one = booster_graph(booster, features=NAMES)
    assert one == booster_graph(booster, features=NAMES)
    again, _ = trained(missing=True)
    assert one == booster_graph(again, features=NAMES)
    properties = {p.key: p.value for p in onnx.load_from_string(one).metadata_props}
    assert json.loads(properties["features"]) == list(NAMES)


def test_categorical_splits_are_refused() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, (N, D)).astype(np.float32)
    data = lgb.Dataset(x, (x[:, 0] % 2).astype(float), categorical_feature=[0])
    booster = lgb.train({**SETTINGS, "min_data_per_group": 1}, data, num_boost_round=2)
    with pytest.raises(DataError, match="categorical"):
        booster_graph(booster, features=NAMES)
