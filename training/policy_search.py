"""Thresholds by search: which policies there are, and what each would have done.

`simulate` is `router.policy.next_step` over arrays; tests/training/test_policy_search.py proves
that it takes the very same decisions as the cascade.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.policy import Thresholds

from .replay import Stages

__all__ = ["Simulated", "conservative_order", "pick_cheapest", "propose", "simulate"]

Floats = npt.NDArray[np.float64]
_STEPS = 32


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What policies would have done: `quality` and `cost_usd` float64 [n_policies, n_prompts]."""

    thresholds: tuple[Thresholds, ...]
    quality: Floats
    cost_usd: Floats


def propose(stages: Stages, *, steps: int = _STEPS) -> list[Thresholds]:
    """Policies worth trying, from quantiles of the gains; labels are not looked at."""
    grid = np.linspace(0.0, 1.0, steps)
    first = [-math.inf, *_rounded(np.quantile(stages.gain[:, 1], grid))]
    skips = [math.inf, *_rounded(np.quantile(stages.gain[:, 1], (0.7, 0.85, 0.95)))]
    directs = [math.inf, *_rounded(np.quantile(stages.gain[:, 0], (0.7, 0.85, 0.95)))]
    if stages.gain.shape[1] == 2:
        later, skips = [-math.inf], [math.inf]
    else:
        later = [-math.inf, *_rounded(np.quantile(stages.gain[:, 2:], grid))]
    found = [
        Thresholds(direct=d, accept_first=a, escalate_first=e, accept_later=b)
        for d, a, e, b in itertools.product(directs, first, skips, later)
        if a <= e and (d == math.inf or e == math.inf)
    ]
    return list(dict.fromkeys(found))


def simulate(stages: Stages, policies: Sequence[Thresholds]) -> Simulated:
    """What each policy would have answered and paid on each prompt."""
    n = len(stages.verifier)
    quality = np.empty((len(policies), n))
    cost = np.empty((len(policies), n))
    n_drafters = stages.gain.shape[1] - 1
    for index, policy in enumerate(policies):
        quality[index] = stages.verifier
        cost[index] = stages.verifier_cost
        open_ = stages.gain[:, 0] <= policy.direct if n_drafters else np.zeros(n, dtype=bool)
        for made in range(1, n_drafters + 1):
            cost[index, open_] = (stages.verifier_cost + stages.draft_cost[:, made - 1])[open_]
            gain = stages.gain[:, made]
            limit = policy.accept_first if made == 1 else policy.accept_later
            taken = open_ & (gain <= limit) & (gain < math.inf)  # infinite: no draft may be taken
            quality[index, taken] = stages.accepted[taken, made - 1]
            cost[index, taken] = stages.draft_cost[taken, made - 1]
            open_ = open_ & ~taken
            if made == 1:
                open_ = open_ & ~(gain > policy.escalate_first)
    return Simulated(thresholds=tuple(policies), quality=quality, cost_usd=cost)


def pick_cheapest(
    simulated: Simulated,
    stages: Stages,
    *,
    target: float,
    weights: Floats | None = None,
) -> int:
    """The cheapest policy whose retention on these prompts is at least `target` (point estimate).

    `weights` [n_prompts] picks a side (0 or 1). With no policy on target, the one of the highest
    retention.
    """
    side = np.ones(len(stages.verifier)) if weights is None else weights
    retention = (simulated.quality @ side) / max(float(stages.verifier @ side), 1e-12)
    cost = simulated.cost_usd @ side
    allowed = retention >= target - 1e-12
    if not allowed.any():
        return int(np.lexsort((cost, -retention))[0])
    return int(np.flatnonzero(allowed)[np.argmin(cost[allowed])])


def conservative_order(simulated: Simulated, *, chains: int = 6) -> list[list[int]]:
    """Chains of policies for fixed-sequence testing, from the most conservative on.

    Built from thresholds and costs alone (no labels): each chain raises both acceptance
    thresholds together along one direction of the grid.
    """
    plain = [
        index
        for index, one in enumerate(simulated.thresholds)
        if one.direct == math.inf and one.escalate_first == math.inf
    ]
    mean_cost = simulated.cost_usd.mean(axis=1)
    firsts = sorted({simulated.thresholds[i].accept_first for i in plain})
    laters = sorted({simulated.thresholds[i].accept_later for i in plain})
    at = {
        (simulated.thresholds[i].accept_first, simulated.thresholds[i].accept_later): i
        for i in plain
    }
    found: list[list[int]] = []
    for lead in np.linspace(0.0, 1.0, chains):
        chain: list[int] = []
        steps = max(len(firsts), len(laters))
        for step in range(1, 2 * steps):
            first = min(len(firsts) - 1, round(step * lead * len(firsts) / steps))
            later = min(len(laters) - 1, round(step * (1.0 - lead) * len(laters) / steps))
            index = at.get((firsts[first], laters[later]))
            if index is not None and index not in chain:
                chain.append(index)
        cheaper = [i for k, i in enumerate(chain) if k == 0 or mean_cost[i] < mean_cost[chain[0]]]
        if cheaper:
            found.append(cheaper)
    return found


def _rounded(values: Floats) -> list[float]:
    return sorted({round(float(value), 6) for value in values})
