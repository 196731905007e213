"""One agent, two dialects: what comes from any provider reads as OpenAI's and as Anthropic's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion

from router.agent.agent import CascadeAgent
from router.agent.events import ChunkEvent, DoneEvent
from router.chat import ChatRequest
from router.providers.catalogue import PROVIDERS
from tests.agents import ACCEPT_ALL, DIRECT, REJECT_ALL, by_model, model
from tests.upstream import Upstream, answer, answer_anthropic

MakeAgent = Callable[..., CascadeAgent]
PROMPT = "How warm is it in Rome?"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "?", "parameters": SCHEMA}}
]
NATIVE_TOOLS = [{"name": "weather", "description": "?", "input_schema": SCHEMA}]
CALL = {
    "id": "toolu_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
}
USE = {"id": "toolu_1", "name": "weather", "input": {"city": "Rome"}}


def claude(make_agent: MakeAgent, upstream: Upstream, **options: Any) -> CascadeAgent:
    """A drafter and a verifier that speak Anthropic's format."""
    models = [
        model(name, upstream.origin, provider="anthropic", api_key="k")
        for name in ("small", "large")
    ]
    return make_agent(models=models, **options)


async def test_tools_are_translated_there_and_calls_back(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(answer_anthropic("Let me look.", tool_uses=[USE]))
    result = await claude(make_agent, upstream).run(
        PROMPT, tools=TOOLS, tool_choice="required", stop=["END"], temperature=0.5
    )
    (request,) = upstream.requests
    assert request.path == "/v1/messages"
    assert request.headers["x-api-key"] == "k"
    body = request.body
    assert body["tools"] == NATIVE_TOOLS
    assert body["tool_choice"] == {"type": "any"}
    assert (body["stop_sequences"], body["temperature"]) == (["END"], 0.5)
    assert body["max_tokens"] == 1000  # the model's own, as Anthropic demands one
    assert (result.action, result.content) == ("accepted", "Let me look.")
    (found,) = result.tool_calls
    assert (found["id"], found["function"]["name"]) == ("toolu_1", "weather")
    assert json.loads(found["function"]["arguments"]) == {"city": "Rome"}
    assert result.finish_reason == "tool_calls"
    assert result.total_cost == pytest.approx((12 * 1.0 + 5 * 2.0) / 1e6)


async def test_a_wrong_call_in_anthropics_format_is_rejected_too(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    wrong = {**USE, "input": {"town": "Rome"}}
    upstream.then(
        by_model(
            small=answer_anthropic(None, tool_uses=[wrong]),
            large=answer_anthropic(None, tool_uses=[USE]),
        )
    )
    result = await claude(make_agent, upstream, policy=ACCEPT_ALL).run(PROMPT, tools=TOOLS)
    assert (result.action, result.model_used) == ("escalated", "large")


async def test_results_of_tools_are_translated_in_later_turns(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(answer_anthropic(None, tool_uses=[USE]))
    agent = claude(make_agent, upstream)
    first = await agent.run(PROMPT, tools=TOOLS)
    upstream.then(answer_anthropic("It is 31 degrees."))
    turn = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": PROMPT},
        dict(first.message),
        {"role": "tool", "tool_call_id": "toolu_1", "content": "31"},
    ]
    second = await agent.run(turn, tools=TOOLS)
    assert second.content == "It is 31 degrees."
    body = upstream.bodies[-1]
    assert "Be brief." in json.dumps(body["system"])
    assert [one["role"] for one in body["messages"]] == ["user", "assistant", "user"]
    (use,) = [one for one in body["messages"][1]["content"] if one["type"] == "tool_use"]
    assert (use["id"], use["name"], use["input"]) == ("toolu_1", "weather", {"city": "Rome"})
    (given,) = [one for one in body["messages"][2]["content"] if one["type"] == "tool_result"]
    assert given["tool_use_id"] == "toolu_1"
    assert "31" in json.dumps(given["content"])


@pytest.mark.parametrize("policy", [ACCEPT_ALL, DIRECT], ids=["draft", "live"])
async def test_anthropics_stream_is_told_in_openais_deltas(
    make_agent: MakeAgent, upstream: Upstream, policy: Any
) -> None:
    upstream.then(answer_anthropic("Let me look.", tool_uses=[USE], pieces=["Let me ", "look."]))
    text, arguments, done = "", "", None
    async for event in claude(make_agent, upstream, policy=policy).stream(PROMPT, tools=TOOLS):
        text += event.content
        if isinstance(event, ChunkEvent):
            for delta in event.tool_calls:
                assert delta["index"] == 0
                arguments += delta["function"].get("arguments") or ""
        done = event.result if isinstance(event, DoneEvent) else None
    assert done is not None
    assert (text, json.loads(arguments)) == ("Let me look.", {"city": "Rome"})
    assert Message.model_validate(done.to_anthropic()).stop_reason == "tool_use"


@pytest.mark.parametrize("policy", [ACCEPT_ALL, REJECT_ALL], ids=["draft", "verifier"])
@pytest.mark.parametrize("upstream_speaks", ["openai", "anthropic"])
async def test_a_request_in_anthropics_dialect_is_answered_in_it(
    make_agent: MakeAgent, upstream: Upstream, upstream_speaks: str, policy: Any
) -> None:
    request = ChatRequest.of(
        [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}],
        {"system": "Be brief.", "tools": NATIVE_TOOLS, "max_tokens": 50, "top_k": 3},
        dialect="anthropic",
    )
    if upstream_speaks == "anthropic":
        upstream.then(answer_anthropic(None, tool_uses=[USE]))
        agent = claude(make_agent, upstream, policy=policy)
    else:
        upstream.then(answer(None, tool_calls=[CALL]))
        agent = make_agent(policy=policy)
    result = await agent.answer(request)
    body = upstream.bodies[-1]
    assert "Be brief." in json.dumps(body.get("system") or body["messages"][0])
    assert body["tools"] == (NATIVE_TOOLS if upstream_speaks == "anthropic" else TOOLS)
    assert body["max_tokens"] == 50
    assert result.model_used == ("small" if policy is ACCEPT_ALL else "large")
    parsed = Message.model_validate(result.to_anthropic())
    assert parsed.stop_reason == "tool_use"
    (block,) = parsed.content
    assert block.type == "tool_use"
    assert (block.id, block.name, block.input) == ("toolu_1", "weather", {"city": "Rome"})
    assert (parsed.usage.input_tokens, parsed.usage.output_tokens) == (12, 5)


@pytest.mark.parametrize("calls", [False, True], ids=["text", "tools"])
@pytest.mark.parametrize("provider", [*PROVIDERS, "one of my own"])
async def test_the_official_types_parse_the_result_of_every_provider(
    make_agent: MakeAgent, upstream: Upstream, provider: str, calls: bool
) -> None:
    if provider == "anthropic":
        base = upstream.origin
        upstream.then(answer_anthropic("Warm.", tool_uses=[USE] if calls else []))
    else:
        base = upstream.url
        upstream.then(answer("Warm.", tool_calls=[CALL] if calls else [], logprobs=[-0.1]))
    models = [model(name, base, provider=provider, api_key="k") for name in ("small", "large")]
    result = await make_agent(models=models).run(PROMPT, tools=TOOLS)
    completion = ChatCompletion.model_validate(result.to_openai(), strict=True)
    message = Message.model_validate(result.to_anthropic(), strict=True)
    choice = completion.choices[0]
    assert completion.model == message.model == "small"
    assert choice.message.content == "Warm."
    assert message.content[0].type == "text"
    assert message.content[0].text == "Warm."
    assert choice.finish_reason == ("tool_calls" if calls else "stop")
    assert message.stop_reason == ("tool_use" if calls else "end_turn")
    assert len(choice.message.tool_calls or ()) == len(message.content) - 1 == int(calls)
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, message.usage.input_tokens) == (12, 12)
