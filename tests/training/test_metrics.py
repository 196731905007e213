"""Metrics: against scikit-learn where it has them, by hand elsewhere; never by row order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score

from router.errors import UsageError
from training import metrics

RNG = np.random.default_rng(3)
Y = RNG.integers(0, 2, 400)
P = np.round(np.clip(0.3 * Y + 0.7 * RNG.random(400), 0, 1), 1)  # rounded: many ties


def test_auc_and_brier_are_those_of_scikit_learn() -> None:
    assert metrics.auc(Y, P) == pytest.approx(roc_auc_score(Y, P))
    assert metrics.brier(Y, P) == pytest.approx(brier_score_loss(Y, P))


def test_auc_of_one_class_is_nan() -> None:
    assert math.isnan(metrics.auc([1, 1], [0.2, 0.4]))


def test_within_model_auc_gives_no_credit_for_telling_models_apart() -> None:
    y, models = [1, 1, 1, 0, 0, 0, 0, 1], ["a"] * 4 + ["b"] * 4
    p = [0.9] * 4 + [0.1] * 4
    assert metrics.auc(y, p) == pytest.approx(0.75)
    assert metrics.within_model_auc(y, p, models) == pytest.approx(0.5)
    assert metrics.within_model_auc([*y, 1], [*p, 0.3], [*models, "c"]) == pytest.approx(0.5)


def test_ece_is_zero_when_calibrated_and_the_gap_when_not() -> None:
    y = [1, 0, 1, 0]
    assert metrics.ece(y, [0.5] * 4) == pytest.approx(0.0)
    assert metrics.ece(y, [0.9] * 4) == pytest.approx(0.4)
    assert metrics.ece([1, 1], [1.0, 1.0]) == 0.0


def test_equal_mass_bins_keep_equal_values_together() -> None:
    order = RNG.permutation(len(Y))
    once = metrics.ece(Y, P, bins=7, equal_mass=True)
    assert once == pytest.approx(metrics.ece(Y[order], P[order], bins=7, equal_mass=True))
    values = np.unique(P)
    by_value = sum(abs((P - Y)[value == P].sum()) for value in values) / len(Y)
    assert metrics.ece(Y, P, bins=400, equal_mass=True) == pytest.approx(by_value)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    true, guess = RNG.choice(list("ABC"), 90), RNG.choice(list("ABC"), 90)
    expected = f1_score(true, guess, average="macro")
    assert metrics.macro_f1(list(true), list(guess), "ABC") == pytest.approx(expected)


def test_either_of_two_true_labels_counts() -> None:
    assert metrics.f1_by_class(["A|B", "A|B"], ["A", "B"], "AB") == {"A": 1.0, "B": 1.0}
    missed = metrics.f1_by_class(["A|B", "B"], ["C", "B"], "ABCD")
    assert (missed["A"], missed["B"], missed["C"]) == (0.0, 1.0, 0.0)
    assert math.isnan(missed["D"])
    assert metrics.macro_f1(["A|B", "B"], ["C", "B"], "ABCD") == pytest.approx(1 / 3)


WEAK, STRONG = np.array([1.0, 1, 0, 0]), np.array([1.0, 1, 1, 1])


def test_a_perfect_router_asks_only_where_it_helps() -> None:
    assert metrics.apgr([0, 0, 1, 1], WEAK, STRONG) == pytest.approx(0.75)
    assert metrics.cpt([0, 0, 1, 1], WEAK, STRONG, 0.5) == pytest.approx(0.25)
    assert metrics.cpt([0, 0, 1, 1], WEAK, STRONG, 0.8) == pytest.approx(0.4)


def test_a_router_that_knows_nothing_is_a_straight_line() -> None:
    assert metrics.apgr([1, 1, 1, 1], WEAK, STRONG) == pytest.approx(0.5)
    assert metrics.cpt([1, 1, 1, 1], WEAK, STRONG, 0.8) == pytest.approx(0.8)


def test_no_gap_means_no_curve() -> None:
    assert math.isnan(metrics.apgr([1, 2, 3, 4], STRONG, WEAK))
    assert math.isnan(metrics.cpt([1, 2, 3, 4], STRONG, WEAK, 0.5))


def test_apgr_is_the_mean_over_random_tie_breaks() -> None:
    rng = np.random.default_rng(5)
    score = rng.integers(0, 3, 60).astype(float)
    weak, strong = rng.random(60) < 0.6, rng.random(60) < 0.9
    noisy = [metrics.apgr(score + 1e-6 * rng.random(60), weak, strong) for _ in range(3000)]
    assert metrics.apgr(score, weak, strong) == pytest.approx(np.mean(noisy), abs=0.01)


ROWS = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=2, max_size=30)


@given(rows=ROWS, seed=st.integers(0, 99))
def test_curves_do_not_depend_on_row_order(rows: list[tuple[int, bool, bool]], seed: int) -> None:
    table = np.array(rows, dtype=float)
    other = np.random.default_rng(seed).permutation(table)
    one, two = (metrics.router_curve(*t.T) for t in (table, other))
    assert np.allclose(one.pgr, two.pgr, equal_nan=True)
    assert np.array_equal(one.strong_share, two.strong_share)


def test_retention_and_saving_are_ratios_of_means() -> None:
    assert metrics.retention([1, 0, 1], [1, 1, 0]) == pytest.approx(1.0)
    assert metrics.saving([0.1, 0.3], [1.0, 1.0]) == pytest.approx(0.8)
    assert math.isnan(metrics.retention([1.0], [0.0]))


def test_bad_arrays_are_refused() -> None:
    for y, p in (([1, 0], [0.5]), ([], []), ([1, 0], [0.5, float("nan")])):
        with pytest.raises(UsageError):
            metrics.auc(y, p)
