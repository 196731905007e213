"""Choosing a policy on one half of the prompts and reading what it does on the other, many times.

Everything is a sum over prompts, so that all policies and all splits are one matrix product. Three
ways to estimate a policy's retention on the calibration side are compared:

raw     as counted;
mixed   a share of what was counted and the rest as the evidence itself predicts it, after its bias
        on this side, stage by stage, has been taken out (a control variate: choosing the best of
        thousands of noisy counts picks lucky ones, and predictions have no luck to pick).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router.policy import Thresholds

from ..policy_search import simulate
from ..replay import Stages

__all__ = [
    "Chosen",
    "Masks",
    "Sums",
    "choose_point",
    "frontier",
    "half_masks",
    "propose_few",
    "read_off",
    "sum_by_split",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Masks = npt.NDArray[np.float32]
_CHUNK = 128


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What each policy is worth and costs, summed over each side of each split.

    `loss` (verifier's quality minus the policy's), `cost`: float64 [2, n_policies, n_splits], side
    0 being calibration; `predicted` the loss that the evidence predicts. `verifier` and
    `verifier_cost`: [2, n_splits]. Policies of all candidates follow each other; `owner` [n]
    says whose each is, `thresholds` what it is.
    """

    loss: Floats
    predicted: Floats
    accepted: Floats
    cost: Floats
    verifier: Floats
    verifier_cost: Floats
    owner: Ints
    thresholds: tuple[Thresholds, ...]

    def retention(self, side: int) -> Floats:
        return np.asarray(1.0 - self.loss[side] / self.verifier[side], dtype=np.float64)

    def saving(self, side: int) -> Floats:
        return np.asarray(1.0 - self.cost[side] / self.verifier_cost[side], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What was chosen in each split, and what it did on the other side; all [n_splits].

    A policy number of -1 means the verifier alone: retention 1 and saving 0.
    """

    policy: Ints
    retention: Floats
    saving: Floats


def half_masks(groups: Ints, n_splits: int, seed: int) -> Masks:
    """1 where a prompt is on the calibration side; float32 [n_prompts, n_splits], whole groups."""
    _, codes = np.unique(groups, return_inverse=True)
    n_groups = int(codes.max()) + 1
    generator = np.random.default_rng(seed)
    sides = np.zeros((n_groups, n_splits), dtype=np.float32)
    for split in range(n_splits):
        sides[generator.permutation(n_groups)[: n_groups // 2], split] = 1.0
    return np.asarray(sides[codes])


def propose_few(stages: Stages, *, steps: int = 12) -> list[Thresholds]:
    """Some hundred policies, from quantiles of the gains; labels are not looked at.

    One draft judged alone, or drafts judged together, finely; and both in a row on a grid of
    `steps` x `steps`. A finer grid finds luckier policies on the calibration side, not better
    ones on the other: with thousands, the chosen one fell short of its target by up to .03.
    """
    inf = math.inf
    fine = 3 * steps
    alone = [
        Thresholds(direct=inf, accept_first=a, escalate_first=a, accept_later=-inf)
        for a in [-inf, *_quantiles(stages.gain[:, 1], fine)]
    ]
    if stages.gain.shape[1] == 2:
        return alone
    later = [
        Thresholds(direct=inf, accept_first=-inf, escalate_first=inf, accept_later=b)
        for b in _quantiles(stages.gain[:, 2:], fine)
    ]
    firsts = [-inf, *_quantiles(stages.gain[:, 1], steps)]
    laters = [-inf, *_quantiles(stages.gain[:, 2:], steps)]
    grid = [
        Thresholds(direct=inf, accept_first=a, escalate_first=inf, accept_later=b)
        for a, b in itertools.product(firsts, laters)
    ]
    return list(dict.fromkeys([*alone, *later, *grid]))


def _quantiles(gain: Floats, n: int) -> list[float]:
    found = np.quantile(gain, np.linspace(0.0, 1.0, n))
    return sorted({round(float(value), 6) for value in found})


def sum_by_split(
    stages: Sequence[Stages],
    masks: Masks,
    *,
    weights: Floats | None = None,
    policies: Sequence[Sequence[Thresholds]] | None = None,
    steps: int = 12,
) -> Sums:
    """Sums of every policy of every candidate on both sides of every split.

    `policies`: those of each candidate; by default those of `propose_few`. `weights`
    [n_prompts] count prompts more or less.
    """
    weight = np.ones(len(masks)) if weights is None else weights
    mine = (masks * weight[:, None]).astype(np.float32)
    tried = policies or [propose_few(one, steps=steps) for one in stages]
    parts = [
        np.stack([_both_sides(values, mine, weight) for values in chunk])
        for one, own in zip(stages, tried, strict=True)
        for chunk in _simulate(one, own)
    ]
    joined = np.concatenate(parts, axis=2)  # [4, 2, n_policies, n_splits]
    first = stages[0]
    return Sums(
        loss=joined[0],
        predicted=joined[1],
        accepted=joined[2],
        cost=joined[3],
        verifier=_both_sides(first.verifier, mine, weight),
        verifier_cost=_both_sides(first.verifier_cost, mine, weight),
        owner=np.repeat(np.arange(len(tried)), [len(own) for own in tried]),
        thresholds=tuple(policy for own in tried for policy in own),
    )


def choose_point(sums: Sums, target: float, *, share: float = 1.0) -> Chosen:
    """The cheapest policy whose estimated retention on the calibration side is >= target.

    `share` 1 is the raw estimate; below it, that share is counted and the rest predicted.
    """
    loss = sums.loss[0]
    if share < 1.0:
        loss = share * loss + (1.0 - share) * _predicted_loss(sums)
    retention = 1.0 - loss / sums.verifier[0]
    allowed = retention >= target - 1e-9
    cost = np.where(allowed, sums.cost[0], np.inf)
    policy = np.where(allowed.any(axis=0), cost.argmin(axis=0), -1)
    return read_off(sums, policy)


def read_off(sums: Sums, policy: Ints) -> Chosen:
    """What the chosen policies did on the test side."""
    splits = np.arange(len(policy))
    retention = sums.retention(1)[policy, splits]
    saving = sums.saving(1)[policy, splits]
    none = policy < 0
    return Chosen(
        policy=policy,
        retention=np.where(none, 1.0, retention),
        saving=np.where(none, 0.0, saving),
    )


def frontier(sums: Sums, *, most: int = 80) -> Ints:
    """Policies that are best for some price of quality, by what the evidence predicts; no labels.

    The lower envelope of (cost, predicted loss) over all prompts, from the most conservative
    on, thinned to about `most`, with the always-verifier policies left out. Being chosen without
    labels, it may be tested in this order (fixed-sequence testing).
    """
    cost = sums.cost[:, :, 0].sum(axis=0)
    loss = sums.predicted[:, :, 0].sum(axis=0)
    order = np.lexsort((loss, cost))
    best = np.minimum.accumulate(loss[order])
    kept = order[np.concatenate([[True], loss[order][1:] < best[:-1] - 1e-9])]
    kept = kept[sums.accepted[:, kept, 0].sum(axis=0) > 0]
    if len(kept) > most:
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, most).round().astype(np.int64))]
    return np.asarray(kept[::-1], dtype=np.int64)


def _predicted_loss(sums: Sums) -> Floats:
    """The evidence's own prediction, its bias per accepted prompt taken out.

    Across the policies of a split, counted loss is regressed on predicted loss and on how much
    was accepted, drawn towards a slope of 1 and no bias.
    """
    out: Floats = np.empty_like(sums.loss[0])
    for split in range(out.shape[1]):
        x = np.stack([sums.predicted[0, :, split], sums.accepted[0, :, split]], axis=1)
        y = sums.loss[0, :, split]
        prior = np.array([1.0, 0.0])
        scale = np.maximum(np.abs(x).mean(axis=0), 1e-9)
        z = x / scale
        ridge = 0.02 * len(x)
        w = prior * scale + np.linalg.solve(z.T @ z + ridge * np.eye(2), z.T @ (y - x @ prior))
        out[:, split] = z @ w
    return out


def _both_sides(values: Floats, mine: Masks, weight: Floats) -> Floats:
    """Sums of values [..., n] over the calibration side and over the rest: [2, ..., n_splits]."""
    here = np.asarray(values.astype(np.float32) @ mine, dtype=np.float64)
    return np.asarray(np.stack([here, (values @ weight)[..., None] - here]), dtype=np.float64)


def _simulate(
    stages: Stages, policies: Sequence[Thresholds]
) -> Iterator[tuple[Floats, Floats, Floats, Floats]]:
    """Chunks of (loss, predicted loss, accepted 0/1, cost), each [n_policies, n]."""
    nothing = np.zeros_like(stages.verifier)
    predicted = replace(stages, accepted=stages.gain[:, 1:], verifier=nothing)
    accepted = replace(stages, accepted=np.ones_like(stages.accepted), verifier=nothing)
    for start in range(0, len(policies), _CHUNK):
        own = policies[start : start + _CHUNK]
        counted = simulate(stages, own)
        yield (
            stages.verifier - counted.quality,
            simulate(predicted, own).quality,
            simulate(accepted, own).quality,
            counted.cost_usd,
        )
