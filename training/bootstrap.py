"""Bootstrap intervals that draw whole groups, since repeats of one question are not independent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.errors import UsageError

__all__ = ["Interval", "group_bootstrap", "resample_groups"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate, its interval and `n`, the number of groups (independent units) behind it.

    As text "x [low, high]"; a format specification applies to each number: f"{interval:.3f}".
    """

    estimate: float
    low: float
    high: float
    n: int

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)


def group_bootstrap(
    statistic: Callable[[Ints], float],
    groups: npt.ArrayLike,
    *,
    n: int = 1000,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of `statistic` over `n` resamples of the groups (Efron 1979).

    `statistic` takes row numbers (int64 [any], with repeats) and returns a number; groups: ints or
    strings [n_rows]. A statistic may be NaN on a few resamples (one class only): those are left
    out. Where more than one in ten is, the interval is NaN, for it would tell of the others only.
    """
    if n < 1 or not 0 < level < 1:
        raise UsageError(f"n is {n} and level {level}, expected n >= 1 and a level in 0..1")
    codes = _codes(groups)
    estimate = float(statistic(np.arange(len(codes), dtype=np.int64)))
    values = np.array([statistic(rows) for rows in _draws(codes, n, seed)], dtype=np.float64)
    kept = values[~np.isnan(values)]
    if len(kept) < 0.9 * n:
        low = high = float("nan")
    else:
        low, high = (float(v) for v in np.quantile(kept, [(1 - level) / 2, (1 + level) / 2]))
    return Interval(estimate=estimate, low=low, high=high, n=int(codes.max()) + 1)


def resample_groups(groups: npt.ArrayLike, *, n: int, seed: int) -> Iterator[Ints]:
    """The row numbers of each of `n` resamples, to use the same ones for several statistics."""
    return _draws(_codes(groups), n, seed)


def _codes(groups: npt.ArrayLike) -> Ints:
    names = np.asarray(groups)
    if names.ndim != 1 or not len(names):
        raise UsageError(f"groups of shape {names.shape}, expected [n_rows] with n_rows > 0")
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _draws(codes: Ints, n: int, seed: int) -> Iterator[Ints]:
    """Each resample draws as many groups as there are, and takes all rows of each one drawn."""
    by_group = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    rng = np.random.default_rng(seed)
    for _ in range(n):
        drawn = rng.integers(0, len(sizes), len(sizes))
        counts = sizes[drawn]
        begins = np.cumsum(counts) - counts
        offsets = np.arange(int(counts.sum())) - np.repeat(begins, counts)
        yield by_group[np.repeat(starts[drawn], counts) + offsets]
