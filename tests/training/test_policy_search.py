"""The threshold search takes the very same decisions as the cascade, and keeps its own promises."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.policy import CONSERVATIVE, Assessment, Thresholds
from router.types import Draft, Query
from training.policy_search import conservative_order, pick_cheapest, propose, simulate
from training.replay import ReplaySet, Stages, collect_stages, replay

NAMES = ("small", "middle", "large", "verifier")


class TableJudge:
    """Gives one prompt's assessments from a table: by the number of drafts made."""

    def __init__(self, stages: Sequence[Assessment]) -> None:
        self._stages = stages

    def start(self, query: Query, chain: Sequence[str]) -> Assessment:
        return self._stages[0]

    def assess(self, query: Query, chain: Sequence[str], drafts: Sequence[Draft]) -> Assessment:
        return self._stages[len(drafts)]


# Few distinct values, so that ties and gains equal to a threshold are common.
PROBABILITY = st.sampled_from([0.0, 0.25, 0.5, 0.5000001, 0.75, 1.0])
LIMIT = st.one_of(
    st.sampled_from([-math.inf, math.inf, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75]),
    st.floats(-1.0, 1.0, allow_nan=False),
)


@st.composite
def assessed_sets(draw: st.DrawFn) -> tuple[ReplaySet, list[TableJudge]]:
    n_drafters = draw(st.integers(1, 3))
    n = draw(st.integers(1, 8))
    judges = []
    for _ in range(n):
        stages = []
        for made in range(n_drafters + 1):
            p_drafts = tuple(draw(PROBABILITY) for _ in range(made))
            first, verifier = draw(PROBABILITY), draw(PROBABILITY)
            stages.append(Assessment(p_first=first, p_verifier=verifier, p_drafts=p_drafts))
        judges.append(TableJudge(stages))
    seed = draw(st.integers(0, 2**31))
    return make_set(n, n_drafters, seed), judges


def make_set(n: int, n_drafters: int, seed: int) -> ReplaySet:
    generator = np.random.default_rng(seed)
    chain = (*NAMES[:n_drafters], NAMES[-1])
    correct = generator.integers(0, 2, (n, n_drafters + 1)).astype(np.float64)
    cost = generator.integers(1, 1000, correct.shape) / 1024.0  # sums are exact
    drafts = tuple(
        tuple(
            Draft(text="an answer", model=name, cost_usd=float(cost[i, j]))
            for j, name in enumerate(chain)
        )
        for i in range(n)
    )
    return ReplaySet(
        name="made up",
        chain=chain,
        rows=np.zeros(correct.shape, dtype=np.int64),
        group=np.arange(n, dtype=np.int64),
        correct=correct,
        cost_usd=cost,
        drafts=drafts,
        queries=tuple(Query.from_prompt(f"question {i}") for i in range(n)),
    )


@settings(max_examples=200, deadline=None)
@given(assessed_sets(), st.lists(st.tuples(LIMIT, LIMIT, LIMIT, LIMIT), min_size=1, max_size=4))
def test_the_search_decides_as_the_cascade_does(
    case: tuple[ReplaySet, list[TableJudge]], limits: list[tuple[float, float, float, float]]
) -> None:
    data, judges = case
    policies = [
        Thresholds(direct=d, accept_first=a, escalate_first=e, accept_later=b)
        for d, a, e, b in limits
    ]
    simulated = simulate(collect_stages(data, judges), policies)
    for number, policy in enumerate(policies):
        _, quality, cost = replay(data, judges, policy)
        np.testing.assert_array_equal(simulated.quality[number], quality)
        np.testing.assert_allclose(simulated.cost_usd[number], cost, rtol=1e-12)


def test_an_exact_tie_with_a_threshold_accepts_and_does_not_go_direct() -> None:
    data = make_set(1, 1, seed=0)
    stages = [Assessment(p_first=0.5, p_verifier=0.75)]
    stages.append(Assessment(p_first=0.5, p_verifier=0.75, p_drafts=(0.5,)))
    policy = Thresholds(direct=0.25, accept_first=0.25, escalate_first=0.25, accept_later=0.0)
    results, _, _ = replay(data, [TableJudge(stages)], policy)
    assert results[0].action == "accepted"


def test_the_conservative_policy_always_asks_the_verifier_alone() -> None:
    data = make_set(5, 2, seed=1)
    stages = made_up_stages(5, 2, seed=1)
    done = simulate(stages, [CONSERVATIVE])
    np.testing.assert_array_equal(done.quality[0], stages.verifier)
    np.testing.assert_array_equal(done.cost_usd[0], stages.verifier_cost)
    assert len(data) == 5


def made_up_stages(n: int, n_drafters: int, seed: int) -> Stages:
    generator = np.random.default_rng(seed)
    accepted = generator.integers(0, 2, (n, n_drafters)).astype(np.float64)
    return Stages(
        gain=generator.uniform(-0.5, 1.0, (n, n_drafters + 1)),
        accepted=accepted,
        draft_cost=np.cumsum(generator.uniform(0.1, 0.2, (n, n_drafters)), axis=1),
        verifier=generator.integers(0, 2, n).astype(np.float64),
        verifier_cost=generator.uniform(1.0, 2.0, n),
        group=np.arange(n, dtype=np.int64),
        assessed=(),
    )


@pytest.mark.parametrize("n_drafters", [1, 2, 3])
def test_proposals_are_distinct_consistent_and_hold_the_verifier_alone_or_nearly(
    n_drafters: int,
) -> None:
    policies = propose(made_up_stages(60, n_drafters, seed=2), steps=6)
    assert len(set(policies)) == len(policies)
    assert all(one.accept_first <= one.escalate_first for one in policies)
    assert any(one.accept_first == one.accept_later == -math.inf for one in policies)


def test_the_cheapest_policy_on_target_is_picked_or_the_best_where_none_is() -> None:
    stages = made_up_stages(200, 2, seed=3)
    simulated = simulate(stages, propose(stages, steps=8))
    total = stages.verifier.sum()
    for target in (0.5, 0.9, 1.0):
        picked = pick_cheapest(simulated, stages, target=target)
        on_target = simulated.quality.sum(axis=1) / total >= target - 1e-12
        assert on_target[picked]
        cost = simulated.cost_usd.sum(axis=1)
        assert cost[picked] == cost[on_target].min()
    beyond = pick_cheapest(simulated, stages, target=5.0)
    assert simulated.quality[beyond].sum() == simulated.quality.sum(axis=1).max()


def test_conservative_chains_only_ever_accept_more() -> None:
    stages = made_up_stages(100, 2, seed=4)
    simulated = simulate(stages, propose(stages, steps=8))
    chains = conservative_order(simulated)
    assert chains
    for chain in chains:
        policies = [simulated.thresholds[i] for i in chain]
        for before, after in itertools.pairwise(policies):
            assert before.accept_first <= after.accept_first
            assert before.accept_later <= after.accept_later
