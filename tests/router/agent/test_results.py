"""What a result says: its price, its warnings, and how it is written down."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import pytest

from router.agent.agent import CascadeAgent
from router.config import ModelConfig, QualityConfig
from router.errors import CascadeExhaustedError
from tests.agents import by_model
from tests.behaviours import answer, answer_anthropic, fail
from tests.upstream import Upstream

MakeAgent = Callable[..., CascadeAgent]
PROMPT = "What is 6 times 7?"
# What tests/behaviours.py gives as usage, at the prices of the fixture.
PROMPT_TOKENS, ANSWER_TOKENS = 12, 5


def usd(per_input: float, per_output: float) -> float:
    return (PROMPT_TOKENS * per_input + ANSWER_TOKENS * per_output) / 1e6


def asked(upstream: Upstream) -> list[str]:
    return [body["model"] for body in upstream.bodies]


async def test_another_endpoint_is_billed_at_its_own_price(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(fail(404), answer("42"))
    elsewhere = {"provider": "openai", "model": "gpt-4o", "api_base": upstream.url}
    model = ModelConfig(
        name="deepseek-chat", provider="deepseek", api_base=upstream.url, endpoints=(elsewhere,)
    )
    result = await make_agent(models=[model]).run(PROMPT)
    assert result.total_cost == pytest.approx(usd(2.5, 10))


async def test_a_verifier_is_not_asked_as_a_drafters_fallback(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=fail(401), large=answer("large")))
    small = ModelConfig(name="small", api_base=upstream.url, cost=0.001, fallbacks=("large",))
    large = ModelConfig(name="large", api_base=upstream.url, cost=0.01)
    result = await make_agent(models=[small, large]).run(PROMPT)
    assert (result.action, asked(upstream)) == ("direct", ["small", "large"])


async def test_what_a_provider_is_not_sent_is_said(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(answer_anthropic("42"))
    claude = ModelConfig(
        name="claude-3-5-haiku-latest", provider="anthropic", api_base=upstream.origin
    )
    result = await make_agent(models=[claude]).run(PROMPT, seed=7)
    assert result.warnings == (
        "claude-3-5-haiku-latest: its provider knows nothing like 'seed'; not sent",
    )


async def test_a_draft_below_the_callers_confidence_may_still_stand_in(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=answer("It may be 42."), large=fail(500)))
    quality = QualityConfig(confidence_threshold=1.0, return_rejected_draft=True)
    assert (await make_agent(quality=quality).run(PROMPT)).action == "rejected_draft"


async def test_a_result_can_be_printed_compared_and_written_as_json(make_agent: MakeAgent) -> None:
    result = await make_agent().run(PROMPT)
    assert repr(result).startswith(
        f"RunResult(request_id='{result.request_id}', model_used='small'"
    )
    assert result.content not in repr(result)
    assert copy.deepcopy(result) == result
    written = json.loads(json.dumps(result.as_dict()))
    assert written["content"] == result.content
    assert written["usage"]["completion_tokens"] == ANSWER_TOKENS
    assert written["cost_savings_pct"] == 90.0


async def test_a_drafter_that_never_answers_is_said(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=fail(404), large=answer("42")))
    result = await make_agent().run(PROMPT)
    assert result.warnings == ("small: did not answer (not_found)",)


async def test_what_the_provider_wrote_is_on_the_error_and_in_no_message(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(fail(400, code="bad", message="temprature is not a parameter"))
    with pytest.raises(CascadeExhaustedError, match=r"bad_request; status 400 \(bad\)") as caught:
        await make_agent().run(PROMPT, temprature=2)
    assert caught.value.provider_message == "temprature is not a parameter"
    assert all("temprature" not in str(one) for one in (caught.value, *caught.value.attempts))
