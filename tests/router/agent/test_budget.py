"""What an agent may spend: calls are refused before they are made, and nothing is spent unseen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from router.agent.agent import CascadeAgent
from router.agent.events import ErrorEvent, StreamEvent
from router.budget import upper_bound_tokens
from router.chat import ChatRequest
from router.config import BudgetConfig, BudgetStatus
from router.errors import BudgetExceededError, CascadeExhaustedError, ConfigError, UpstreamError
from router.money import to_nano
from router.store.ledger import Balance
from router.store.sqlite_ledger import SqliteLedger
from tests.agents import (
    ACCEPT_ALL,
    ALWAYS_PAIRS,
    COSTS,
    DIRECT,
    REJECT_ALL,
    by_model,
    model,
    usd,
    wait_past_midnight,
)
from tests.behaviours import Behaviour
from tests.upstream import Upstream, answer, cut, fail, hang, hang_midway, refused_url

MakeAgent = Callable[..., CascadeAgent]
PROMPT = "What is 6 times 7?"
WRITTEN = 1000  # the most tokens that the fixture's models write


def bound_usd(name: str, prompt: str = PROMPT, written: int = WRITTEN, **params: Any) -> float:
    """What a call may cost at most."""
    per_input, per_output = COSTS[name]
    read = upper_bound_tokens(ChatRequest.of(prompt, params))
    return (read * per_input + written * per_output) / 1e6


@pytest.fixture
def store(tmp_path: Path) -> Path:
    wait_past_midnight()
    return tmp_path / "ledger.db"


def balance(store: Path, **more: Any) -> Balance:
    ledger = SqliteLedger(store)
    found = ledger.balance(more.pop("scope", "daily"), now=time.time(), **more)
    ledger.close()
    return found


async def test_a_call_that_does_not_fit_is_refused_before_it_is_made(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    told: list[BudgetStatus] = []
    limit = bound_usd("small") * 0.9
    budget = BudgetConfig(daily_limit=limit, store=store, on_limit_exceeded=told.append)
    agent = make_agent(budget=budget)
    with pytest.raises(BudgetExceededError, match="daily limit") as caught:
        await agent.run(PROMPT)
    error = caught.value
    assert upstream.requests == []
    assert (error.scope, error.limit_usd, error.spent_usd) == ("daily", pytest.approx(limit), 0.0)
    assert 0 < error.resets_in_s <= 86_400
    (status,) = told  # once, as the dearer verifier is not tried then
    assert (status.scope, status.limit_usd, status.spent_usd) == ("daily", pytest.approx(limit), 0)
    assert PROMPT not in str(error)
    assert agent.get_analytics().failed_runs == 1
    assert balance(store).taken_nano == 0


async def test_a_refusal_ends_a_stream_like_any_error(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    agent = make_agent(budget=BudgetConfig(monthly_limit=1e-6, store=store))
    events: list[StreamEvent] = []
    with pytest.raises(BudgetExceededError, match="monthly limit"):  # noqa: PT012
        async for event in agent.stream(PROMPT):
            events.append(event)
    assert isinstance(events[-1], ErrorEvent)
    assert upstream.requests == []


async def test_what_on_limit_exceeded_raises_reaches_the_caller(
    make_agent: MakeAgent, store: Path
) -> None:
    class NoMoneyError(Exception):
        pass

    async def refuse(status: BudgetStatus) -> None:
        raise NoMoneyError(status.scope)

    budget = BudgetConfig(daily_limit=1e-6, store=store, on_limit_exceeded=refuse)
    for policy in (ACCEPT_ALL, ALWAYS_PAIRS):
        with pytest.raises(NoMoneyError, match="daily") as caught:
            await make_agent("small", "other", "large", budget=budget, policy=policy).run(PROMPT)
        assert isinstance(caught.value.__context__, BudgetExceededError)
    with pytest.raises(NoMoneyError, match="daily"):
        await make_agent(budget=budget).run_batch([PROMPT, PROMPT])


async def test_drafters_only_goes_on_with_drafts_and_marks_them(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    limit = bound_usd("small") * 1.5
    budget = BudgetConfig(daily_limit=limit, store=store, action="drafters_only")
    escalating = await make_agent(budget=budget, policy=REJECT_ALL).run(PROMPT)
    assert (escalating.action, escalating.draft_accepted) == ("rejected_draft", False)
    assert (escalating.model_used, escalating.content) == (
        "small",
        "It is small, the answer is 42.",
    )
    direct = await make_agent(budget=budget, policy=DIRECT).run(PROMPT)
    assert (direct.action, direct.model_used) == ("rejected_draft", "small")
    assert [body["model"] for body in upstream.bodies] == ["small", "small"]
    refusing = make_agent(budget=budget.model_copy(update={"action": "refuse"}), policy=DIRECT)
    with pytest.raises(BudgetExceededError):
        await refusing.run(PROMPT)


async def test_drafters_only_never_returns_a_draft_that_must_not_be_the_answer(
    make_agent: MakeAgent, store: Path
) -> None:
    limit = bound_usd("small", response_format={"type": "json_object"}) * 1.5
    budget = BudgetConfig(daily_limit=limit, store=store, action="drafters_only")
    with pytest.raises(BudgetExceededError):
        await make_agent(budget=budget).run(PROMPT, response_format={"type": "json_object"})


async def test_limits_survive_the_agent(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    limit = bound_usd("small") + 1.5 * usd("small")
    budget = BudgetConfig(daily_limit=limit, store=store)
    first = make_agent(budget=budget)
    for _ in range(2):
        await first.run(PROMPT)
    await first.aclose()
    with pytest.raises(BudgetExceededError) as caught:
        await make_agent(budget=budget).run(PROMPT)
    assert caught.value.spent_usd == pytest.approx(2 * usd("small"))
    assert len(upstream.requests) == 2


async def test_users_have_limits_of_their_own(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    budget = BudgetConfig(per_user_daily_limit=bound_usd("small") * 1.2, store=store)
    agent = make_agent("small", budget=budget)
    answers = 0
    with pytest.raises(BudgetExceededError) as caught:  # noqa: PT012
        for answers in range(100):  # noqa: B007
            await agent.run(PROMPT, user_id="ann")
    assert caught.value.scope == "user_daily"
    assert answers > 0
    assert len(upstream.requests) == answers
    with pytest.raises(BudgetExceededError):
        await agent.run(PROMPT, user="ann")  # OpenAI's own parameter names the same user
    await agent.run(PROMPT, user="bob")
    assert upstream.bodies[-1]["user"] == "bob"
    await agent.run(PROMPT, user="ann", user_id="cid")
    await agent.run(PROMPT)
    assert balance(store, scope="user_daily", user="cid").settled_nano == to_nano(usd("small"))


async def test_64_runs_at_once_never_overspend(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    one_call = bound_usd("small", written=100, max_tokens=100)
    limit = 12 * one_call
    agent = make_agent("small", budget=BudgetConfig(daily_limit=limit, store=store))
    costs: list[float] = []

    async def run_until_refused() -> None:
        while True:
            try:
                result = await agent.run(PROMPT, max_tokens=100)
            except BudgetExceededError:
                return
            assert result.total_cost is not None
            costs.append(result.total_cost)
            assert balance(store).taken_nano <= to_nano(limit)

    await asyncio.gather(*(run_until_refused() for _ in range(64)))
    end = balance(store)
    assert end.reserved_nano == 0
    assert end.settled_nano == sum(map(to_nano, costs)) <= to_nano(limit)
    assert end.settled_nano == to_nano(agent.get_analytics().total_cost)
    assert to_nano(limit) - end.settled_nano < to_nano(one_call)


@pytest.mark.parametrize("policy", [ACCEPT_ALL, REJECT_ALL, DIRECT, ALWAYS_PAIRS])
async def test_the_ledger_holds_what_the_results_say(
    make_agent: MakeAgent, upstream: Upstream, store: Path, policy: Any
) -> None:
    agent = make_agent(
        "small", "other", "large", policy=policy, budget=BudgetConfig(daily_limit=1.0, store=store)
    )
    upstream.then(
        by_model(
            small=answer("42", usage={"prompt_tokens": 7, "completion_tokens": 3}),
            other=answer("42", usage={"prompt_tokens": 111, "completion_tokens": 1}),
            large=answer("It is 42."),
        )
    )
    results = [await agent.run(f"{PROMPT} {turn}", user_id="ann") for turn in range(5)]
    costs = [to_nano(one.total_cost) for one in results if one.total_cost is not None]
    assert len(costs) == 5
    found = balance(store)
    assert (found.settled_nano, found.reserved_nano) == (sum(costs), 0)
    assert balance(store, scope="monthly").settled_nano == sum(costs)
    assert balance(store, scope="user_daily", user="ann").settled_nano == sum(costs)


@pytest.mark.parametrize("stream", [False, True], ids=["run", "stream"])
async def test_a_cancelled_call_counts_as_what_it_may_have_cost(
    make_agent: MakeAgent, upstream: Upstream, store: Path, stream: bool
) -> None:
    upstream.then(hang_midway(answer()))
    agent = make_agent("small", budget=BudgetConfig(daily_limit=1.0, store=store))

    async def ask() -> None:
        if not stream:
            await agent.run(PROMPT)
        async for _ in agent.stream(PROMPT):
            pass

    task = asyncio.create_task(ask())
    while not upstream.requests:
        await asyncio.sleep(0.005)
    assert balance(store).reserved_nano == to_nano(bound_usd("small"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = balance(store)
    assert (found.settled_nano, found.reserved_nano) == (to_nano(bound_usd("small")), 0)


@pytest.mark.parametrize(
    ("bad", "counts"),
    [
        (fail(401), False),
        (fail(404), False),
        (fail(429, retry_after="120"), False),
        (fail(500), False),
        (None, False),
        (cut(answer()), True),
        (answer(None), True),
        (hang(), True),
    ],
    ids=["401", "404", "429", "500", "refused", "cut", "empty", "hang"],
)
async def test_a_refused_call_costs_nothing_and_a_broken_one_may_have(
    make_agent: MakeAgent, upstream: Upstream, store: Path, bad: Behaviour | None, counts: bool
) -> None:
    upstream.then(bad or answer())
    timeout = {"first_token_s": 0.1, "total_s": 0.1}
    one = model("small", refused_url() if bad is None else upstream.url, timeout=timeout)
    agent = make_agent(models=[one], budget=BudgetConfig(daily_limit=1.0, store=store))
    with pytest.raises(CascadeExhaustedError):
        await agent.run(PROMPT)
    found = balance(store)
    assert found.reserved_nano == 0
    assert found.settled_nano == (to_nano(bound_usd("small")) if counts else 0)


async def test_a_call_broken_first_and_refused_then_may_have_cost(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    upstream.then(cut(answer()), fail(401))
    one = model("small", upstream.url, max_retries=1)
    agent = make_agent(models=[one], budget=BudgetConfig(daily_limit=1.0, store=store))
    with pytest.raises(UpstreamError) as caught:
        await agent.run(PROMPT)
    assert caught.value.cause == "auth"
    assert balance(store).settled_nano == to_nano(bound_usd("small"))


@pytest.mark.parametrize("policy", [ACCEPT_ALL, ALWAYS_PAIRS], ids=["draft", "consensus"])
@pytest.mark.parametrize(
    ("unknown", "said", "param"),
    [
        ({"input_cost": None, "output_cost": None}, "'cost'", "cost"),
        ({"max_tokens": None}, "'max_tokens'", "max_tokens"),
    ],
    ids=["price", "length"],
)
async def test_what_cannot_be_bounded_is_refused_by_name(
    make_agent: MakeAgent,
    upstream: Upstream,
    store: Path,
    unknown: dict[str, Any],
    said: str,
    param: str,
    policy: Any,
) -> None:
    models = [
        model("strange", upstream.url, **unknown),
        model("other", upstream.url),
        model("large", upstream.url),
    ]
    agent = make_agent(
        models=models, policy=policy, budget=BudgetConfig(daily_limit=1.0, store=store)
    )
    with pytest.raises(ConfigError, match=f"'strange'.*{said}") as caught:
        await agent.run(PROMPT, models=["strange", "other", "large"])
    assert caught.value.param == param
    assert balance(store).reserved_nano == 0
    assert "strange" not in [body["model"] for body in upstream.bodies]


async def test_a_call_may_bound_what_its_model_does_not(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    upstream.then(answer())
    budget = BudgetConfig(daily_limit=1.0, store=store)
    agent = make_agent(models=[model("strange", upstream.url, max_tokens=None)], budget=budget)
    assert (await agent.run(PROMPT, max_tokens=50)).model_used == "strange"


async def test_what_a_models_own_params_add_is_in_the_bound(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    """`ModelConfig.params` are sent with every call: n answers may cost n times as much."""
    one = model("small", upstream.url, params={"n": 10})
    limit = bound_usd("small") * 5
    agent = make_agent(models=[one], budget=BudgetConfig(daily_limit=limit, store=store))
    with pytest.raises(BudgetExceededError):
        await agent.run(PROMPT)
    await agent.run(PROMPT, n=1)


async def test_nothing_is_kept_without_a_limit(
    make_agent: MakeAgent, upstream: Upstream, store: Path
) -> None:
    await make_agent(budget=BudgetConfig(store=store)).run(PROMPT)
    assert not store.exists()
