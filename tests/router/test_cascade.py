"""The cascade with a judge and a provider made for the test: every way an answer comes about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest

from router.cascade import CascadeResult, run_cascade
from router.errors import CascadeExhaustedError, InputError, UpstreamError
from router.policy import Assessment, Thresholds
from router.types import Draft, Query

QUERY = Query.from_prompt("What is 3 + 4?")
CHAIN = ("small", "middle", "large")
COST = {"small": 1.0, "middle": 2.0, "large": 10.0}
LIMITS = Thresholds(direct=0.5, accept_first=0.1, escalate_first=0.8, accept_later=0.2)


class MadeUpJudge:
    """Says of each model's draft what the test told it to; the verifier is right with 0.9."""

    def __init__(self, p: Mapping[str, float], *, p_first: float = 0.8) -> None:
        self._p = p
        self._p_first = p_first

    def start(self, query: Query, chain: Sequence[str]) -> Assessment:
        return Assessment(p_first=self._p_first, p_verifier=0.9)

    def assess(self, query: Query, chain: Sequence[str], drafts: Sequence[Draft]) -> Assessment:
        p_drafts = tuple(self._p[one.model or ""] for one in drafts)
        return Assessment(p_first=self._p_first, p_verifier=0.9, p_drafts=p_drafts)


class MadeUpProvider:
    """Answers with the model's name; `failing` models raise. Remembers who was asked."""

    def __init__(
        self, failing: Sequence[str] = (), costs: Mapping[str, float | None] = COST
    ) -> None:
        self.asked: list[str] = []
        self._failing = failing
        self._costs = costs

    async def complete(self, query: Query, model: str) -> Draft:
        self.asked.append(model)
        if model in self._failing:
            raise UpstreamError(f"{model} is down", model=model, provider="made up")
        return Draft(text=f"by {model}", model=model, cost_usd=self._costs[model])


async def run(
    provider: MadeUpProvider,
    p: Mapping[str, float],
    *,
    p_first: float = 0.8,
    chain: Sequence[str] = CHAIN,
    thresholds: Thresholds = LIMITS,
) -> CascadeResult:
    judge = MadeUpJudge(p, p_first=p_first)
    return await run_cascade(
        QUERY, chain=chain, thresholds=thresholds, judge=judge, provider=provider
    )


async def test_a_good_draft_is_accepted_and_nobody_else_is_asked() -> None:
    provider = MadeUpProvider()
    result = await run(provider, {"small": 0.95})
    assert (result.action, result.answer.model) == ("accepted", "small")
    assert provider.asked == ["small"]
    assert result.cost_usd == 1.0
    assert len(result.assessments) == 2


async def test_a_doubtful_draft_gets_a_second_and_the_better_is_taken() -> None:
    provider = MadeUpProvider()
    result = await run(provider, {"small": 0.75, "middle": 0.7})
    assert (result.action, result.answer.model) == ("consensus", "small")
    assert provider.asked == ["small", "middle"]
    assert result.cost_usd == 3.0
    assert len(result.drafts) == 2


async def test_drafts_that_do_not_convince_are_escalated_and_paid_for() -> None:
    provider = MadeUpProvider()
    result = await run(provider, {"small": 0.3, "middle": 0.4})
    assert (result.action, result.answer.model) == ("escalated", "large")
    assert provider.asked == list(CHAIN)
    assert result.cost_usd == 13.0


async def test_a_bad_first_draft_skips_the_other_drafters() -> None:
    provider = MadeUpProvider()
    result = await run(provider, {"small": 0.05})
    assert result.action == "escalated"
    assert provider.asked == ["small", "large"]


async def test_a_hard_query_goes_straight_to_the_verifier() -> None:
    provider = MadeUpProvider()
    result = await run(provider, {}, p_first=0.1)
    assert (result.action, result.drafts) == ("direct", ())
    assert provider.asked == ["large"]
    assert result.cost_usd == 10.0


async def test_a_lone_verifier_is_asked_directly() -> None:
    result = await run(MadeUpProvider(), {}, chain=["large"])
    assert result.action == "direct"


async def test_a_drafter_that_fails_is_left_out() -> None:
    provider = MadeUpProvider(failing=["small"])
    result = await run(provider, {"middle": 0.95})
    assert (result.action, result.answer.model) == ("accepted", "middle")
    assert provider.asked == ["small", "middle"]
    assert [one.model for one in result.attempts] == ["small"]
    assert result.cost_usd == 2.0


async def test_a_second_drafter_that_fails_leaves_the_first_draft_standing() -> None:
    provider = MadeUpProvider(failing=["middle"])
    result = await run(provider, {"small": 0.75})
    assert (result.action, result.answer.model) == ("escalated", "large")
    assert [one.model for one in result.drafts] == ["small"]


async def test_with_no_drafter_left_the_verifier_answers() -> None:
    provider = MadeUpProvider(failing=["small", "middle"])
    result = await run(provider, {})
    assert (result.action, result.answer.model) == ("direct", "large")
    assert [one.model for one in result.attempts] == ["small", "middle"]


async def test_when_all_fail_every_attempt_is_named() -> None:
    with pytest.raises(CascadeExhaustedError, match="small, middle, large") as caught:
        await run(MadeUpProvider(failing=CHAIN), {})
    assert [one.model for one in caught.value.attempts] == list(CHAIN)
    assert caught.value.model == "large"


async def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(KeyError):
        await run(MadeUpProvider(costs={}), {})


@pytest.mark.parametrize("unknown", ["small", "large"])
async def test_one_unknown_price_makes_the_cost_unknown(unknown: str) -> None:
    provider = MadeUpProvider(costs={**COST, unknown: None})
    result = await run(provider, {"small": 0.05})
    assert math.isnan(result.cost_usd)


async def test_an_empty_chain_is_refused_before_anyone_is_asked() -> None:
    provider = MadeUpProvider()
    with pytest.raises(InputError) as caught:
        await run(provider, {}, chain=[])
    assert caught.value.param == "chain"
    assert provider.asked == []
