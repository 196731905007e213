"""Refitting the last layer: the prior without outcomes, the outcomes with many."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from router.errors import UsageError
from router.validation.recalibration import HEADS, UNCHANGED
from training.recalibrate import HeadData, fit_correction, fit_recalibration


def single(n: int, *, slope: float = 1.0, shift: float = 0.0, seed: int = 0) -> HeadData:
    """Drafts without log-probabilities, whose true log-odds are slope * logit + shift."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0.5, 1.5, n)
    p = 1 / (1 + np.exp(-(slope * logit + shift)))
    zero, one = np.zeros(n), np.ones(n)
    inputs = np.stack([logit, zero, zero, zero, one], axis=1)
    assert inputs.shape[1] == len(HEADS["single"])
    return HeadData(inputs=inputs, correct=(rng.random(n) < p).astype(float))


def test_no_outcomes_keep_the_prior() -> None:
    empty = HeadData(inputs=np.zeros((0, 5)), correct=np.zeros(0))
    assert fit_recalibration({}, prior=UNCHANGED, strength=1.0) == UNCHANGED
    assert fit_recalibration({"single": empty}, prior=UNCHANGED, strength=1.0) == UNCHANGED


def test_many_outcomes_are_followed_and_other_heads_left_alone() -> None:
    found = fit_recalibration(
        {"single": single(6000, slope=0.5, shift=-0.8)}, prior=UNCHANGED, strength=5.0
    )
    assert found.single[0] == pytest.approx(0.5, abs=0.08)
    assert found.single[-1] == pytest.approx(-0.8, abs=0.1)
    assert found.single[1:4] == pytest.approx(UNCHANGED.single[1:4])  # no input ever varied
    assert found.pair == UNCHANGED.pair
    assert found.verifier == UNCHANGED.verifier


def test_more_outcomes_and_weaker_priors_move_the_weights_further() -> None:
    def moved(n: int, strength: float) -> float:
        data = {"single": single(n, shift=-2.0)}
        found = fit_recalibration(data, prior=UNCHANGED, strength=strength)
        return float(np.linalg.norm(np.array(found.single) - UNCHANGED.single))

    by_number = [moved(n, 20.0) for n in (5, 50, 500, 5000)]
    assert all(before < after for before, after in itertools.pairwise(by_number))
    assert moved(200, 1000.0) < moved(200, 10.0) < moved(200, 0.1)


def test_outcomes_that_are_all_alike_stay_finite() -> None:
    data = single(300)
    sided = HeadData(inputs=data.inputs * 50, correct=np.ones(300))
    found = fit_recalibration({"single": sided}, prior=UNCHANGED, strength=0.01)
    assert np.isfinite(found.single).all()


def test_it_is_deterministic() -> None:
    runs = [
        fit_recalibration({"single": single(400)}, prior=UNCHANGED, strength=2.0) for _ in range(2)
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan")])
def test_a_prior_without_strength_is_refused(strength: float) -> None:
    with pytest.raises(UsageError) as caught:
        fit_recalibration({}, prior=UNCHANGED, strength=strength)
    assert caught.value.param == "strength"


def test_unknown_heads_are_named() -> None:
    with pytest.raises(UsageError, match="doubles"):
        fit_recalibration({"doubles": single(5)}, prior=UNCHANGED, strength=1.0)


def test_a_correction_learns_what_the_gain_missed() -> None:
    rng = np.random.default_rng(0)
    x = np.c_[np.ones(3000), rng.normal(2.0, 3.0, (3000, 2)), np.full(3000, 5.0)]
    missed = 0.1 + 0.05 * x[:, 1] + rng.normal(0.0, 0.1, 3000)
    found = np.array(fit_correction(x, missed, strength=1.0))
    assert found[1] == pytest.approx(0.05, abs=0.005)
    assert found[2] == pytest.approx(0.0, abs=0.005)
    assert found[3] == 0.0  # an input that never varied
    np.testing.assert_allclose((x @ found).mean(), missed.mean(), atol=1e-9)
    held = np.array(fit_correction(x, missed, strength=1e9))
    np.testing.assert_allclose(held[1:], 0.0, atol=1e-4)
    np.testing.assert_allclose(x @ held, missed.mean(), atol=1e-3)  # the mean is not shrunk
