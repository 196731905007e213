"""The default threshold: as low as the precision asked for allows, never invented."""

from __future__ import annotations

import numpy as np
import pytest

from training.accept_thresholds import accept_threshold


@pytest.mark.parametrize("precision", [0.8, 0.9, 0.95])
def test_accepted_drafts_keep_the_precision_and_few_more_would_not(precision: float) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(4000)
    right = (rng.random(4000) < p).astype(float)
    threshold = accept_threshold(p, right, precision=precision)
    assert right[p >= threshold].mean() >= precision - 0.002  # rounded to four digits
    assert right[p >= threshold - 0.05].mean() < precision
    assert threshold == pytest.approx(2 * precision - 1, abs=0.08)


def test_drafts_that_are_all_right_are_all_accepted() -> None:
    p = np.linspace(0.3, 0.9, 200)
    assert accept_threshold(p, np.ones(200), precision=0.9) == 0.3


def test_where_no_threshold_reaches_the_precision_it_is_the_probability_itself() -> None:
    p = np.linspace(0.3, 0.9, 200)
    assert accept_threshold(p, np.zeros(200), precision=0.9) == 0.9


@pytest.mark.parametrize("n", [0, 1, 50])
def test_a_handful_of_drafts_decides_nothing(n: int) -> None:
    assert accept_threshold(np.linspace(0.5, 1.0, n), np.ones(n), precision=0.9) == 0.9
