"""The report's figures, as PNG files: cost against quality, reliability, confusion, guarantee.

Each function draws one figure on an object of its own (no pyplot, no global state), writes it and
returns its path. Colours are Okabe & Ito's, told apart by any eye; curves are labelled where they
end rather than in a legend, and differ in dash as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import (
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
    StrMethodFormatter,
)

from router.errors import UsageError

from .bootstrap import Interval
from .plot_labels import Label, place_column, place_labels

__all__ = [
    "Mark",
    "confusion",
    "cost_quality_curve",
    "encoder_scatter",
    "histogram_with_target",
    "reliability_diagram",
]

Floats = npt.NDArray[np.float64]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D00", "#56B4E9", "#4D4D4D")
DASHES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 3)))
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
INK, FAINT = "#222222", "#8A8A8A"
STYLE: dict[Any, Any] = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.color": "#E4E4E4",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One rule in the cost-quality plane; `interval` is that of the retention."""

    saving: float
    retention: float
    interval: Interval | None = None


def cost_quality_curve(
    path: Path,
    curves: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    points: Mapping[str, Mark],
    *,
    targets: Sequence[float] = (),
    title: str = "",
    retention_from: float | None = None,
) -> Path:
    """Retention over saving. curves: name -> (saving, retention), each [n]; points: name -> Mark.

    The first curve or point is drawn strongest. `retention_from` cuts the axis below; by default
    it starts a little under the lowest point, so that a steep curve's end does not flatten the
    part that matters.
    """
    with rc_context(STYLE):
        figure, axes = _figure(9.0, 5.2)
        lowest = _lowest(curves, points, targets) if retention_from is None else retention_from
        ends: list[Label] = []
        labels: list[Label] = []
        for number, (name, (saving, retention)) in enumerate(curves.items()):
            order = np.argsort(np.asarray(saving, dtype=np.float64), kind="stable")
            x, y = np.asarray(saving)[order], np.asarray(retention)[order]
            colour = COLOURS[number % len(COLOURS)]
            dash = DASHES[number % len(DASHES)]
            axes.plot(x, y, color=colour, linestyle=dash, linewidth=2.4 if number == 0 else 1.6)
            seen = np.flatnonzero(y >= lowest)
            if len(seen):
                ends.append((float(x[seen[-1]]), float(y[seen[-1]]), name, colour))
        for number, (name, mark) in enumerate(points.items()):
            colour = COLOURS[(len(curves) + number) % len(COLOURS)]
            _draw_mark(axes, mark, colour, MARKERS[number % len(MARKERS)])
            if mark.retention >= lowest:
                labels.append((mark.saving, mark.retention, name, colour))
        _draw_targets(axes, targets)
        axes.set_ylim(bottom=lowest)
        if targets:  # their labels stand left of where every curve begins
            axes.set_xlim(left=axes.get_xlim()[0] - 0.1)
        axes.set(title=title, ylabel="Retention")
        axes.set_xlabel("Saving against always asking the verifier")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        # Whole steps: a tick at 97.5% would read 98% beside the line of the target.
        axes.yaxis.set_major_locator(MaxNLocator(9, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(visible=True)
        place_column(axes, ends)
        place_labels(axes, labels)
        return _save(figure, path)


def reliability_diagram(
    path: Path,
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    bins: int = 10,
    title: str = "",
) -> Path:
    """Share right against predicted probability, in bins of equal mass; y: 0/1 [n], p: [n].

    `groups` (a name per row, at most seven distinct) draws one line for each. Bars are 95%
    Wilson intervals; below, how the probabilities are spread.
    """
    right, probability = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    rows = np.array(list(groups) if groups is not None else ["all"] * len(right))
    names = np.unique(rows)
    if len(names) > len(COLOURS):
        raise UsageError(f"{len(names)} groups, expected at most {len(COLOURS)}", param="groups")
    with rc_context(STYLE):
        figure = _empty_figure(5.6, 6.2)
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":")
        axes.annotate("calibrated", (0.04, 0.06), color=FAINT, rotation=45, fontsize=9)
        for number, name in enumerate(names):
            mine, colour = rows == name, COLOURS[number]
            x, share, low, high = _bins(right[mine], probability[mine], bins)
            axes.errorbar(
                x,
                share,
                yerr=[share - low, high - share],
                color=colour,
                linestyle=DASHES[number],
                marker=MARKERS[number],
                markersize=5,
                linewidth=1.5,
                elinewidth=1,
                label=f"{name} (n = {int(mine.sum()):,})",
            )
            below.hist(probability[mine], bins=np.linspace(0, 1, 31), histtype="step", color=colour)
        axes.set(ylabel="Share right", title=title, xlim=(0, 1.02), ylim=(0, 1.02))
        axes.legend(frameon=False, loc="upper left")
        axes.grid(visible=True)
        below.set(xlabel="Predicted probability", ylabel="Rows")
        return _save(figure, path)


def confusion(path: Path, matrix: npt.ArrayLike, labels: Sequence[str], *, title: str = "") -> Path:
    """Counts [n_labels true, n_labels predicted]; each cell is shaded by its share of the row."""
    counts = np.asarray(matrix, dtype=np.float64)
    if counts.shape != (len(labels), len(labels)):
        raise UsageError(f"matrix of shape {counts.shape} for {len(labels)} labels", param="matrix")
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    with rc_context(STYLE):
        side = 2.4 + 0.62 * len(labels)
        figure, axes = _figure(side, side * 0.86)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if share[row, column] > 0.55 else INK
                text = f"{count:,.0f}"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        ticks = range(len(labels))
        axes.set_xticks(ticks, labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=9)
        axes.set_yticks(ticks, labels, fontsize=9)
        axes.set(xlabel="Predicted", ylabel="True (shade: share of the row)", title=title)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        return _save(figure, path)


def histogram_with_target(
    path: Path, values: npt.ArrayLike, target: float, delta: float, *, title: str = ""
) -> Path:
    """Realised retention over repeated splits [n_splits], the share below the target marked."""
    found = np.asarray(values, dtype=np.float64)
    missed = float((found < target).mean())
    with rc_context(STYLE):
        figure, axes = _figure(7.0, 4.0)
        low, high = min(float(found.min()), target), max(float(found.max()), target)
        step = max(high - low, 1e-6) / 40
        first = int(np.ceil((target - low) / step)) + 1
        edges = target + step * np.arange(-first, int(np.ceil((high - target) / step)) + 2)
        axes.hist(found[found >= target], bins=list(edges), color=COLOURS[0])
        axes.hist(found[found < target], bins=list(edges), color=COLOURS[1])
        axes.axvline(target, ymax=0.88, color=INK, linewidth=1.2)
        axes.set(xlabel="Realised retention", ylabel="Splits", title=title)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
        axes.set_ylim(top=axes.get_ylim()[1] * 1.18)
        allowed = f"(at most {delta:.0%} allowed)"
        text = f"below {target:.1%}: {missed:.1%} of {len(found):,} splits {allowed}"
        axes.annotate(
            text, (0.5, 0.99), xycoords="axes fraction", ha="center", va="top", color=COLOURS[1]
        )
        return _save(figure, path)


def encoder_scatter(
    path: Path,
    encoders: Mapping[str, tuple[float, float]],
    *,
    quality_label: str,
    bar_ms: float | None = None,
    title: str = "",
) -> Path:
    """Quality over p99 latency in milliseconds (log scale); encoders: name -> (ms, quality)."""
    with rc_context(STYLE):
        figure, axes = _figure(7.0, 4.4)
        labels = []
        for number, (name, (latency_ms, quality)) in enumerate(encoders.items()):
            colour = COLOURS[number % len(COLOURS)]
            marker = MARKERS[number % len(MARKERS)]
            axes.plot([latency_ms], [quality], marker=marker, markersize=9, color=colour)
            labels.append((latency_ms, quality, name, colour))
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.12, y=0.15)
        if bar_ms is not None:
            axes.axvline(bar_ms, color=FAINT, linestyle=":", linewidth=1.2)
            at = (bar_ms, 0.01)
            text = f" bar: {bar_ms:g} ms"
            axes.annotate(text, at, xycoords=axes.get_xaxis_transform(), color=FAINT, fontsize=9)
        axes.set(xlabel="Latency p99 (ms, log scale)", ylabel=quality_label, title=title)
        axes.grid(visible=True, which="major")
        place_labels(axes, labels)
        return _save(figure, path)


