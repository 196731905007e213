"""Baselines: ends and known cases by hand, and no leak between folds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from router.errors import UsageError
from training import baselines

QUALITY = np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]])
COST = np.tile([1.0, 3.0, 10.0], (4, 1))
VERIFIER = 2


def test_always_the_verifier_is_the_origin() -> None:
    found = baselines.always(QUALITY, COST, model=2, verifier=VERIFIER)
    assert (found.saving, found.retention) == (0.0, 1.0)


def test_always_the_drafter() -> None:
    found = baselines.always(QUALITY, COST, model=0, verifier=VERIFIER)
    assert (found.saving, found.retention) == pytest.approx((0.9, 1 / 3))


def test_random_mix_is_the_line_between_the_two() -> None:
    found = baselines.random_mix(QUALITY, COST, [0, 0.45, 0.9, 0.95], drafter=0, verifier=VERIFIER)
    assert found[:3] == pytest.approx([1, 2 / 3, 1 / 3])
    assert math.isnan(found[3])


def test_random_mix_is_what_coins_give_on_average() -> None:
    rng = np.random.default_rng(0)
    quality = (rng.random((300, 2)) < [0.7, 0.9]).astype(float)
    cost = rng.random((300, 2)) * [1.0, 20.0]
    coins = [baselines.point(quality, cost, rng.random(300) < 0.5, verifier=1) for _ in range(3000)]
    saving = float(np.mean([c.saving for c in coins]))
    line = baselines.random_mix(quality, cost, saving, drafter=0, verifier=1)
    assert float(np.mean([c.retention for c in coins])) == pytest.approx(float(line), abs=0.005)


def test_oracle_asks_the_cheapest_right_model() -> None:
    found = baselines.oracle(QUALITY, COST, verifier=VERIFIER)
    assert found.chosen.tolist() == [0, 1, 2, 0]
    assert (found.saving, found.retention) == pytest.approx((1 - 15 / 40, 1.0))
    careful = baselines.oracle(QUALITY, COST, verifier=VERIFIER, when_none_is_right="verifier")
    assert careful.chosen.tolist() == [0, 1, 2, 2]


def test_pre_dispatch_goes_from_always_cheapest_to_always_verifier() -> None:
    p = np.array([[0.9, 0.9, 1], [0.2, 0.8, 1], [0.1, 0.3, 1], [0.0, 0.1, 1]])
    curve = baselines.pre_dispatch(p, QUALITY, COST, verifier=VERIFIER)
    assert curve.saving[0] == pytest.approx(0.9)
    assert (curve.saving[-1], curve.retention[-1]) == (0.0, 1.0)
    assert (np.diff(curve.saving) <= 1e-12).all()
    # the threshold between .3 and .8: draft 0, draft 1, verifier, verifier
    assert baselines.best_saving(curve, 1.0) == pytest.approx(1 - 24 / 40)
    assert math.isnan(baselines.best_saving(curve, 1.5))


def test_dearer_models_than_the_verifier_are_not_asked() -> None:
    p = np.ones((4, 3))
    curve = baselines.pre_dispatch(p, QUALITY, COST, verifier=1)
    assert curve.saving.max() == pytest.approx(2 / 3)
    with pytest.raises(UsageError, match="cheaper"):
        baselines.pre_dispatch(p, QUALITY, COST, verifier=0)


def test_knn_learns_from_neighbours() -> None:
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 2, 400)
    embedding = np.eye(2)[kind] + 0.1 * rng.normal(size=(400, 2))
    quality = np.stack([kind, 1 - kind], axis=1).astype(float)
    found = baselines.knn_success(embedding, quality, np.arange(400), k=20, seed=0)
    assert np.abs(found - quality).max() < 0.2


def test_knn_never_sees_its_own_group() -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(size=(100, 8))
    embedding = np.repeat(points, 2, axis=0)  # each prompt twice, with one random outcome
    quality = np.repeat(rng.integers(0, 2, (100, 1)), 2, axis=0).astype(float)
    groups = np.repeat(np.arange(100), 2)
    leaky = baselines.knn_success(embedding, quality, np.arange(200), k=1, seed=0)
    found = baselines.knn_success(embedding, quality, groups, k=1, seed=0)
    assert (leaky == quality).mean() > 0.8
    assert (found == quality).mean() < 0.65


def test_bad_arrays_are_refused() -> None:
    with pytest.raises(UsageError, match="n_models"):
        baselines.oracle(QUALITY, COST[:, :2], verifier=0)
    with pytest.raises(UsageError, match="column"):
        baselines.always(QUALITY, COST, model=0, verifier=3)
    with pytest.raises(UsageError, match="NaN"):
        baselines.always(QUALITY * np.nan, COST, model=0, verifier=2)
    with pytest.raises(UsageError, match="folds"):
        baselines.knn_success(np.ones((4, 2)), QUALITY, [1, 1, 1, 1], seed=0)
