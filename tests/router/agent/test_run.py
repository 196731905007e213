"""`CascadeAgent.run`: which model answers, what it is asked, what comes back and what it costs."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openai.types.chat import ChatCompletion

from router.agent.agent import CascadeAgent
from router.agent.runs import Run
from router.config import DomainConfig, ModelConfig, QualityConfig
from router.engine import Engine
from router.errors import CascadeExhaustedError, ConfigError, InputError, UnknownModelError
from router.presets import PRESET_BALANCED
from tests.agents import ALWAYS_PAIRS, DIRECT, REJECT_ALL, by_model
from tests.behaviours import answer, fail
from tests.upstream import Upstream

MakeAgent = Callable[..., CascadeAgent]
PROMPT = "What is 6 times 7?"
# What tests/behaviours.py gives as usage, at the prices of the fixture.
PROMPT_TOKENS, ANSWER_TOKENS = 12, 5


def usd(per_input: float, per_output: float) -> float:
    return (PROMPT_TOKENS * per_input + ANSWER_TOKENS * per_output) / 1e6


def asked(upstream: Upstream) -> list[str]:
    return [body["model"] for body in upstream.bodies]


async def test_an_accepted_draft_is_the_answer_and_the_verifier_is_not_asked(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    result = await make_agent().run(PROMPT)
    assert result.content == "It is small, the answer is 42."
    assert (result.model_used, result.action, result.draft_accepted) == ("small", "accepted", True)
    assert asked(upstream) == ["small"]
    assert result.total_cost == pytest.approx(usd(1, 2))
    assert result.cost_savings_pct == pytest.approx(90.0)
    assert result.domain in ("MATH", "GENERAL")
    assert result.latency_ms > result.overhead_ms > 0
    assert result.request_id.startswith("slc_")
    assert result.plan.models == ("small", "large")
    assert len(result.verdicts) == 1
    assert [one.status for one in result.attempts] == [200]


async def test_a_run_leaves_nothing_to_the_garbage_collector(make_agent: MakeAgent) -> None:
    agent = make_agent(policy=REJECT_ALL)
    await agent.run(PROMPT)
    gc.collect()
    gc.disable()
    try:
        await agent.run(PROMPT)
        async for _ in agent.stream(PROMPT):
            pass
        assert [one for one in gc.get_objects() if type(one) is Run] == []
    finally:
        gc.enable()


async def test_a_rejected_draft_is_never_the_answer(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    result = await make_agent(policy=REJECT_ALL).run(PROMPT)
    assert result.content == "It is large, the answer is 42."
    assert (result.model_used, result.action, result.draft_accepted) == (
        "large",
        "escalated",
        False,
    )
    assert asked(upstream) == ["small", "large"]
    assert result.total_cost == pytest.approx(usd(1, 2) + usd(10, 20))
    assert result.cost_savings_pct == pytest.approx(-10.0)
    assert [one.accept for one in result.verdicts] == [False]


async def test_a_hard_query_goes_straight_to_the_verifier(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    result = await make_agent(policy=DIRECT).run(PROMPT)
    assert (result.action, result.plan.action) == ("direct", "direct")
    assert asked(upstream) == ["large"]
    assert result.cost_savings_pct == pytest.approx(0.0)


async def test_a_consensus_is_drafted_side_by_side_and_accepted_together(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    result = await make_agent("large", "other", "small", policy=ALWAYS_PAIRS).run(PROMPT)
    assert (result.action, result.plan.action) == ("consensus", "consensus")
    assert sorted(asked(upstream)) == ["other", "small"]
    assert result.plan.models == ("small", "other", "large")
    assert result.total_cost == pytest.approx(usd(1, 2) + usd(1.5, 3))
    assert any(check.name == "agreement" and check.passed for check in result.verdicts[0].checks)


async def test_everything_the_caller_sets_arrives_untouched_and_nothing_is_added(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    given = {
        "temperature": 0.3,
        "stop": ["\n\n"],
        "seed": 7,
        "response_format": {"type": "text"},
        "logit_bias": {"50256": -100},
        "reasoning_effort": "low",
        "a_field_nobody_knows": {"deep": [1, None, 2.5]},
    }
    messages = [
        {"role": "system", "content": "Be brief.", "name": "boss"},
        {"role": "user", "content": [{"type": "text", "text": PROMPT}]},
    ]
    await make_agent(policy=REJECT_ALL).run(messages, **given)
    for body, model in zip(upstream.bodies, ("small", "large"), strict=True):
        assert body == {"model": model, "messages": messages, **given}


async def test_every_reply_is_one_that_the_official_client_knows(make_agent: MakeAgent) -> None:
    result = await make_agent().run(PROMPT)
    parsed = ChatCompletion.model_validate(result.to_openai())
    assert parsed.choices[0].message.content == result.content
    assert result.message == {"role": "assistant", "content": result.content}


async def test_messages_stay_messages_over_several_turns(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    agent = make_agent()
    first = await agent.run(PROMPT)
    turn = [
        {"role": "user", "content": PROMPT},
        dict(first.message),
        {"role": "user", "content": "And times 2?"},
    ]
    await agent.run(turn)
    assert upstream.bodies[-1]["messages"] == turn


async def test_a_conversation_that_escalated_does_not_flap_back(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    agent = make_agent(policy=REJECT_ALL)
    first = await agent.run(PROMPT)
    turn = [
        {"role": "user", "content": PROMPT},
        dict(first.message),
        {"role": "user", "content": "And times 2?"},
    ]
    second = await agent.run(turn)
    assert asked(upstream) == ["small", "large", "large"]
    assert (first.action, second.action) == ("escalated", "direct")
    third = await agent.run(PROMPT, conversation_id="another one")
    assert third.action == "escalated"
    assert (await agent.run(PROMPT, conversation_id="another one")).action == "direct"


async def test_the_chain_of_a_domain_is_followed(make_agent: MakeAgent, upstream: Upstream) -> None:
    upstream.then(by_model(coder=answer("def f(): ..."), small=answer(), large=answer()))
    coder = ModelConfig(name="coder", api_base=upstream.url, api_key="k", cost=0.001)
    domains = DomainConfig(domains={"CODE": (coder,)})
    agent = make_agent(domains=domains)
    result = await agent.run("Write a Python function that reverses a linked list.")
    assert (result.domain, result.model_used) == ("CODE", "coder")
    assert (await agent.run(PROMPT, domain="LEGAL")).model_used == "small"
    off = make_agent(domains=domains.model_copy(update={"enabled": False}))
    assert (await off.run("Write a Python function.", domain="CODE")).model_used == "small"


async def test_a_call_may_choose_models_quality_and_domain_for_itself(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    agent = make_agent()
    assert (await agent.run(PROMPT, models=["large"])).model_used == "large"
    strict = QualityConfig(confidence_threshold=1.0)
    assert (await agent.run(PROMPT, quality=strict)).action == "escalated"
    assert (await agent.run(PROMPT, domain="MEDICAL")).domain == "MEDICAL"


async def test_lengths_and_formats_that_are_demanded_are_kept(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    agent = make_agent()
    assert (await agent.run(PROMPT, quality=QualityConfig(min_length=500))).action == "escalated"
    assert (await agent.run(PROMPT, quality=QualityConfig(max_length=5))).action == "escalated"
    result = await agent.run(PROMPT, response_format={"type": "json_object"})
    assert result.action == "escalated"
    failed = [one.name for one in result.verdicts[0].checks if one.passed is False]
    assert "format_json" in failed


async def test_a_verifier_that_is_down_after_a_rejected_draft_is_an_error(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=answer("No idea."), large=fail(500)))
    agent = make_agent(policy=REJECT_ALL)
    with pytest.raises(CascadeExhaustedError) as caught:
        await agent.run(PROMPT)
    assert (caught.value.model, caught.value.cause, caught.value.status) == ("large", "server", 500)
    found = agent.get_analytics()
    assert (found.runs, found.failed_runs) == (0, 1)
    assert found.failed_cost == pytest.approx(usd(1, 2))


async def test_unless_the_caller_allowed_the_rejected_draft_which_is_marked_then(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=answer("It may be 42."), large=fail(500)))
    agent = make_agent(policy=REJECT_ALL, quality=QualityConfig(return_rejected_draft=True))
    result = await agent.run(PROMPT)
    assert (result.action, result.draft_accepted) == ("rejected_draft", False)
    assert result.content == "It may be 42."
    assert [one.error is None for one in result.attempts] == [True, False]


async def test_a_drafter_that_fails_costs_nothing_but_is_on_the_result(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=fail(503), large=answer("42")))
    result = await make_agent().run(PROMPT)
    assert (result.model_used, result.action) == ("large", "direct")
    assert [(one.model, one.status) for one in result.attempts] == [("small", 503), ("large", 200)]


async def test_when_all_models_fail_each_is_named(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=fail(401), large=fail(404)))
    with pytest.raises(CascadeExhaustedError, match=r"small .*auth.*large .*not_found") as caught:
        await make_agent().run(PROMPT)
    assert [one.cause for one in caught.value.attempts] == ["auth", "not_found"]


async def test_a_fallback_answers_for_a_model_that_is_down(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=fail(500), other=answer("other"), large=answer("large")))
    models = [
        ModelConfig(
            name="small",
            api_base=upstream.url,
            api_key="k",
            cost=0.001,
            max_retries=0,
            fallbacks=("other",),
        ),
        ModelConfig(name="other", api_base=upstream.url, api_key="k", cost=0.002),
        ModelConfig(name="large", api_base=upstream.url, api_key="k", cost=0.01),
    ]
    result = await make_agent(models=models).run(PROMPT, models=["small", "large"])
    assert result.model_used == "other"
    assert [one.model for one in result.attempts] == ["small", "other"]


async def test_an_unknown_price_is_said_and_not_taken_for_zero(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    models = [
        {"name": "small", "provider": "custom", "api_base": upstream.url},
        {"name": "large", "provider": "custom", "api_base": upstream.url, "cost": 0.01},
    ]
    agent = make_agent(models=models)
    result = await agent.run(PROMPT)
    assert result.total_cost is None
    assert result.cost_savings_pct is None
    assert result.warnings == ("small: no price is known; give the model a 'cost'",)
    assert agent.get_analytics().unpriced_runs == 1


@pytest.mark.parametrize(
    ("query", "options", "param"),
    [
        ("", {}, "prompt"),
        (None, {}, "messages"),
        ([], {}, "messages"),
        ([{"role": "robot", "content": "x"}], {}, "messages[0].role"),
        ("hi", {"stream": True}, "stream"),
        ("hi", {"tools": "none"}, "tools"),
        ("hi", {"domain": "COOKING"}, "domain"),
        ("hi", {"models": []}, "models"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(
    make_agent: MakeAgent, upstream: Upstream, query: Any, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(InputError) as caught:
        await make_agent().run(query, **options)
    assert caught.value.param == param
    assert upstream.requests == []


async def test_a_model_that_is_not_configured_is_refused(make_agent: MakeAgent) -> None:
    with pytest.raises(UnknownModelError, match="'huge' is not configured"):
        await make_agent().run(PROMPT, models=["huge"])


def test_an_agent_without_models_or_with_two_of_one_name_is_refused(upstream: Upstream) -> None:
    with pytest.raises(ConfigError, match="'models' is empty"):
        CascadeAgent(models=[])
    one = {"name": "m", "api_base": upstream.url, "api_key": "k"}
    with pytest.raises(ConfigError, match="model 'm' is twice in one chain"):
        CascadeAgent(models=[one, one])
    other = DomainConfig(domains={"CODE": (ModelConfig(**{**one, "cost": 1.0}),)})
    with pytest.raises(ConfigError, match="two different models are named 'm'"):
        CascadeAgent(models=[one], domains=other)
    with pytest.raises(ConfigError, match=r"'models\[0\].prvider' is not known"):
        CascadeAgent(models=[{**one, "prvider": "openai"}])
    with pytest.raises(ConfigError, match="fallback 'x' of model 'm'"):
        CascadeAgent(models=[{**one, "fallbacks": ["x"]}])


async def test_drafters_are_asked_for_logprobs_where_there_are_any_and_callers_do_not_see_them(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(answer("The answer is 42.", logprobs=[-0.1, -0.2]))
    models = [
        ModelConfig(name=name, api_base=upstream.url, api_key="k", logprobs=True, cost=cost)
        for name, cost in (("small", 0.001), ("large", 0.01))
    ]
    result = await make_agent(models=models, policy=REJECT_ALL).run(PROMPT)
    assert [body.get("logprobs") for body in upstream.bodies] == [True, None]
    assert result.drafts[0].logprobs == (-0.1, -0.2)
    assert "logprobs" not in result.drafts[0].reply["choices"][0]


async def test_a_callers_own_http_client_carries_the_calls_and_stays_open(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    carried: list[str] = []

    async def note(request: httpx.Request) -> None:
        carried.append(str(request.url))

    async with httpx.AsyncClient(event_hooks={"request": [note]}) as client:
        agent = make_agent(http_client=client)
        assert (await agent.run(PROMPT)).model_used == "small"
        await agent.aclose()
        assert not client.is_closed
    assert carried == [f"{upstream.url}/chat/completions"]


def test_agents_share_one_engine_unless_they_bring_their_own() -> None:
    assert Engine.shared() is Engine.shared()


def test_two_presets_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="'preset' is one too"):
        CascadeAgent(models=PRESET_BALANCED, preset=PRESET_BALANCED)
