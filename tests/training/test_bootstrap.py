"""Bootstrap: whole groups, the asked-for coverage, the same draws for the same seed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from router.errors import UsageError
from training.bootstrap import Interval, group_bootstrap, resample_groups


def test_every_resample_takes_whole_groups() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    for rows in resample_groups(groups, n=50, seed=1):
        counts = np.bincount(rows, minlength=6)
        for name in "abc":
            assert len(set(counts[groups == name])) == 1
        assert sum(counts[groups == name][0] for name in "abc") == 3


def test_repeats_of_a_question_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(0).random(200)
    single = group_bootstrap(lambda rows: float(values[rows].mean()), np.arange(200), seed=4)
    repeated = np.repeat(values, 5)
    groups = np.repeat(np.arange(200), 5)
    grouped = group_bootstrap(lambda rows: float(repeated[rows].mean()), groups, seed=4)
    assert grouped.low == pytest.approx(single.low)
    assert grouped.high == pytest.approx(single.high)
    assert single.n == grouped.n == 200


def test_coverage_is_about_what_was_asked() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for trial in range(200):
        values = rng.normal(size=60)
        found = group_bootstrap(
            lambda rows, v=values: float(v[rows].mean()), np.arange(60), n=200, seed=trial
        )
        hits += found.low <= 0 <= found.high
    assert 0.89 <= hits / 200 <= 0.99


def test_a_statistic_that_is_often_undefined_has_no_interval() -> None:
    def first_only(rows: np.ndarray) -> float:
        return 1.0 if 0 in rows else float("nan")

    found = group_bootstrap(first_only, np.arange(10), seed=0)
    assert found.estimate == 1.0
    assert math.isnan(found.low)


def test_an_interval_reads_as_one() -> None:
    interval = Interval(estimate=0.98, low=0.9712, high=0.9899, n=10)
    assert str(interval) == "0.980 [0.971, 0.990]"
    assert f"{interval:.1%}" == "98.0% [97.1%, 99.0%]"


def test_bad_requests_are_refused() -> None:
    with pytest.raises(UsageError, match="groups of shape"):
        group_bootstrap(lambda rows: 0.0, [], seed=0)
    with pytest.raises(UsageError, match="level"):
        group_bootstrap(lambda rows: 0.0, [1, 2], seed=0, level=95)
