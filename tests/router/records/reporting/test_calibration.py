"""Predictions against labels: the newest label counts, and bins, Brier and ECE are as defined."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from router.records.calibration import N_BINS, Calibration, Labelled, calibrate_labels
from router.records.database import Database
from router.records.scope import Scope
from tests.made_up_log import NOW, Logged, made_up_log, outcome, write_log

SPAN = Scope(from_at=NOW - 7 * 86_400, to_at=NOW)


def write(database: Database, log: Sequence[Logged]) -> None:
    database.run_sync(partial(write_log, log=log))


def labelled(database: Database, scope: Scope = SPAN) -> Labelled:
    return database.run_sync(partial(calibrate_labels, scope=scope))


def label_of(one: Logged) -> float | None:
    correct = [label["correct"] for label in one.labels if label.get("correct") is not None]
    scores = [label["score"] for label in one.labels if label.get("score") is not None]
    return float((correct or scores)[-1]) if one.labels else None


def check(found: Calibration, p: Any, y: Any) -> None:
    """Hold `found` against the definitions."""
    number = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    gaps = [abs(float((p - y)[number == one].sum())) for one in range(N_BINS)]
    assert found.n == len(p)
    assert found.brier == pytest.approx(float(((p - y) ** 2).mean()))
    assert found.ece == pytest.approx(sum(gaps) / len(p))
    for index, one in enumerate(found.bins):
        inside = number == index
        assert (one.low, one.high, one.n) == (index / 10, (index + 1) / 10, int(inside.sum()))
        if one.n:
            assert one.mean_predicted == pytest.approx(float(p[inside].mean()))
            assert one.mean_observed == pytest.approx(float(y[inside].mean()))
        else:
            assert one.mean_predicted is one.mean_observed is None


def test_bins_and_errors_are_those_of_the_requests(database: Database) -> None:
    log = list(made_up_log(2000))
    write(database, log)
    found = labelled(database)
    told = [(one, label) for one in log if (label := label_of(one)) is not None]
    assert found.n == len(told) > 200
    assert found.mean_label == pytest.approx(float(np.mean([label for _, label in told])))
    for name in ("p_success", "p_acceptable"):
        known = [
            (getattr(one.outcome, name), label)
            for one, label in told
            if getattr(one.outcome, name) is not None
        ]
        p, y = np.array(known).T
        check(getattr(found, name), p, y)


def test_the_edges_belong_to_the_bin_above_and_one_to_the_last(database: Database) -> None:
    edges = [index / 10 for index in range(11)]
    log = [
        Logged(outcome=outcome(f"r{p}", p_success=p, p_acceptable=None), labels=[{"correct": True}])
        for p in edges
    ]
    write(database, log)
    found = labelled(database)
    assert [one.n for one in found.p_success.bins] == [1] * 9 + [2]
    assert found.p_acceptable.n == 0


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param([{"correct": True}, {"correct": False}], 0.0, id="the newest counts"),
        pytest.param([{"correct": False}, {"correct": True}], 1.0, id="either way"),
        pytest.param([{"correct": True}, {"score": 0.3}], 1.0, id="correct before a later score"),
        pytest.param([{"score": 0.3}, {"score": 0.6}], 0.6, id="the newest score"),
        pytest.param([{"correct": True, "score": 0.1}], 1.0, id="both in one"),
    ],
)
def test_one_label_counts_for_a_request(
    labels: list[dict[str, Any]], expected: float, database: Database
) -> None:
    write(database, [Logged(outcome=outcome(), labels=labels)])
    found = labelled(database)
    assert found.n == 1
    assert found.mean_label == pytest.approx(expected)


def test_labels_are_those_of_the_span_and_the_key(database: Database) -> None:
    log = [
        Logged(outcome=outcome("mine", key_id="a"), labels=[{"correct": True}]),
        Logged(outcome=outcome("another's", key_id="b"), labels=[{"correct": False}]),
        Logged(outcome=outcome("old", key_id="a", at=NOW - 9e6), labels=[{"correct": False}]),
        Logged(
            outcome=outcome("labelled late", key_id="a", at=NOW - 7200.0),
            labels=[{"correct": True, "at": NOW + 9e6}],
        ),
    ]
    write(database, log)
    found = labelled(database, Scope(from_at=NOW - 86_400, to_at=NOW, key_id="a"))
    assert (found.n, found.mean_label) == (2, 1.0)
    assert labelled(database).n == 3


def test_without_labels_nothing_is_claimed(database: Database) -> None:
    write(database, [Logged(outcome=outcome())])
    found = labelled(database)
    assert (found.n, found.mean_label) == (0, None)
    for one in (found.p_success, found.p_acceptable):
        assert (one.n, one.brier, one.ece) == (0, None, None)
        assert len(one.bins) == N_BINS
