"""Policies from synthetic evidence: they keep their target, and say how sure they are of it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from router.errors import NotEnoughLabelsError
from router.policy import CONSERVATIVE
from router.profiles import PolicyFile
from router.validation.recalibration import UNCHANGED
from training.fit_policy import certify, expectations, fit_policy, pool_stages
from training.policy_search import simulate
from training.replay import Stages

CHAIN = ("small", "middle", "large")


def synthetic(n: int, *, seed: int = 0, drafters: int = 2, p_draft: float = 0.8) -> Stages:
    """Calibrated evidence: the gain is P(verifier right) - P(draft right), outcomes drawn so."""
    rng = np.random.default_rng(seed)
    p_verifier = rng.uniform(0.9, 1.0, n)
    verifier = (rng.random(n) < p_verifier).astype(float)
    gain, accepted = [], []
    p = np.clip(rng.normal(p_draft, 0.1, n), 0.02, 0.99)
    gain.append(p_verifier - p)
    for _ in range(drafters):
        # Evidence splits prompts into those surely right and those that are doubtful.
        right = rng.random(n) < p
        told = np.where(right, rng.beta(12, 1, n), rng.beta(2, 3, n))
        gain.append(p_verifier - told)
        accepted.append(right.astype(float))
        p = np.clip(p + 0.05, 0, 0.99)
    return Stages(
        gain=np.stack(gain, axis=1),
        accepted=np.stack(accepted, axis=1),
        draft_cost=np.cumsum(np.tile([[0.05] * drafters], (n, 1)), axis=1),
        verifier=verifier,
        verifier_cost=np.ones(n),
        group=np.arange(n, dtype=np.int64),
        assessed=tuple(range(n)),  # type: ignore[arg-type]
    )


def retention(stages: Stages, policy: PolicyFile, target: float) -> float:
    done = simulate(stages, [policy.for_target(target).thresholds])
    return float(done.quality[0].mean() / stages.verifier.mean())


def test_point_estimates_meet_their_target_on_what_they_were_chosen_on() -> None:
    stages = synthetic(600)
    policy = fit_policy(stages, chain=CHAIN, targets=(0.95, 0.98, 1.0), delta=None)
    for target in (0.95, 0.98, 1.0):
        one = policy.for_target(target)
        assert retention(stages, policy, target) >= target - 1e-9
        assert not one.certified
        assert one.delta is None
        assert one.n_labels == 600
    costs = [
        simulate(stages, [policy.for_target(t).thresholds]).cost_usd.mean() for t in (0.95, 0.98)
    ]
    assert costs[0] <= costs[1] < stages.verifier_cost.mean()


def test_enough_labels_are_certified_and_hold_on_fresh_prompts() -> None:
    policy = fit_policy(synthetic(3000), chain=CHAIN, targets=(0.95,), delta=0.1)
    (one,) = policy.profiles
    assert one.certified
    assert one.delta == 0.1
    fresh = synthetic(3000, seed=1)
    assert retention(fresh, policy, 0.95) >= 0.95
    assert simulate(fresh, [one.thresholds]).cost_usd.mean() < 0.9


def test_a_few_labels_certify_nothing() -> None:
    few = synthetic(12)
    try:
        found = certify(few, target=0.99, delta=0.05)
    except NotEnoughLabelsError as error:
        assert "label" in str(error)  # noqa: PT017  # conservative is as good an answer
    else:
        assert found == CONSERVATIVE
    policy = fit_policy(few, chain=CHAIN, targets=(0.99,), delta=0.05)
    assert not policy.profiles[0].certified
    assert policy.profiles[0].delta is None


def test_drafts_that_are_always_wrong_leave_the_verifier() -> None:
    stages = synthetic(800)
    hopeless = Stages(
        gain=np.ones_like(stages.gain) * 0.9,
        accepted=np.zeros_like(stages.accepted),
        draft_cost=stages.draft_cost,
        verifier=np.ones(800),
        verifier_cost=stages.verifier_cost,
        group=stages.group,
        assessed=stages.assessed,
    )
    policy = fit_policy(hopeless, chain=CHAIN, targets=(0.95, 1.0))
    for target in (0.95, 1.0):
        assert retention(hopeless, policy, target) >= target
    assert not policy.profiles[0].certified


@pytest.mark.parametrize("drafters", [1, 2, 3])
def test_expectations_are_shares_in_bins_of_rising_gain(drafters: int) -> None:
    stages = synthetic(500, drafters=drafters)
    policy = fit_policy(stages, chain=CHAIN, targets=(0.96,), delta=None)
    found = expectations(stages, policy.profiles[0].thresholds)
    assert found == policy.profiles[0].expectations
    gains = [one.gain for one in found]
    assert gains == sorted(set(gains))
    for one in found:
        for share in (one.accepted_first, one.accepted_later, one.accepted_pair):
            assert 0.0 <= share <= 1.0
        assert one.accepted_pair >= one.accepted_first
        assert one.retention >= 0.0
    assert found[-1].gain == pytest.approx(stages.gain[:, 0].max(), abs=1e-5)


def test_one_gain_for_all_prompts_is_one_bin() -> None:
    stages = synthetic(50)
    stages.gain[:, 0] = 0.25
    assert len(expectations(stages, CONSERVATIVE)) == 1


def test_a_fitted_policy_survives_its_file() -> None:
    policy = fit_policy(synthetic(300), chain=CHAIN, recalibration=UNCHANGED)
    stored = json.loads(json.dumps(policy.to_json(), allow_nan=False))
    assert PolicyFile.from_json(stored, where="policy.json") == policy


def test_pooled_sets_count_alike_and_keep_their_groups_apart() -> None:
    small, large = synthetic(40), synthetic(400, seed=1)
    large.verifier_cost[:] = 100.0
    large.group[:] = np.arange(400) // 2
    pooled = pool_stages([small, large], most=100)
    assert len(pooled.verifier) == len(pooled.assessed) == 140
    assert not set(pooled.group[:40].tolist()) & set(pooled.group[40:].tolist())
    assert pooled.verifier_cost[:40].mean() == pytest.approx(1.0)
    assert pooled.verifier_cost[40:].mean() == pytest.approx(1.0)
    assert math.isclose(pooled.draft_cost[40:, 0].mean(), 0.05 / 100.0)
