"""Plans: who is asked in which order, what is left out, and what it is expected to cost."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from router.abilities import Abilities, Ability, prior_features
from router.artifact import Artifact
from router.errors import InputError
from router.planner import MAX_DRAFTERS, Planner, plan_chain
from router.policy import Thresholds
from router.profiles import Expectation, PolicyFile, Profile
from router.types import Prediction

# name: (bias, USD per 1M input tokens, per 1M output tokens)
MODELS: dict[str, tuple[float, float | None, float | None]] = {
    "tiny": (-1.0, 0.1, 0.1),
    "small": (0.0, 0.2, 0.4),
    "middle": (1.0, 1.0, 2.0),
    "large": (2.0, 5.0, 10.0),
    "dear": (1.5, 9.0, 30.0),
    "free": (0.5, None, None),
}


def abilities() -> Abilities:
    known = {
        name: Ability(
            name=name,
            theta=(0.0,),
            bias=bias,
            verbosity=0.0,
            input_cost=cost_in,
            output_cost=cost_out,
            n_labels=100,
        )
        for name, (bias, cost_in, cost_out) in MODELS.items()
    }
    n = len(prior_features("", None, None))
    return Abilities(known=known, aliases={}, weights=np.zeros((n, 3)), covariance=np.eye(2))


def planner(
    *, direct: float = 0.5, first: float = 0.7, chain: tuple[str, ...] = ("small", "large")
) -> Planner:
    expected = Expectation(
        gain=1.0, accepted_first=first, accepted_later=0.5, accepted_pair=0.9, retention=0.98
    )
    one = Profile(
        target=0.98,
        thresholds=Thresholds(
            direct=direct, accept_first=0.1, escalate_first=0.9, accept_later=0.1
        ),
        expectations=(expected,),
        certified=False,
        delta=None,
        n_labels=10,
    )
    artifact = Artifact(version="made-up", root=Path("nowhere"), manifest={"files": {}})
    policy = PolicyFile(chain=chain, profiles=(one,))
    return Planner(artifact, policy=policy, abilities=abilities())


def prediction(**p_success: float) -> Prediction:
    return Prediction(
        domain="MATH",
        domain_confidence=0.9,
        domains={"MATH": 1.0},
        p_success={**dict.fromkeys(MODELS, 0.8), "unheard-of": 0.8, **p_success},
        p_typical=0.7,
        output_tokens={**dict.fromkeys(MODELS, 100.0), "unheard-of": 100.0},
        input_tokens=1000.0,
        embedding=np.zeros(4, dtype=np.float32),
        artifact="made-up",
    )


# 1000 tokens in, 100 out, in USD
COST = {"tiny": 110e-6, "small": 240e-6, "middle": 1200e-6, "large": 6000e-6}


@pytest.mark.parametrize(
    ("models", "chain"),
    [
        (["large", "small"], ("small", "large")),
        (["large", "tiny", "middle", "small"], ("tiny", "small", "middle", "large")),
        (["large", "dear", "small"], ("small", "large")),  # dearer than the ablest: no saving
        (["dear"], ("dear",)),
        (["small", "small", "large"], ("small", "large")),
        (["dear", "small"], ("small", "dear")),
        (["large", "free", "small"], ("small", "free", "large")),  # ability where a price lacks
    ],
)
def test_a_chain_runs_from_cheap_to_dear_and_ends_in_the_ablest(
    models: list[str], chain: tuple[str, ...]
) -> None:
    assert planner().chain(prediction(), models) == chain


def test_of_many_drafters_the_most_promising_stay() -> None:
    many = ["free", "tiny", "small", "middle", "large"]
    chain = planner().chain(prediction(tiny=0.1), many)
    assert len(chain) == MAX_DRAFTERS + 1
    assert "tiny" not in chain
    assert chain[-1] == "large"


def test_a_sure_gain_goes_direct() -> None:
    plan = planner().plan(prediction(small=0.1, large=0.9))
    assert plan.action == "direct"
    assert plan.models == ("large",)
    assert plan.expected_cost_usd == pytest.approx(COST["large"])
    assert plan.expected_quality == 0.9


def test_a_lone_model_is_asked_directly() -> None:
    plan = planner(direct=math.inf).plan(prediction(), models=["tiny"])
    assert (plan.action, plan.models) == ("direct", ("tiny",))


def test_drafting_costs_the_draft_and_what_escalates() -> None:
    plan = planner().plan(prediction())
    assert (plan.action, plan.models) == ("draft", ("small", "large"))
    assert plan.expected_cost_usd == pytest.approx(COST["small"] + 0.3 * COST["large"])
    assert plan.expected_quality == pytest.approx(0.98 * 0.8)


def test_a_further_drafter_is_paid_only_when_the_first_is_not_accepted() -> None:
    plan = planner().plan(prediction(), models=["large", "middle", "small"])
    assert plan.action == "draft"
    later = COST["middle"] + 0.5 * COST["large"]
    assert plan.expected_cost_usd == pytest.approx(COST["small"] + 0.3 * later)


def test_two_drafts_at_once_where_one_is_hardly_ever_enough() -> None:
    plan = planner(first=0.1).plan(prediction(), models=["large", "middle", "small"])
    assert plan.action == "consensus"
    both = COST["small"] + COST["middle"]
    assert plan.expected_cost_usd == pytest.approx(both + 0.1 * COST["large"])
    alone = planner(first=0.1).plan(prediction(), models=["large", "small"])
    assert alone.action == "draft"


def test_an_unknown_price_gives_an_unknown_cost() -> None:
    for models in (["free", "large"], ["small", "unheard-of", "large"]):
        plan = planner().plan(prediction(), models=models)
        assert math.isnan(plan.expected_cost_usd)
        assert 0.0 <= plan.expected_quality <= 1.0


def test_no_models_at_all_is_an_error_that_names_the_field() -> None:
    with pytest.raises(InputError) as caught:
        planner().plan(prediction(), models=[])
    assert caught.value.param == "models"


def test_a_target_outside_the_range_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        planner().plan(prediction(), target_quality=97.0)
    assert caught.value.param == "target_quality"


def test_a_conversation_that_escalated_stays_with_the_verifier() -> None:
    profile, costs = planner().policy.profiles[0], COST
    before = prediction(small=0.6, large=0.85)
    fresh = plan_chain(before, ("small", "large"), costs=costs, profile=profile)
    known = plan_chain(before, ("small", "large"), costs=costs, profile=profile, steady=True)
    assert (fresh.action, known.action) == ("draft", "direct")


def test_it_goes_back_to_drafts_that_look_good_enough_at_once() -> None:
    profile, easy = planner().policy.profiles[0], prediction(small=0.9, large=0.9)
    found = plan_chain(easy, ("small", "large"), costs=COST, profile=profile, steady=True)
    assert found.action == "draft"


def test_but_not_when_the_verifiers_prompt_cache_makes_that_dearer() -> None:
    profile, easy = planner().policy.profiles[0], prediction(small=0.9, large=0.9)
    cached = {**COST, "large": COST["small"] * 1.1}
    found = plan_chain(easy, ("small", "large"), costs=cached, profile=profile, steady=True)
    assert found.action == "direct"
    assert found.expected_cost_usd == cached["large"]
