"""Names beside what they name: labels that keep off each other and inside the plot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

__all__ = ["Label", "place_column", "place_labels"]

Label = tuple[float, float, str, str]  # x, y, text, colour
_FONT_SIZE = 9
# Offsets to try, in points, nearest first: right, left, above, below, then farther out.
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_OFFSETS = tuple((x * step, y * step) for step in (9, 17, 28, 42, 58) for x, y in _SIDES)


def place_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Write each (x, y, text, colour) near its point, at the first place that is free.

    Free means inside the axes, off texts that are there, and off every labelled point and drawn
    line as far as possible: of the places tried, the one that covers least is taken. A label that
    had to go far gets a thin line to its point.
    """
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    canvas = axes.figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        raise TypeError("labels are placed on an Agg canvas only")
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    frame = axes.get_window_extent(renderer)
    taken = [text.get_window_extent(renderer) for text in axes.texts]
    obstacles = _line_points(axes)
    for x, y, text, colour in labels:
        best: tuple[float, tuple[float, float], Bbox] | None = None
        for offset in _OFFSETS:
            note = _annotate(axes, (x, y, text, colour), offset)
            box = note.get_window_extent(renderer).padded(2)
            note.remove()
            cost = _cost(box, frame, taken, obstacles) + 0.01 * max(map(abs, offset))
            if best is None or cost < best[0]:
                best = (cost, offset, box)
        if best is None:
            continue
        note = _annotate(axes, (x, y, text, colour), best[1], line=max(map(abs, best[1])) > 12)
        note.set_clip_on(False)
        taken.append(best[2])


def place_column(axes: Axes, labels: Sequence[Label]) -> None:
    """Write the labels in a column right of the axes, each level with its point where it can be.

    Where points lie closer than a line of text, labels are moved apart, keeping their order; a
    thin line leads from each point to its label.
    """
    if not labels:
        return
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    bottom, top = axes.get_ylim()
    height_points = axes.get_window_extent().height * 72 / axes.figure.dpi
    gap = 1.45 * _FONT_SIZE / height_points
    ranked = sorted(labels, key=lambda label: -label[1])
    heights = [(label[1] - bottom) / (top - bottom) for label in ranked]
    for k in range(1, len(heights)):
        heights[k] = min(heights[k], heights[k - 1] - gap)
    floor = gap / 2
    for k in reversed(range(len(heights))):
        heights[k] = max(heights[k], floor)
        floor = heights[k] + gap
    for (x, y, text, colour), height in zip(ranked, heights, strict=True):
        axes.annotate(
            text,
            (x, y),
            xytext=(1.03, height),
            textcoords="axes fraction",
            va="center",
            color=colour,
            fontsize=_FONT_SIZE,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1},
        )


def _annotate(
    axes: Axes, label: Label, offset: tuple[float, float], *, line: bool = False
) -> Annotation:
    x, y, text, colour = label
    return axes.annotate(
        text,
        (x, y),
        xytext=offset,
        textcoords="offset points",
        ha="left" if offset[0] > 0 else "right" if offset[0] < 0 else "center",
        va="bottom" if offset[1] > 0 else "top" if offset[1] < 0 else "center",
        color=colour,
        fontsize=_FONT_SIZE,
        arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6} if line else None,
    )


def _line_points(axes: Axes) -> list[tuple[float, float]]:
    """Points along everything drawn, in pixels, close enough together to hit a label."""
    found: list[tuple[float, float]] = []
    for line in axes.get_lines():
        path = line.get_transform().transform_path(line.get_path())
        vertices = np.asarray(path.vertices, dtype=np.float64)
        for (x0, y0), (x1, y1) in pairwise(vertices):
            steps = max(1, min(400, int(max(abs(x1 - x0), abs(y1 - y0)) / 4)))
            found += [
                (float(x0 + (x1 - x0) * k / steps), float(y0 + (y1 - y0) * k / steps))
                for k in range(steps + 1)
            ]
        if len(vertices) == 1:
            x0, y0 = vertices[0]
            found += [(float(x0 + dx), float(y0 + dy)) for dx in (-5, 0, 5) for dy in (-5, 0, 5)]
    return found


def _cost(
    box: Bbox, frame: Bbox, taken: Sequence[Bbox], obstacles: Sequence[tuple[float, float]]
) -> float:
    outside = (
        max(0.0, frame.x0 - box.x0)
        + max(0.0, box.x1 - frame.x1)
        + max(0.0, frame.y0 - box.y0)
        + max(0.0, box.y1 - frame.y1)
    )
    overlaps = sum(1 for other in taken if box.overlaps(other))
    covered = sum(1 for x, y in obstacles if box.x0 < x < box.x1 and box.y0 < y < box.y1)
    return float(10 * outside + 1000 * overlaps + covered)
