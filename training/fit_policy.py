"""Policies from replayed outcomes: thresholds for each target, and what to expect of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from router.errors import NotEnoughLabelsError
from router.policy import CONSERVATIVE, Thresholds
from router.profiles import Expectation, PolicyFile, Profile
from router.validation.recalibration import Recalibration

from .bounds import group_margins, margins
from .policy_choice import choose_policy
from .policy_search import conservative_order, pick_cheapest, propose, simulate
from .replay import Stages

__all__ = [
    "TARGETS",
    "certify",
    "expectations",
    "first_alone",
    "fit_policy",
    "pool_stages",
]

Floats = npt.NDArray[np.float64]
TARGETS = (0.95, 0.96, 0.98, 0.99, 1.0)
_BINS = 8


def pool_stages(parts: Sequence[Stages], *, most: int = 1200) -> Stages:
    """Several replay sets as one, each with at most `most` prompts so that none drowns the others.

    Prompts are taken evenly spaced, groups are kept apart between sets, and costs are divided by
    the set's mean verifier cost, so that a dear set does not decide alone.
    """
    kept = []
    offset = 0
    for part in parts:
        n = len(part.verifier)
        rows = np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
        scale = float(part.verifier_cost.mean())
        _, group = np.unique(part.group[rows], return_inverse=True)
        kept.append(
            Stages(
                gain=part.gain[rows],
                accepted=part.accepted[rows],
                draft_cost=part.draft_cost[rows] / scale,
                verifier=part.verifier[rows],
                verifier_cost=part.verifier_cost[rows] / scale,
                group=group + offset,
                assessed=tuple(part.assessed[row] for row in rows),
            )
        )
        offset += int(group.max()) + 1
    return Stages(
        gain=np.concatenate([one.gain for one in kept]),
        accepted=np.concatenate([one.accepted for one in kept]),
        draft_cost=np.concatenate([one.draft_cost for one in kept]),
        verifier=np.concatenate([one.verifier for one in kept]),
        verifier_cost=np.concatenate([one.verifier_cost for one in kept]),
        group=np.concatenate([one.group for one in kept]),
        assessed=tuple(found for one in kept for found in one.assessed),
    )


def certify(stages: Stages, *, target: float, delta: float, n_chains: int = 4) -> Thresholds:
    """The cheapest thresholds whose retention is >= `target` with confidence 1 - `delta`.

    Learn-then-Test (2110.01052) by fixed-sequence testing on independent groups. Raises
    NotEnoughLabelsError when the labels cannot carry the statement; returns CONSERVATIVE, always
    the verifier, when no policy seems to keep the target.
    """
    simulated = simulate(stages, propose(stages))
    chains = conservative_order(simulated, chains=n_chains)
    if not chains:
        return CONSERVATIVE
    used = sorted({index for chain in chains for index in chain})
    position = {index: k for k, index in enumerate(used)}
    found = choose_policy(
        group_margins(margins(simulated.quality[used], stages.verifier, target), stages.group),
        simulated.cost_usd[used].sum(axis=1),
        target=target,
        delta=delta,
        order=[[position[index] for index in chain] for chain in chains],
    )
    return CONSERVATIVE if found is None else simulated.thresholds[used[found.index]]


def fit_policy(
    stages: Stages,
    *,
    chain: Sequence[str],
    targets: Sequence[float] = TARGETS,
    delta: float | None = 0.05,
    recalibration: Recalibration | None = None,
) -> PolicyFile:
    """Profiles for each target: certified where the labels allow it, else the point estimate.

    With `delta` None nothing is certified. A point estimate is marked as such. Where the stages
    have several drafters, the first alone has profiles of its own.
    """
    alone = stages.gain.shape[1] > 2
    return PolicyFile(
        chain=tuple(chain),
        profiles=_profiles(stages, targets, delta),
        recalibration=recalibration,
        single=_profiles(first_alone(stages), targets, delta) if alone else (),
    )


def first_alone(stages: Stages) -> Stages:
    """The same prompts with the first drafter and the verifier only."""
    return replace(
        stages,
        gain=stages.gain[:, :2],
        accepted=stages.accepted[:, :1],
        draft_cost=stages.draft_cost[:, :1],
    )


def _profiles(stages: Stages, targets: Sequence[float], delta: float | None) -> tuple[Profile, ...]:
    simulated = simulate(stages, propose(stages))
    n_labels = len(np.unique(stages.group))
    profiles = []
    for target in targets:
        certified = False
        thresholds = simulated.thresholds[pick_cheapest(simulated, stages, target=target)]
        if delta is not None and target < 1.0:
            try:
                bound = certify(stages, target=target, delta=delta)
                certified, thresholds = bound is not CONSERVATIVE, bound
            except NotEnoughLabelsError:
                pass
        profiles.append(
            Profile(
                target=target,
                thresholds=thresholds,
                expectations=expectations(stages, thresholds),
                certified=certified,
                delta=delta if certified else None,
                n_labels=n_labels,
            )
        )
    return tuple(profiles)


def expectations(stages: Stages, thresholds: Thresholds) -> tuple[Expectation, ...]:
    """What the thresholds did, in bins of equal size of the gain predicted before any draft."""
    edges = np.unique(np.quantile(stages.gain[:, 0], np.linspace(0, 1, _BINS + 1)[1:]))
    bins = np.searchsorted(edges[:-1], stages.gain[:, 0], side="left")
    drafting = replace(thresholds, direct=math.inf)
    outcome = simulate(stages, [drafting])
    first = stages.gain[:, 1] <= thresholds.accept_first
    later = stages.gain[:, -1] <= (
        thresholds.accept_later if stages.gain.shape[1] > 2 else thresholds.accept_first
    )
    found = []
    for index, edge in enumerate(edges):
        own = bins == index
        if not own.any():
            continue
        rest = own & ~first
        verifier = max(float(stages.verifier[own].mean()), 1e-9)
        found.append(
            Expectation(
                gain=round(float(edge), 6),
                accepted_first=round(float(first[own].mean()), 4),
                accepted_later=round(float(later[rest].mean()) if rest.any() else 1.0, 4),
                accepted_pair=round(float((first | later)[own].mean()), 4),
                retention=round(float(outcome.quality[0, own].mean()) / verifier, 4),
            )
        )
    return tuple(found)
