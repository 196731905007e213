"""The cascade with a judge and a provider made for the test: every way an answer comes about."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from router.cascade import CascadeResult, run_cascade
from router.errors import BudgetExceededError, CascadeExhaustedError, InputError, UpstreamError
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
) -> CascadeResult[Draft]:
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
    with pytest.raises(CascadeExhaustedError, match=r"small .*, middle .*, large") as caught:
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


class SlowProvider(MadeUpProvider):
    """Answers when all the drafters that should be under way at once are."""

    def __init__(self, together: int, failing: Sequence[str] = ()) -> None:
        super().__init__(failing)
        self._together = together
        self._met = asyncio.Event()

    async def complete(self, query: Query, model: str) -> Draft:
        self.asked.append(model)
        if len(self.asked) >= self._together:
            self._met.set()
        await asyncio.wait_for(self._met.wait(), 5)
        self.asked.pop()
        return await super().complete(query, model)


async def side_by_side(provider: MadeUpProvider, p: Mapping[str, float]) -> CascadeResult[Draft]:
    return await run_cascade(
        QUERY,
        chain=CHAIN,
        thresholds=LIMITS,
        judge=MadeUpJudge(p),
        provider=provider,
        at_once=2,
    )


async def test_drafts_of_a_consensus_are_made_side_by_side_and_judged_together() -> None:
    result = await side_by_side(SlowProvider(together=2), {"small": 0.75, "middle": 0.7})
    assert (result.action, result.answer.model) == ("consensus", "small")
    assert [len(one.p_drafts) for one in result.assessments] == [0, 2]


async def test_one_of_a_consensus_that_fails_does_not_take_the_other_along() -> None:
    result = await side_by_side(SlowProvider(2, failing=["small"]), {"middle": 0.95})
    assert (result.action, result.answer.model) == ("accepted", "middle")
    assert [one.model for one in result.attempts] == ["small"]


async def test_who_gives_up_waiting_cancels_the_calls_under_way() -> None:
    cancelled: list[str] = []

    class Endless(MadeUpProvider):
        async def complete(self, query: Query, model: str) -> Draft:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(model)
                raise
            raise AssertionError

    task = asyncio.create_task(side_by_side(Endless(), {}))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(cancelled) == ["middle", "small"]


class VetoJudge(MadeUpJudge):
    """Lets no draft of `vetoed` models be the answer."""

    def __init__(self, p: Mapping[str, float], vetoed: Sequence[str]) -> None:
        super().__init__(p)
        self._vetoed = vetoed

    def assess(self, query: Query, chain: Sequence[str], drafts: Sequence[Draft]) -> Assessment:
        found = super().assess(query, chain, drafts)
        numbers = frozenset(i for i, one in enumerate(drafts) if one.model in self._vetoed)
        return replace(found, vetoed=numbers)


async def with_vetoes(
    provider: MadeUpProvider,
    p: Mapping[str, float],
    vetoed: Sequence[str] = (),
    *,
    thresholds: Thresholds = LIMITS,
    allowed: bool = True,
) -> CascadeResult[Draft]:
    return await run_cascade(
        QUERY,
        chain=CHAIN,
        thresholds=thresholds,
        judge=VetoJudge(p, vetoed),
        provider=provider,
        settle_for_draft=lambda error: allowed,
    )


async def test_a_rejected_draft_is_never_returned_when_the_verifier_fails() -> None:
    provider = MadeUpProvider(failing=["large"])
    with pytest.raises(CascadeExhaustedError, match=r"failed: large \(made up"):
        await with_vetoes(provider, {"small": 0.3, "middle": 0.4}, allowed=False)


async def test_a_rejected_draft_stands_in_only_where_that_is_allowed_and_is_marked() -> None:
    provider = MadeUpProvider(failing=["large"])
    result = await with_vetoes(provider, {"small": 0.3, "middle": 0.4})
    assert (result.action, result.answer.model) == ("rejected_draft", "middle")
    assert [one.model for one in result.attempts] == ["large"]


async def test_a_vetoed_draft_does_not_stand_in_either() -> None:
    provider = MadeUpProvider(failing=["large"])
    with pytest.raises(CascadeExhaustedError):
        await with_vetoes(provider, {"small": 0.3, "middle": 0.4}, vetoed=CHAIN)


class PoorProvider(MadeUpProvider):
    """Has no money left for the models of `dear`."""

    def __init__(self, dear: Sequence[str]) -> None:
        super().__init__()
        self._dear = dear

    async def complete(self, query: Query, model: str) -> Draft:
        if model in self._dear:
            self.asked.append(model)
            raise BudgetExceededError(
                "spent", scope="daily", limit_usd=1.0, spent_usd=1.0, resets_in_s=60.0
            )
        return await super().complete(query, model)


async def test_without_money_for_the_verifier_drafters_go_on_where_that_is_allowed() -> None:
    provider = PoorProvider(["large"])
    direct = replace(LIMITS, direct=-1.0)
    result = await with_vetoes(provider, {"small": 0.3}, thresholds=direct)
    assert (result.action, result.answer.model) == ("rejected_draft", "small")
    assert provider.asked == ["large", "small"]
    with pytest.raises(BudgetExceededError):
        await with_vetoes(provider, {"small": 0.3}, thresholds=direct, allowed=False)


async def test_without_money_for_a_drafter_nobody_is_asked() -> None:
    provider = PoorProvider(CHAIN)
    with pytest.raises(BudgetExceededError):
        await with_vetoes(provider, {})
    assert provider.asked == ["small"]


async def test_whoever_watches_is_told_of_every_assessment_and_what_follows() -> None:
    seen: list[tuple[int, str]] = []
    await run_cascade(
        QUERY,
        chain=CHAIN,
        thresholds=LIMITS,
        judge=MadeUpJudge({"small": 0.75, "middle": 0.2}),
        provider=MadeUpProvider(),
        watch=lambda assessment, drafts, step: seen.append((len(drafts), step.kind)),
    )
    assert seen == [(1, "draft"), (2, "accept")]
