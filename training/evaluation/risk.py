"""The risk-controlled choice over many splits, and whether it keeps its promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from router.errors import NotEnoughLabelsError

from ..bounds import group_margins, margins
from ..policy_choice import choose_policy
from ..policy_search import simulate
from .choosing import Chosen, Masks, Sums, frontier
from .evidence import Evidence

__all__ = ["Ladder", "build_ladder", "choose_certified", "half_level"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Policies from the most conservative on, fixed without labels: quality and cost_usd float64
    [n_policies, n_prompts]; `policy` their numbers among those of the sums."""

    policy: npt.NDArray[np.int64]
    quality: Floats
    cost_usd: Floats


def build_ladder(evidence: Evidence, sums: Sums) -> Ladder:
    """The policies that are best for some price of quality, as the evidence predicts it."""
    chosen = frontier(sums)
    quality, cost = [], []
    for number in chosen:
        stages = evidence.candidates[int(sums.owner[number])].stages
        done = simulate(stages, [sums.thresholds[int(number)]])
        quality.append(done.quality[0])
        cost.append(done.cost_usd[0])
    return Ladder(policy=chosen, quality=np.array(quality), cost_usd=np.array(cost))


def choose_certified(
    evidence: Evidence,
    ladder: Ladder,
    masks: Masks,
    *,
    target: float,
    delta: float,
    progress: Any = iter,
) -> tuple[Chosen, float]:
    """(what the certified policies did on the other side, share of splits without one).

    Without a certificate - not enough labels, or no policy that keeps the target - the verifier
    answers everything.
    """
    n_splits = masks.shape[1]
    policy = np.full(n_splits, -1, dtype=np.int64)
    kept, saved = np.ones(n_splits), np.zeros(n_splits)
    order = list(range(len(ladder.policy)))
    margin = margins(ladder.quality, evidence.verifier, target)
    for split in progress(range(n_splits)):
        mine = masks[:, split] > 0.5
        cost = ladder.cost_usd[:, mine].mean(axis=1)
        grouped = group_margins(margin[:, mine], evidence.group[mine])
        try:
            choice = choose_policy(
                grouped, cost, target=target, delta=delta, order=order, tell_need=False
            )
        except NotEnoughLabelsError:
            choice = None
        if choice is None:
            continue
        rest, index = ~mine, choice.index
        policy[split] = ladder.policy[index]
        kept[split] = ladder.quality[index, rest].sum() / evidence.verifier[rest].sum()
        saved[split] = 1 - ladder.cost_usd[index, rest].sum() / evidence.verifier_cost[rest].sum()
    found = Chosen(policy=policy, retention=kept, saving=saved)
    return found, float((policy < 0).mean())


def half_level(delta: float) -> float:
    """The level to certify at, so that the realised retention of as many other prompts falls below
    the target with probability `delta` at most.

    Calibration and test halves err independently and alike, so their difference spreads sqrt(2)
    times as far as either from the truth (normal approximation): delta .05 becomes .010.
    """
    return float(norm.sf(np.sqrt(2.0) * norm.isf(delta)))
