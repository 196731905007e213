"""`CascadeAgent.get_analytics`: what was done and paid, exact against the sum of the results."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from router.agent.agent import CascadeAgent
from router.agent.analytics import AnalyticsLog
from router.agent.results import RunResult
from router.errors import CascadeExhaustedError
from router.money import to_nano, to_usd
from tests.agents import (
    ACCEPT_ALL,
    ALWAYS_PAIRS,
    DIRECT,
    REJECT_ALL,
    by_model,
    model,
    usd,
    wait_past_midnight,
)
from tests.behaviours import Received, Script
from tests.upstream import Upstream, answer, fail, hang

MakeAgent = Callable[..., CascadeAgent]
PROMPT = "What is 6 times 7?"


def odd_usage(seed: int) -> Callable[[Received], Script]:
    """The answer 42 with another usage at every call."""
    dice = random.Random(seed)

    def behave(request: Received) -> Script:
        counts = {
            "prompt_tokens": dice.randint(1, 999),
            "completion_tokens": dice.randint(1, 333),
        }
        return answer("42", usage=counts)(request)

    return behave


def total_nano(results: list[RunResult]) -> int:
    costs = [one.total_cost for one in results]
    assert None not in costs
    return sum(to_nano(cost) for cost in costs if cost is not None)


async def test_nothing_was_done_yet(make_agent: MakeAgent) -> None:
    found = make_agent().get_analytics()
    assert (found.runs, found.failed_runs, found.total_cost) == (0, 0, 0.0)
    rates = (
        found.cost_savings_pct,
        found.drafter_acceptance_rate,
        found.agreement_rate,
        found.escalation_rate,
    )
    assert rates == (None, None, None, None)
    assert found.by_model == found.by_domain == found.by_day == {}


@pytest.mark.parametrize("policy", [ACCEPT_ALL, REJECT_ALL, DIRECT, ALWAYS_PAIRS])
async def test_totals_are_the_sums_of_the_results_to_the_nano_dollar(
    make_agent: MakeAgent, upstream: Upstream, policy: Any
) -> None:
    upstream.then(odd_usage(1))
    agent = make_agent("small", "other", "large", policy=policy)
    results = await agent.run_batch([f"{PROMPT} {turn}" for turn in range(40)])
    found = agent.get_analytics()
    assert to_nano(found.total_cost) == total_nano(results)
    alone = [one.verifier_cost for one in results if one.verifier_cost is not None]
    assert to_nano(found.verifier_cost) == sum(map(to_nano, alone))
    assert found.saved_cost == to_usd(to_nano(found.verifier_cost) - to_nano(found.total_cost))
    assert found.cost_savings_pct == pytest.approx(
        100 * (1 - found.total_cost / found.verifier_cost)
    )


async def test_rates_count_what_happened(make_agent: MakeAgent, upstream: Upstream) -> None:
    agent = make_agent("small", "other", "large", policy=ALWAYS_PAIRS)
    for turn in range(3):
        assert (await agent.run(f"{PROMPT} {turn}")).action == "consensus"
    upstream.then(by_model(small=answer("a" * 50), other=answer("no"), large=answer("It is 42.")))
    wanted = {"type": "json_object"}
    assert (await agent.run(PROMPT, response_format=wanted)).action == "escalated"
    upstream.then(answer("It is 42."))
    assert (await agent.run(PROMPT, models=["large"])).action == "direct"
    assert (await agent.run(PROMPT, models=["small"])).action == "direct"
    found = agent.get_analytics()
    assert (found.runs, found.drafted_runs, found.accepted_runs) == (6, 4, 3)
    assert (found.compared_runs, found.agreed_runs) == (4, 3)
    assert (found.escalated_runs, found.direct_runs) == (1, 2)
    assert found.drafter_acceptance_rate == found.agreement_rate == 0.75
    assert found.escalation_rate == pytest.approx(1 / 6)


async def test_the_parts_by_model_domain_and_day_make_up_the_whole(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    wait_past_midnight()
    upstream.then(odd_usage(2))
    agent = make_agent()
    results = [
        await agent.run(f"{PROMPT} {turn}", domain=domain, models=models)
        for turn in range(3)
        for domain in ("MATH", "LEGAL")
        for models in (["small", "large"], ["large"])
    ]
    found = agent.get_analytics()
    assert set(found.by_model) == {"small", "large"}
    assert set(found.by_domain) == {"MATH", "LEGAL"}
    today = datetime.now(UTC).date().isoformat()
    assert list(found.by_day)[-1] == today
    for parts, key in (
        (found.by_model, lambda one: one.model_used),
        (found.by_domain, lambda one: one.domain),
        (found.by_day, lambda one: today),
    ):
        assert sum(part.runs for part in parts.values()) == found.runs == len(results)
        for name, part in parts.items():
            mine = [one for one in results if key(one) == name]
            assert part.runs == len(mine)
            assert to_nano(part.total_cost) == total_nano(mine)
    assert found.by_model["small"].drafter_acceptance_rate == 1.0
    assert found.by_model["large"].direct_runs == 6


async def test_failed_runs_and_what_they_cost_stand_apart(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=answer("No idea."), large=fail(500)))
    agent = make_agent(policy=REJECT_ALL)
    for turn in range(3):
        with pytest.raises(CascadeExhaustedError):
            await agent.run(f"{PROMPT} {turn}")
    upstream.then(answer("It is 42."))
    result = await agent.run(PROMPT)
    found = agent.get_analytics()
    assert (found.runs, found.failed_runs) == (1, 3)
    assert found.failed_cost == to_usd(3 * to_nano(usd("small")))
    assert found.total_cost == result.total_cost


async def test_a_cancelled_run_is_a_failed_one(make_agent: MakeAgent, upstream: Upstream) -> None:
    upstream.then(hang())
    agent = make_agent()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(agent.run(PROMPT), 0.05)
    assert agent.get_analytics().failed_runs == 1


async def test_runs_of_unknown_cost_are_counted_but_in_no_sum(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    strange = model("strange", upstream.url, input_cost=None, output_cost=None)
    agent = make_agent(models=[strange, model("large", upstream.url)])
    upstream.then(answer("It is 42."))
    free = await agent.run(PROMPT, models=["strange"])
    paid = await agent.run(PROMPT, models=["large"])
    found = agent.get_analytics()
    assert free.total_cost is None
    assert (found.runs, found.unpriced_runs) == (2, 1)
    assert found.total_cost == found.verifier_cost == paid.total_cost
    assert found.by_model["strange"].total_cost == 0.0
    assert found.by_model["strange"].unpriced_runs == 1
    assert found.by_model["strange"].cost_savings_pct is None


def test_results_of_several_threads_are_all_counted(engine: Any, upstream: Upstream) -> None:
    upstream.then(odd_usage(3))
    models = [model(name, upstream.url) for name in ("small", "large")]
    with (
        CascadeAgent(models=models, policy=ACCEPT_ALL, engine=engine) as agent,
        ThreadPoolExecutor(8) as pool,
    ):
        results = list(pool.map(agent.run_sync, [f"{PROMPT} {turn}" for turn in range(64)]))
        found = agent.get_analytics()
    assert found.runs == 64
    assert to_nano(found.total_cost) == total_nano(results)


async def test_a_log_that_threads_share_loses_no_count(make_agent: MakeAgent) -> None:
    result = await make_agent().run(PROMPT)
    log = AnalyticsLog()

    def add(_: int) -> None:
        log.add(result, day="2026-11-24")
        log.add_failure(0.001)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(500)))
    found = log.snapshot()
    assert (found.runs, found.failed_runs) == (500, 500)
    assert result.total_cost is not None
    assert to_nano(found.total_cost) == 500 * to_nano(result.total_cost)
    assert found.failed_cost == 0.5


async def test_a_snapshot_is_json_and_stays_as_it_was(make_agent: MakeAgent) -> None:
    agent = make_agent()
    await agent.run(PROMPT)
    found = agent.get_analytics()
    written = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    await agent.run(PROMPT)
    assert found.runs == written["runs"] == 1
    assert written["drafter_acceptance_rate"] == 1.0
    assert written["total_cost"] == found.total_cost == usd("small")
    assert written["by_model"]["small"]["runs"] == 1
    assert written["by_model"]["small"]["cost_savings_pct"] == pytest.approx(90.0)
    assert next(iter(written["by_day"].values()))["escalation_rate"] == 0.0


async def test_drafts_that_disagree_are_not_counted_as_agreeing(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    plays = by_model(small=answer("The answer is 41."), other=answer("The answer is 42."))
    upstream.then(plays)
    agent = make_agent("small", "other", "large", policy=ALWAYS_PAIRS)
    result = await agent.run(PROMPT)
    assert (result.action, result.drafts_agree) == ("consensus", False)
    assert agent.get_analytics().agreement_rate == 0.0


async def test_what_each_model_cost_is_told_whoever_answered(make_agent: MakeAgent) -> None:
    agent = make_agent(policy=REJECT_ALL)
    await agent.run(PROMPT)
    spent = agent.get_analytics().spent_by_model
    assert {name: (one.calls, one.cost) for name, one in spent.items()} == {
        "small": (1, usd("small")),
        "large": (1, usd("large")),
    }
