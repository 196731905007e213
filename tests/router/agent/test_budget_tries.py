"""Every HTTP call has a reservation of its own: tries that were cut off are paid for, each."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from router.agent.agent import CascadeAgent
from router.budget import upper_bound_tokens
from router.chat import ChatRequest
from router.config import BudgetConfig, ModelConfig
from router.errors import BudgetExceededError, CascadeExhaustedError, InputError
from router.money import to_nano
from router.store.sqlite_ledger import SqliteLedger
from tests.agents import ALWAYS_PAIRS, COSTS, by_model, model, usd, wait_past_midnight
from tests.upstream import Upstream, answer, cut, fail

MakeAgent = Callable[..., CascadeAgent]
PROMPT = "What is 6 times 7?"


def bound_nano(name: str) -> int:
    per_input, per_output = COSTS[name]
    return to_nano(
        (upper_bound_tokens(ChatRequest.of(PROMPT, {})) * per_input + 1000 * per_output) / 1e6
    )


def settled_nano(store: Path) -> int:
    ledger = SqliteLedger(store)
    found = ledger.balance("daily", now=time.time())
    ledger.close()
    assert found.reserved_nano == 0
    return found.settled_nano


@pytest.fixture
def store(tmp_path: Path) -> Path:
    wait_past_midnight()
    return tmp_path / "ledger.db"


def retrying(upstream: Upstream, tries: int) -> ModelConfig:
    return model("small", upstream.url, max_retries=tries - 1)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.providers.client.backoff_s", lambda *_, **__: 0.0)


async def test_a_try_that_was_cut_off_is_paid_for_beside_the_one_that_answered(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    upstream.then(cut(answer("It is 42.")), answer("It is 42."))
    budget = BudgetConfig(daily_limit=1.0, store=store)
    result = await make_agent(models=[retrying(upstream, 2)], budget=budget).run(PROMPT)
    assert settled_nano(store) == bound_nano("small") + to_nano(usd("small"))
    assert result.total_cost == pytest.approx(usd("small"))
    assert result.warnings == ("small: calls cut off, at a cost that is not known: 1",)


async def test_so_are_all_when_none_answers(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    upstream.then(cut(answer("It is 42.")))
    budget = BudgetConfig(daily_limit=1.0, store=store)
    with pytest.raises(CascadeExhaustedError):
        await make_agent(models=[retrying(upstream, 3)], budget=budget).run(PROMPT)
    assert settled_nano(store) == 3 * bound_nano("small")


async def test_a_retry_that_does_not_fit_is_not_made(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    upstream.then(cut(answer("It is 42.")))
    budget = BudgetConfig(daily_limit=1.5 * bound_nano("small") / 1e9, store=store)
    with pytest.raises(BudgetExceededError):
        await make_agent(models=[retrying(upstream, 3)], budget=budget).run(PROMPT)
    assert len(upstream.requests) == 1


async def test_a_service_tier_is_reserved_and_paid_at_its_own_price(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    upstream.then(answer("It is 42."))
    config = ModelConfig(name="gpt-4o", api_base=upstream.url, max_tokens=1000)
    plain = await make_agent(models=[config]).run(PROMPT)
    tier = {"service_tier": "priority"}
    dear = await make_agent(models=[config]).run(PROMPT, **tier)
    configured = config.model_copy(update={"params": tier})
    dear_too = await make_agent(models=[configured]).run(PROMPT)
    assert plain.total_cost is not None
    assert dear.total_cost is not None
    assert dear.total_cost > 1.5 * plain.total_cost
    assert dear_too.total_cost == dear.total_cost == dear.verifier_cost
    limit = BudgetConfig(daily_limit=0.012, store=store)  # enough for the plain tier's bound
    await make_agent(models=[config], budget=limit).run(PROMPT)
    with pytest.raises(BudgetExceededError):
        await make_agent(models=[config], budget=limit).run(PROMPT, **tier)


async def test_a_draft_in_hand_is_not_lost_when_the_second_drafter_does_not_fit(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    limit = (1.2 * bound_nano("small") + to_nano(usd("small"))) / 1e9
    budget = BudgetConfig(daily_limit=limit, store=store, action="drafters_only")
    agent = make_agent("small", "other", "large", budget=budget, policy=ALWAYS_PAIRS)
    result = await agent.run(PROMPT)
    assert (result.action, result.model_used) == ("rejected_draft", "small")


async def test_what_was_paid_counts_even_if_it_cannot_be_settled(
    make_agent: MakeAgent, upstream: Upstream, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent(budget=BudgetConfig(daily_limit=1.0, store=store))

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(SqliteLedger, "settle", refuse)
    with pytest.raises(RuntimeError):
        await agent.run(PROMPT)
    assert agent.get_analytics().failed_cost == pytest.approx(usd("small"))


async def test_a_refused_try_costs_nothing(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    upstream.then(by_model(small=fail(401)))
    budget = BudgetConfig(daily_limit=1.0, store=store)
    with pytest.raises(CascadeExhaustedError):
        await make_agent(models=[retrying(upstream, 2)], budget=budget).run(PROMPT)
    assert settled_nano(store) == 0


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_out_of_all_bounds_is_named(
    make_agent: MakeAgent, upstream: Upstream, store: Path, field: str
) -> None:
    agent = make_agent(budget=BudgetConfig(daily_limit=1.0, store=store))
    with pytest.raises(InputError, match=f"'{field}' is too large") as caught:
        await agent.run(PROMPT, **{field: 10**15})
    assert caught.value.param == field
    assert upstream.requests == []
    assert settled_nano(store) == 0
