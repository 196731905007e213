"""Plots: written as PNG, the same bytes for the same data, leaving matplotlib as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from router.errors import UsageError
from training import plots
from training.bootstrap import Interval
from training.plots import Mark

RNG = np.random.default_rng(0)
SAVING = np.linspace(0, 0.9, 30)
P = RNG.random(300)
Y = (RNG.random(300) < P).astype(float)
INTERVAL = Interval(estimate=0.98, low=0.97, high=0.99, n=100)


def draw_cost(path: Path) -> Path:
    curves = {name: (SAVING, 1 - k * SAVING) for k, name in ((0.01, "one"), (0.02, "two"))}
    points = {
        "drafter": Mark(saving=0.9, retention=0.95),
        "rule": Mark(saving=0.6, retention=0.98, interval=INTERVAL),
    }
    return plots.cost_quality_curve(path, curves, points, targets=(0.98, 1.0), title="t")


def draw_reliability(path: Path) -> Path:
    return plots.reliability_diagram(path, Y, P, groups=["a", "b"] * 150)


def draw_confusion(path: Path) -> Path:
    return plots.confusion(path, [[5, 0], [1, 0]], ["A", "B"])


def draw_histogram(path: Path) -> Path:
    return plots.histogram_with_target(path, 0.98 + 0.01 * P, 0.98, 0.05)


def draw_encoders(path: Path) -> Path:
    encoders = {"a": (0.2, 0.7), "b": (0.25, 0.71), "c": (30.0, 0.72)}
    return plots.encoder_scatter(path, encoders, quality_label="AUC", bar_ms=2.0)


DRAWERS = [draw_cost, draw_reliability, draw_confusion, draw_histogram, draw_encoders]


@pytest.mark.parametrize("draw", DRAWERS)
def test_each_plot_is_a_png_and_reproducible(draw: Callable[[Path], Path], tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    first = draw(tmp_path / "new" / "first.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert first == draw(tmp_path / "second.png").read_bytes()
    assert dict(mpl.rcParams) == before


def test_values_that_are_all_alike_can_be_drawn(tmp_path: Path) -> None:
    plots.histogram_with_target(tmp_path / "h.png", [1.0] * 9, 1.0, 0.1)
    plots.histogram_with_target(tmp_path / "low.png", [0.9] * 9, 1.0, 0.1)
    plots.reliability_diagram(tmp_path / "r.png", [1, 1, 1], [0.5, 0.5, 0.5])
    plots.cost_quality_curve(tmp_path / "c.png", {}, {"v": Mark(saving=0, retention=1)})
    plots.cost_quality_curve(tmp_path / "d.png", {"one": ([0, 0.5], [1, 1])}, {})


def test_a_matrix_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="matrix"):
        plots.confusion(tmp_path / "c.png", [[1]], ["A", "B"])
    with pytest.raises(UsageError, match="groups"):
        plots.reliability_diagram(tmp_path / "r.png", [1] * 8, P[:8], groups=list("abcdefgh"))
