"""Calibration tables: what training saw apart from what it did not, and chance apart from error."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from training.evaluation.calibration_tables import calibration_tables
from training.outcomes import Outcomes, outcomes_from_table


def made(n: int = 3000) -> tuple[Outcomes, np.ndarray]:
    """Rows of two models on a free and a closed source, right with chance p."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, 2 * n)
    closed = np.arange(2 * n) % 4 >= 2
    table = pa.table(
        {
            "source": np.where(closed, "closed", "free"),
            "prompt_id": [f"q{i // 2}" for i in range(2 * n)],
            "prompt": [f"question {i // 2}" for i in range(2 * n)],
            "model": ["good", "bad"] * n,
            "correct": rng.random(2 * n) < p,
            "train_ok": ~closed,
        }
    )
    return outcomes_from_table(table, name="made"), p


def test_a_calibrated_p_shows_what_chance_shows() -> None:
    outcomes, p = made()
    (by_model, by_source), summary = calibration_tables(outcomes, p)
    assert summary["ece_models"] == 2.0
    assert summary["ece_mean"] == pytest.approx(summary["ece_by_chance"], abs=0.012)
    assert summary["ece_beyond_chance"] < 0.03
    assert summary["ece_beyond_chance_within_0.03"] == 2.0
    assert by_model.rows[0][:2] == ["mean of 2 models", 3000]
    assert [row[0] for row in by_source.rows] == ["closed"]
    assert by_source.rows[0][1:3] == [3000, 2]


def test_a_bias_is_told_and_by_whom() -> None:
    outcomes, p = made()
    bad = outcomes.column("model") == "bad"
    tables, summary = calibration_tables(outcomes, np.where(bad, np.clip(p + 0.2, 0, 1), p))
    assert tables[0].rows[2][0] == "bad"
    assert tables[0].rows[2][4] == pytest.approx(0.2, abs=0.04)
    assert summary["ece_beyond_chance_within_0.03"] == 1.0
    assert tables[1].rows[0][6] == pytest.approx(0.1, abs=0.03)


def test_sources_kept_from_training_count_as_unseen_and_none_leaves_empty_tables() -> None:
    outcomes, p = made()
    tables, summary = calibration_tables(outcomes, p, unseen_sources=("free",))
    assert [row[0] for row in tables[1].rows] == ["closed", "free"]
    assert summary["ece_models"] == 0.0
    assert np.isnan(summary["ece_mean"])
