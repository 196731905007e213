"""Where other cascades fail: each failure that is known of one, as a test."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from router.agent.agent import CascadeAgent
from router.agent.events import DoneEvent
from router.agent.results import RunResult
from router.config import DOMAIN_KEYS, DomainConfig, QualityConfig
from router.engine import Engine
from router.errors import CascadeExhaustedError
from router.policy import Thresholds
from router.profiles import PolicyFile
from router.types import Query
from tests.agents import ACCEPT_ALL, REJECT_ALL, by_model, model, policy
from tests.behaviours import Behaviour, Received, Script
from tests.upstream import Upstream, answer, answer_anthropic, fail

MakeAgent = Callable[..., CascadeAgent]
PROMPT = "What is 6 times 7?"
VERIFIED = "The verifier says that it is 42."
DRAFTS: tuple[Behaviour, ...] = (
    answer("6 times 7 is 42."),
    answer("6 * 7 = 42\n#### 42"),
    answer("6 * 7 = 41, so the answer is 41."),
    answer("The answer is 36."),
    answer("I'm sorry, but I can't help with that."),
    answer("I am not sure, but it might perhaps be 40 or so."),
    answer("no"),
    answer("42 " * 200),
    answer("To find this, we first have to", finish_reason="length"),
    answer('{"answer": 42'),
    answer(PROMPT),
    answer("Sechs mal sieben ist zweiundvierzig."),
    answer(None, tool_calls=[{"id": "c", "function": {"name": "calc", "arguments": "{"}}]),
    answer(None),
    fail(500),
)


def random_policy(dice: random.Random) -> PolicyFile:
    def threshold() -> float:
        return dice.choice([math.inf, -math.inf, *(dice.uniform(-0.5, 0.8) for _ in range(4))])

    made = policy(direct=threshold(), first=threshold(), later=threshold(), accepted=dice.random())
    profile = made.profiles[0]
    thresholds = Thresholds(
        direct=profile.thresholds.direct,
        accept_first=profile.thresholds.accept_first,
        escalate_first=threshold(),
        accept_later=profile.thresholds.accept_later,
    )
    return PolicyFile(
        chain=made.chain,
        profiles=(type(profile)(**{**vars(profile), "thresholds": thresholds}),),
    )


async def streamed(agent: CascadeAgent, **options: Any) -> tuple[str, RunResult]:
    text, done = "", None
    async for event in agent.stream(PROMPT, **options):
        text += event.content
        done = event.result if isinstance(event, DoneEvent) else None
    assert done is not None
    return text, done


def is_honest(result: RunResult) -> bool:
    """Whether the answer is the verifier's, or a draft whose own verdict accepts it."""
    if result.model_used == "large":
        return result.content == VERIFIED and not result.draft_accepted
    index = result.drafts.index(result.completion)
    return result.draft_accepted and result.verdicts[index].accept


@pytest.mark.parametrize("shipped", [False, True], ids=["any thresholds", "shipped policy"])
@pytest.mark.parametrize("seed", range(10))
async def test_a_rejected_draft_is_never_returned_as_an_answer(
    make_agent: MakeAgent, engine: Engine, upstream: Upstream, seed: int, shipped: bool
) -> None:
    dice = random.Random(seed)
    actions = set()
    for _ in range(6):
        one, two = dice.choices(DRAFTS, k=2)
        upstream.then(by_model(small=one, other=two, large=answer(VERIFIED)))
        quality = QualityConfig(
            confidence_threshold=dice.choice([None, 0.3, 0.9]),
            target_quality=dice.choice([0.9, 0.98, 1.0]),
        )
        agent = make_agent(
            "small",
            "other",
            "large",
            policy=engine.policy if shipped else random_policy(dice),
            quality=quality,
        )
        options = dice.choice([{}, {"response_format": {"type": "json_object"}}])
        result = await agent.run(PROMPT, **options)
        assert is_honest(result), (result.action, result.verdicts)
        text, again = await streamed(agent, **options)
        assert text == again.content
        assert is_honest(again), (again.action, again.verdicts)
        actions.add(result.action)
    assert actions <= {"accepted", "consensus", "escalated", "direct"}


