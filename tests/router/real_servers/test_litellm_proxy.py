"""LiteLLM's proxy as upstream, by its OpenAI and by its Anthropic endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from router.agent.agent import CascadeAgent
from router.agent.events import ChunkEvent, DoneEvent, UsageEvent
from router.config import ModelConfig
from router.errors import CascadeExhaustedError
from tests.agents import DIRECT, REJECT_ALL
from tests.behaviours import answer, fail, hang_midway, stream
from tests.server_process import ServerProcess
from tests.upstream import Upstream

pytestmark = pytest.mark.slow  # for the server's start

MakeAgent = Callable[..., CascadeAgent]
MakeModel = Callable[..., ModelConfig]
PROMPT = "What is 6 times 7?"
SMALL_SAYS = "It is small, the answer is 42."
BOTH = pytest.mark.parametrize("dialect", ["openai", "anthropic"])
CALL = {"id": "c1", "type": "function", "function": {"name": "times", "arguments": '{"a": 6}'}}
TOOL = {
    "type": "function",
    "function": {
        "name": "times",
        "description": "Multiplies.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "required": ["a"],
        },
    },
}


@pytest.fixture
def model(litellm_proxy: ServerProcess, master_key: str) -> MakeModel:
    """Makes a model at the proxy; "anthropic" is its endpoint of that format."""

    def make(name: str, dialect: str = "openai", **more: Any) -> ModelConfig:
        origin = litellm_proxy.origin
        given: dict[str, Any] = {"api_key": master_key, "max_retries": 0, "max_tokens": 500, **more}
        return ModelConfig(
            name=name,
            provider=dialect,
            api_base=origin if dialect == "anthropic" else f"{origin}/v1",
            **given,
        )

    return make


def check_types(result: Any, dialect: str) -> None:
    """The official clients' types know the answer, in both dialects."""
    parsed = ChatCompletion.model_validate(result.to_openai())
    assert (parsed.choices[0].message.content or "") == result.content
    Message.model_validate(result.to_anthropic())
    assert (result.completion.native is not None) == (dialect == "anthropic")


@BOTH
async def test_an_answer_is_read_with_its_usage(
    make_agent: MakeAgent, model: MakeModel, dialect: str
) -> None:
    result = await make_agent(model("gpt-4o-mini", dialect, cost=0.001)).run(PROMPT)
    assert result.content == SMALL_SAYS
    assert (result.finish_reason, result.warnings) == ("stop", ())
    assert result.usage is not None
    tokens = result.usage.prompt_tokens + result.usage.completion_tokens
    assert tokens > 20
    assert result.total_cost == pytest.approx(tokens * 0.001 / 1000)
    check_types(result, dialect)


async def test_a_stream_costs_by_our_catalogue_what_the_proxy_reckons(
    make_agent: MakeAgent, model: MakeModel
) -> None:
    events = [event async for event in make_agent(model("gpt-4o-mini")).stream(PROMPT)]
    done = events[-1]
    assert isinstance(done, DoneEvent)
    theirs = done.result.to_openai()["usage"]["cost"]  # LiteLLM's own field
    assert done.result.total_cost == pytest.approx(theirs)
    assert [event.cost_usd for event in events if isinstance(event, UsageEvent)] == [
        pytest.approx(theirs)
    ]


@BOTH
@pytest.mark.parametrize("name", ["gpt-4o-mini", "relay"])
@pytest.mark.parametrize("policy", [None, DIRECT], ids=["buffered", "direct"])
async def test_a_stream_says_the_same(
    make_agent: MakeAgent,
    model: MakeModel,
    behind: Upstream,
    dialect: str,
    name: str,
    policy: Any,
) -> None:
    behind.then(stream(["It is", " small, the", " answer is 42."]))
    chain = (model(name, dialect, cost=0.001), model("large", dialect, model=name, cost=0.01))
    agent = make_agent(*chain, **({"policy": policy} if policy else {}))
    events = [event async for event in agent.stream(PROMPT)]
    chunks = [event for event in events if isinstance(event, ChunkEvent)]
    done = events[-1]
    assert isinstance(done, DoneEvent)
    assert "".join(chunk.content for chunk in chunks) == done.result.content == SMALL_SAYS
    assert done.result.model_used == ("large" if policy else name)
    assert done.result.usage is not None
    check_types(done.result, dialect)
    for chunk in chunks:
        if chunk.delta is not None:
            ChatCompletionChunk.model_validate(chunk.delta.chunk)
    # Its Anthropic endpoint answers whole for a model that it plays, streamed or not.
    if policy and not (name == "gpt-4o-mini" and dialect == "anthropic"):
        assert len([chunk for chunk in chunks if chunk.content]) > 2


