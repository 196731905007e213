"""`transformers serve` as upstream: what it is sent has its effect, what it says is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from router.agent.agent import CascadeAgent
from router.agent.events import ChunkEvent, DoneEvent, ErrorEvent, StreamEvent
from router.chat import Usage
from router.config import ModelConfig, TimeoutConfig
from router.errors import CascadeExhaustedError, UpstreamError
from tests.agents import DIRECT, REJECT_ALL
from tests.server_process import ServerProcess
from tests.tiny_llama import count_prompt_tokens

pytestmark = pytest.mark.slow  # for the server's start

MakeAgent = Callable[..., CascadeAgent]
MakeModel = Callable[..., ModelConfig]
PROMPT = "What is 6 times 7?"
BROKEN: dict[str, Any] = {"temperature": -1.0}  # found out only once the answer has begun


@pytest.fixture
def tiny(transformers_serve: ServerProcess) -> MakeModel:
    """Makes a model at the server; its price is in USD per million tokens."""

    def make(name: str = "tiny", price: float = 1.0, **more: Any) -> ModelConfig:
        given: dict[str, Any] = {"model": "tiny-llama", "max_retries": 0, **more}
        return ModelConfig(
            name=name,
            provider="custom",
            api_base=f"{transformers_serve.origin}/v1",
            input_cost=price,
            output_cost=2 * price,
            **given,
        )

    return make


async def test_an_answer_is_read_with_its_usage_and_paid_for(
    make_agent: MakeAgent, tiny: MakeModel
) -> None:
    result = await make_agent(tiny()).run(PROMPT, max_tokens=12)
    assert result.usage == Usage(prompt_tokens=count_prompt_tokens([PROMPT]), completion_tokens=12)
    assert (len(result.content), result.finish_reason) == (12, "length")
    assert result.total_cost == pytest.approx((21 * 1.0 + 12 * 2.0) / 1e6)
    assert result.warnings == ()
    parsed = ChatCompletion.model_validate(result.to_openai())
    assert parsed.choices[0].message.content == result.content


async def test_seed_temperature_and_stop_have_their_effect(
    make_agent: MakeAgent, tiny: MakeModel
) -> None:
    agent = make_agent(tiny())

    async def said(**params: Any) -> str:
        return (await agent.run(PROMPT, max_tokens=16, **params)).content

    assert await said(seed=7) == await said(seed=7) != await said(seed=8)
    assert await said(temperature=0.0) == await said(temperature=0.0) != await said(seed=7)
    stopped = await agent.run(PROMPT, seed=7, stop=["e"])
    assert stopped.finish_reason == "stop"
    assert stopped.content.index("e") == len(stopped.content) - 1


async def test_every_turn_of_a_conversation_arrives(make_agent: MakeAgent, tiny: MakeModel) -> None:
    agent = make_agent(tiny())
    first = await agent.run(PROMPT, max_tokens=5)
    texts = ["Be brief.", PROMPT, first.content, "And times 2?"]
    roles = ["system", "user", "assistant", "user"]
    turns = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    second = await agent.run(turns, max_tokens=5)
    assert second.usage == Usage(prompt_tokens=count_prompt_tokens(texts), completion_tokens=5)


async def test_an_accepted_draft_is_the_answer_and_a_rejected_one_is_not(
    make_agent: MakeAgent, tiny: MakeModel
) -> None:
    chain = (
        tiny("small", params={"seed": 1, "max_tokens": 20}),
        tiny("large", 10.0, params={"seed": 2, "max_tokens": 20}),
    )
    accepted = await make_agent(*chain).run(PROMPT)
    escalated = await make_agent(*chain, policy=REJECT_ALL).run(PROMPT)
    assert (accepted.model_used, accepted.action) == ("small", "accepted")
    assert (escalated.model_used, escalated.action) == ("large", "escalated")
    assert escalated.drafts[0].text == accepted.content != escalated.content
    assert escalated.total_cost == pytest.approx(11 * (21 * 1.0 + 20 * 2.0) / 1e6)


@pytest.mark.parametrize("policy", [None, DIRECT], ids=["buffered", "direct"])
async def test_a_stream_says_what_the_official_client_reads_of_it(
    make_agent: MakeAgent, tiny: MakeModel, transformers_serve: ServerProcess, policy: Any
) -> None:
    params: dict[str, Any] = {"max_tokens": 200, "seed": 7}
    async with AsyncOpenAI(base_url=f"{transformers_serve.origin}/v1", api_key="none") as client:
        theirs = await client.chat.completions.create(
            model="tiny-llama", messages=[{"role": "user", "content": PROMPT}], **params
        )
    agent = make_agent(tiny("small"), tiny("large", 10.0), **({"policy": policy} if policy else {}))
    events = [event async for event in agent.stream(PROMPT, **params)]
    chunks = [event for event in events if isinstance(event, ChunkEvent)]
    done = events[-1]
    assert isinstance(done, DoneEvent)
    text = theirs.choices[0].message.content
    assert "".join(chunk.content for chunk in chunks) == done.result.content == text
    assert theirs.usage is not None
    assert done.result.usage == Usage(
        prompt_tokens=theirs.usage.prompt_tokens, completion_tokens=theirs.usage.completion_tokens
    )
    assert done.result.model_used == ("large" if policy else "small")
    assert done.result.first_token_ms is not None
    ChatCompletion.model_validate(done.result.to_openai())
    if policy:  # as it came, character by character
        assert len(chunks) > 100
        assert done.result.first_token_ms < done.result.latency_ms / 2
        for chunk in chunks:
            assert chunk.delta is not None
            ChatCompletionChunk.model_validate(chunk.delta.chunk)


@pytest.mark.parametrize(
    ("model", "params", "status"),
    [("no-such-model", {}, 400), ("tiny-llama", {"a_field_nobody_knows": 1}, 422)],
)
async def test_a_refusal_names_model_provider_and_cause_and_no_prompt(
    make_agent: MakeAgent, tiny: MakeModel, model: str, params: dict[str, Any], status: int
) -> None:
    with pytest.raises(
        CascadeExhaustedError, match=r"tiny \(custom: bad_request; status"
    ) as caught:
        await make_agent(tiny(model=model)).run(PROMPT, **params)
    assert (caught.value.cause, caught.value.status) == ("bad_request", status)
    said = str(caught.value.attempts[0])
    assert f"status {status}" in said
    assert PROMPT not in said


async def test_another_model_answers_for_one_that_is_refused(
    make_agent: MakeAgent, tiny: MakeModel
) -> None:
    agent = make_agent(tiny("small", model="no-such-model"), tiny("large", 10.0))
    result = await agent.run(PROMPT, max_tokens=5)
    assert result.model_used == "large"
    assert [one.status for one in result.attempts] == [400, 200]


async def test_a_fault_before_the_answer_is_told_and_the_next_call_is_well(
    make_agent: MakeAgent, tiny: MakeModel
) -> None:
    # The server closes the connection behind a 500, without having said so: the next call, which
    # takes that connection up again, has to be made once more.
    agent = make_agent(tiny(max_retries=1))
    with pytest.raises(UpstreamError) as caught:
        await agent.run(PROMPT, **BROKEN)
    assert (caught.value.cause, caught.value.status) == ("server", 500)
    assert len((await agent.run(PROMPT, max_tokens=5)).content) == 5


async def test_a_stream_that_ends_in_an_error_is_no_answer(
    make_agent: MakeAgent, tiny: MakeModel
) -> None:
    events: list[StreamEvent] = []

    async def listen() -> None:
        async for event in make_agent(tiny()).stream(PROMPT, **BROKEN):
            events.append(event)

    with pytest.raises(UpstreamError) as caught:
        await listen()
    assert (caught.value.cause, caught.value.status) == ("server", 200)
    assert isinstance(events[-1], ErrorEvent)
    assert not any(event.content for event in events)


async def test_a_server_that_is_left_in_mid_stream_writes_no_further(
    make_agent: MakeAgent, tiny: MakeModel
) -> None:
    # It writes one answer at a time, and this one for minutes: the next shows that it gave it up.
    agent = make_agent(tiny(timeout=TimeoutConfig(total_s=20.0)))
    async with aclosing(agent.stream(PROMPT, max_tokens=60_000)) as events:
        async for event in events:
            if event.content:
                break
    started = time.monotonic()
    assert len((await agent.run(PROMPT, max_tokens=5)).content) == 5
    assert time.monotonic() - started < 10.0


async def test_a_run_can_be_cancelled_and_the_agent_goes_on(
    make_agent: MakeAgent, tiny: MakeModel
) -> None:
    agent = make_agent(tiny())
    running = asyncio.create_task(agent.run(PROMPT, max_tokens=1000))
    await asyncio.sleep(0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len((await agent.run(PROMPT, max_tokens=5)).content) == 5