def _draw_mark(axes: Axes, mark: Mark, colour: str, marker: str) -> None:
    axes.plot([mark.saving], [mark.retention], marker=marker, markersize=7, color=colour)
    if mark.interval is not None:
        ends = [mark.interval.low, mark.interval.high]
        axes.plot([mark.saving] * 2, ends, color=colour, linewidth=1.2)


def _draw_targets(axes: Axes, targets: Sequence[float]) -> None:
    for target in targets:
        axes.axhline(target, color=FAINT, linewidth=1, linestyle=":")
        axes.annotate(
            f"target {target:.0%}",
            (0.0, target),
            xycoords=axes.get_yaxis_transform(),
            color=FAINT,
            fontsize=8,
            va="bottom",
            xytext=(3, 0),
            textcoords="offset points",
        )


def _lowest(
    curves: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    points: Mapping[str, Mark],
    targets: Sequence[float],
) -> float:
    """Where the retention axis begins: 15% of its span under the lowest point, target or curve end.

    Without points, curves are shown whole.
    """
    ends = [float(np.min(np.asarray(retention))) for _, retention in curves.values()]
    marks = [m.retention if m.interval is None else m.interval.low for m in points.values()]
    values = [*(marks or ends), *targets]
    highest = max([1.0, *values])
    return min(values) - 0.15 * max(highest - min(values), 0.02)


def _bins(right: Floats, probability: Floats, bins: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean probability, share right and its Wilson 95% interval of each bin of equal mass."""
    edges = np.unique(np.quantile(probability, np.arange(1, bins) / bins))
    place = np.searchsorted(edges, probability, side="right")
    n = np.bincount(place)
    used = n > 0
    n = n[used]
    x = np.bincount(place, weights=probability)[used] / n
    share = np.bincount(place, weights=right)[used] / n
    z2 = 1.96**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    low, high = np.minimum(middle - half, share), np.maximum(middle + half, share)
    return x, share, low, high


def _empty_figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = _empty_figure(width, height)
    return figure, figure.add_subplot()


def _save(figure: Figure, path: Path) -> Path:
    """Write the PNG; without a date or version in it, so that equal data gives equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})
    return path