@BOTH
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_tools_go_out_and_their_calls_come_back(
    make_agent: MakeAgent, model: MakeModel, behind: Upstream, dialect: str, streamed: bool
) -> None:
    behind.then(answer(None, tool_calls=[CALL]))
    agent = make_agent(model("relay", dialect, cost=0.001))
    if streamed:
        events = [event async for event in agent.stream(PROMPT, tools=[TOOL])]
        done = events[-1]
        assert isinstance(done, DoneEvent)
        result = done.result
    else:
        result = await agent.run(PROMPT, tools=[TOOL])
    sent = behind.bodies[-1]["tools"][0]["function"]
    assert sent["name"] == "times"
    assert sent["parameters"]["required"] == ["a"]
    (call,) = result.tool_calls
    assert call["function"]["name"] == "times"
    assert json.loads(call["function"]["arguments"]) == {"a": 6}
    assert result.finish_reason == "tool_calls"
    check_types(result, dialect)
    turns = [
        {"role": "user", "content": PROMPT},
        dict(result.message),
        {"role": "tool", "tool_call_id": call["id"], "content": "42"},
    ]
    behind.then(answer("42"))
    assert (await agent.run(turns, tools=[TOOL])).content == "42"
    told = behind.bodies[-1]["messages"][-1]
    assert (told["role"], told["tool_call_id"], told["content"]) == ("tool", call["id"], "42")


@BOTH
async def test_what_the_caller_sets_arrives_behind_the_proxy(
    make_agent: MakeAgent, model: MakeModel, behind: Upstream, dialect: str
) -> None:
    behind.then(answer())
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": PROMPT},
        {"role": "assistant", "content": "42"},
        {"role": "user", "content": "And times 2?"},
    ]
    given: dict[str, Any] = {"temperature": 0.3, "max_tokens": 77, "stop": ["\n\n"], "top_p": 0.9}
    await make_agent(model("relay", dialect, cost=0.001)).run(turns, **given)
    body = behind.bodies[-1]
    assert {name: body[name] for name in given} == given
    assert [turn["role"] for turn in body["messages"]] == [turn["role"] for turn in turns]


async def test_a_draft_by_one_endpoint_escalates_to_a_verifier_by_the_other(
    make_agent: MakeAgent, model: MakeModel, behind: Upstream
) -> None:
    behind.then(answer("It is large, the answer is 42."))
    chain = (model("gpt-4o-mini", cost=0.001), model("relay", "anthropic", cost=0.01))
    result = await make_agent(*chain, policy=REJECT_ALL).run(PROMPT)
    assert (result.model_used, result.action) == ("relay", "escalated")
    assert result.content == "It is large, the answer is 42."
    assert result.drafts[0].text == SMALL_SAYS
    assert [one.status for one in result.attempts] == [200, 200]


@BOTH
@pytest.mark.parametrize(
    ("name", "cause", "status"),
    [
        ("no-such-model", "bad_request", 400),
        ("busy", "rate_limit", 429),
        ("broken", "server", 500),
        ("relay", "not_found", 404),
    ],
)
async def test_each_failure_has_its_type_and_another_model_answers(
    make_agent: MakeAgent,
    model: MakeModel,
    behind: Upstream,
    master_key: str,
    dialect: str,
    name: str,
    cause: str,
    status: int,
) -> None:
    behind.then(fail(404, "model_not_found"))
    failing = model(name, dialect, cost=0.001, logprobs=False)
    with pytest.raises(CascadeExhaustedError, match=f"{name}.*{cause}") as caught:
        await make_agent(failing).run(PROMPT)
    assert (caught.value.cause, caught.value.status) == (cause, status)
    said = str(caught.value.attempts)
    assert PROMPT not in said
    assert master_key not in said
    result = await make_agent(failing, model("gpt-4o-mini", dialect, cost=0.01)).run(PROMPT)
    assert (result.model_used, result.content) == ("gpt-4o-mini", SMALL_SAYS)
    assert [one.status for one in result.attempts] == [status, 200]


async def test_no_key_and_a_wrong_one_are_refused_and_the_key_is_not_told(
    make_agent: MakeAgent, model: MakeModel, litellm_proxy: ServerProcess
) -> None:
    keyless = ModelConfig(
        name="gpt-4o-mini",
        provider="custom",
        api_base=f"{litellm_proxy.origin}/v1",
        max_retries=0,
        cost=0.001,
    )
    with pytest.raises(CascadeExhaustedError) as none:
        await make_agent(keyless).run(PROMPT)
    assert (none.value.cause, none.value.status) == ("auth", 401)
    wrong_key = "sk-a-wrong-key-0123456789"
    for dialect in ("openai", "anthropic"):
        with pytest.raises(CascadeExhaustedError) as wrong:
            await make_agent(model("gpt-4o-mini", dialect, api_key=wrong_key)).run(PROMPT)
        # It keeps further keys in a database; without one it calls a key it does not know a 400.
        assert (wrong.value.cause, wrong.value.status) == ("bad_request", 400)
        assert wrong_key not in f"{wrong.value}{wrong.value.attempts}"


@BOTH
async def test_leaving_in_mid_stream_reaches_the_provider_behind_the_proxy(
    make_agent: MakeAgent, model: MakeModel, behind: Upstream, dialect: str
) -> None:
    behind.drop_connections()  # those that the proxy keeps for later
    assert await behind.all_closed()
    behind.then(hang_midway(stream(["One ", "two ", "three ", "four."])))
    seen = asyncio.Event()

    async def listen() -> None:
        agent = make_agent(model("relay", dialect, cost=0.001))
        async for event in agent.stream(PROMPT):
            if event.content:
                seen.set()

    listening = asyncio.create_task(listen())
    async with asyncio.timeout(10):
        await seen.wait()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert await behind.all_closed(within_s=5.0)
