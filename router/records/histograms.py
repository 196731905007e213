"""Percentiles by counting: the database sorts times into bins, and only the counts are read.

Each bin is 15.5% wider than the one before, from 0.01 ms to 12 minutes, so what is read out of them
is off by less than that, mostly by a few percent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from sqlalchemy import ColumnElement, Integer, literal_column

__all__ = ["TIME_EDGES_MS", "bin_number", "quantile"]

_BINS_PER_DECADE: Final = 16
TIME_EDGES_MS: Final = tuple(
    float(f"{0.01 * 10 ** (index / _BINS_PER_DECADE):.5g}") for index in range(127)
)
"""Bin 0 lies below the first edge, bin i from edge i - 1 on, the last one above all edges."""


def bin_number(column: ColumnElement[float], edges: Sequence[float]) -> ColumnElement[int]:
    """SQL for the number of the bin that `column` falls into; it must not be null.

    A binary search written out, since logarithms are not in every build of SQLite.
    """
    name = str(column.compile(compile_kwargs={"literal_binds": True}))
    return literal_column(_search(name, tuple(edges), 0, len(edges)), Integer)


@cache
def _search(name: str, edges: tuple[float, ...], low: int, high: int) -> str:
    if low == high:
        return str(low)
    middle = (low + high) // 2
    left, right = _search(name, edges, low, middle), _search(name, edges, middle + 1, high)
    return f"CASE WHEN {name} < {edges[middle]!r} THEN {left} ELSE {right} END"


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The time in ms below which `share` of the counted ones lie, from {bin: count}.

    Within a bin times are taken to be spread evenly on a logarithmic scale. None of nothing.
    """
    total = sum(counts.values())
    if not total:
        return None
    wanted, before, chosen = share * total, 0, 0
    for chosen in sorted(counts):
        if before + counts[chosen] >= wanted:
            break
        before += counts[chosen]
    if chosen == 0:
        return TIME_EDGES_MS[0]
    if chosen == len(TIME_EDGES_MS):
        return TIME_EDGES_MS[-1]
    low, high = TIME_EDGES_MS[chosen - 1], TIME_EDGES_MS[chosen]
    within = min(1.0, max(0.0, (wanted - before) / counts[chosen]))
    return float(low * (high / low) ** within)