async def test_a_verifier_that_is_down_is_an_error_and_not_the_draft_it_was_to_replace(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    for draft in DRAFTS:
        upstream.then(by_model(small=draft, large=fail(503)))
        with pytest.raises(CascadeExhaustedError, match=r"large \(custom: server; status 503"):
            await make_agent(policy=REJECT_ALL).run(PROMPT)


@pytest.mark.parametrize("domain", DOMAIN_KEYS)
async def test_the_chain_of_a_domain_is_followed_from_draft_to_verifier(
    make_agent: MakeAgent, upstream: Upstream, domain: str
) -> None:
    upstream.then(lambda request: answer(f"by {request.body['model']}")(request))
    domains = DomainConfig(
        domains={
            key: tuple(
                model(f"{key.lower()}-{part}", upstream.url, cost=cost)
                for part, cost in (("drafter", 0.001), ("verifier", 0.01))
            )
            for key in DOMAIN_KEYS
        }
    )
    agent = make_agent(domains=domains, policy=REJECT_ALL)
    result = await agent.run(PROMPT, domain="GENERAL" if domain == "DEFAULT" else domain)
    expected = [f"{domain.lower()}-drafter", f"{domain.lower()}-verifier"]
    assert [body["model"] for body in upstream.bodies] == expected
    assert (result.content, result.model_used) == (f"by {expected[1]}", expected[1])


@pytest.mark.parametrize(
    ("prompt", "domain"),
    [
        ("Write a Python function that reverses a linked list.", "CODE"),
        ("Translate into French: good morning, my friends.", "TRANSLATION"),
        ("What is the usual dose of ibuprofen for an adult with a fever?", "MEDICAL"),
        ("Write a short poem about the sea at night.", "CREATIVE"),
        ("Solve for x: 3x^2 - 12x + 9 = 0.", "MATH"),
    ],
)
async def test_a_predicted_domain_reaches_its_own_models(
    make_agent: MakeAgent, upstream: Upstream, prompt: str, domain: str
) -> None:
    upstream.then(answer("Of course."))
    chains = {key: (model(key.lower(), upstream.url),) for key in DOMAIN_KEYS}
    result = await make_agent(domains=DomainConfig(domains=chains)).run(prompt)
    assert (result.domain, result.model_used) == (domain, domain.lower())


SET = {
    "stop": ["END", "\n\n"],
    "seed": 1234,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
    "top_p": 0.9,
    "logit_bias": {"7": -100},
}


@pytest.mark.parametrize("stream", [False, True], ids=["run", "stream"])
async def test_stop_seed_and_response_format_arrive_upstream(
    make_agent: MakeAgent, upstream: Upstream, stream: bool
) -> None:
    agent = make_agent("small", "other", "large", policy=REJECT_ALL)
    if stream:
        await streamed(agent, **SET)
    else:
        await agent.run(PROMPT, **SET)
    assert [body["model"] for body in upstream.bodies] == ["small", "other", "large"]
    for body in upstream.bodies:
        assert {name: body.get(name) for name in SET} == SET


async def test_stop_arrives_at_anthropic_under_its_own_name(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(answer_anthropic("It is 42."))
    models = [
        model(name, upstream.origin, provider="anthropic", api_key="k")
        for name in ("small", "large")
    ]
    await make_agent(models=models).run(PROMPT, stop="END", temperature=0.2)
    (body,) = upstream.bodies
    assert (body["stop_sequences"], body["temperature"]) == (["END"], 0.2)


async def test_dated_model_names_are_priced_as_their_model_and_not_as_another(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}
    names = {"gpt-4o-mini-2024-07-18": 0.15 + 0.60, "gpt-4o-2024-08-06": 2.50 + 10.00}

    def behave(request: Received) -> Script:
        return answer("It is 42.", usage=usage)(request)

    upstream.then(behave)
    # The dearer is given first: by its price it is the verifier all the same.
    models = [{"name": name, "api_base": upstream.url, "api_key": "k"} for name in reversed(names)]
    agent = make_agent(models=models)
    draft = await agent.run(PROMPT)
    assert (draft.action, draft.model_used) == ("accepted", "gpt-4o-mini-2024-07-18")
    assert draft.total_cost == pytest.approx(0.75)
    assert draft.verifier_cost == pytest.approx(12.50)
    direct = await agent.run(PROMPT, models=["gpt-4o-2024-08-06"])
    assert direct.total_cost == pytest.approx(12.50)


@pytest.mark.parametrize(
    "prompt",
    [
        "address book",
        "What is an address book?",
        "How do I export my address book?",
        "add tom miller to my adress book",
        "Where is the address book on my phone?",
        "Which app has the best address book for 200 contacts?",
        "Sort my address book by surname, please.",
    ],
)
async def test_an_address_book_is_not_mathematics(
    make_agent: MakeAgent, engine: Engine, upstream: Upstream, prompt: str
) -> None:
    assert engine.predict(Query.from_prompt(prompt), ["gpt-4o"]).domain != "MATH"
    upstream.then(by_model(euler=answer("1 + 1"), small=answer("Sure."), large=answer("Sure.")))
    domains = DomainConfig(domains={"MATH": (model("euler", upstream.url),)})
    result = await make_agent(domains=domains, policy=ACCEPT_ALL).run(prompt)
    assert result.model_used == "small"
