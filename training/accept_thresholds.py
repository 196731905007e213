"""The p_acceptable from which a draft is accepted unless somebody says otherwise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["accept_threshold"]

Floats = npt.NDArray[np.float64]


def accept_threshold(p: Floats, right: Floats, *, precision: float) -> float:
    """The smallest threshold at which accepted drafts are right with at least `precision`.

    `p` float64 [n] are out-of-fold probabilities, `right` [n] 0 or 1. When no threshold reaches
    the precision, the probability itself is taken as the threshold: p >= precision.
    """
    order = np.argsort(-p, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(p) + 1)
    enough = np.flatnonzero((share >= precision) & (np.arange(len(p)) >= 50))
    return round(float(p[order[enough[-1]]]), 4) if len(enough) else precision
