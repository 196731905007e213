"""OpenAI's Python client and the gateway: whole answers, lists of models, embeddings."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.behaviours import answer, answer_anthropic, send_json
from tests.serving.clients.running_gateway import RunningGateway
from tests.serving.clients.said import CALL, LONG, SCHEMA, TOOLS, USE, vectors
from tests.upstream import Upstream

ASK: list[Any] = [{"role": "user", "content": "How warm is it in Zürich?"}]
every_route = pytest.mark.parametrize("model", ["auto", "drafts", "small", "large"])


class Weather(BaseModel):
    city: str
    days: int


@every_route
def test_a_whole_answer(openai_client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    upstream.then(answer(LONG))
    found = openai_client.chat.completions.create(model=model, messages=ASK)
    assert found.choices[0].message.content == LONG
    assert found.choices[0].finish_reason == "stop"
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (12, 5)
    assert found.model == ("large" if model == "large" else "small")


def test_headers_and_request_ids(openai_client: openai.OpenAI) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(model="auto", messages=ASK)
    found = raw.parse()
    assert found._request_id
    assert raw.headers["x-request-id"] == raw.headers["x-sluice-request-id"] == found._request_id
    assert raw.headers["x-sluice-model"] == "small"
    assert raw.headers["x-sluice-action"] == "accepted"
    assert float(raw.headers["x-sluice-cost-usd"]) == pytest.approx(22e-6)
    assert float(raw.headers["x-sluice-saved-usd"]) == pytest.approx(198e-6)
    assert float(raw.headers["x-sluice-overhead-ms"]) > 0


def test_parameters_arrive_as_they_were_set(
    openai_client: openai.OpenAI, upstream: Upstream
) -> None:
    openai_client.chat.completions.create(
        model="small",
        messages=ASK,
        temperature=0.5,
        stop=["END"],
        seed=7,
        user="u-1",
        extra_body={"top_k": 5},
    )
    body = upstream.bodies[0]
    assert (body["temperature"], body["stop"], body["seed"]) == (0.5, ["END"], 7)
    assert (body["user"], body["top_k"], body["model"]) == ("u-1", 5, "small")
    assert "stream" not in body
    assert upstream.requests[0].headers.get("authorization") is None  # the client's key stays here


def test_several_choices(openai_client: openai.OpenAI, upstream: Upstream) -> None:
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for at, text in enumerate(["one", "two"])
    ]
    upstream.then(send_json({"id": "c", "created": 1, "model": "m", "choices": choices}))
    found = openai_client.chat.completions.create(model="small", messages=ASK, n=2)
    assert upstream.bodies[0]["n"] == 2
    assert [one.message.content for one in found.choices] == ["one", "two"]


@pytest.mark.parametrize("model", ["drafts", "small"])
def test_logprobs_only_for_who_asks(
    openai_client: openai.OpenAI, upstream: Upstream, model: str
) -> None:
    upstream.then(answer("t0 t1", logprobs=[-0.25, -0.5]))
    asked = openai_client.chat.completions.create(
        model=model, messages=ASK, logprobs=True, top_logprobs=1
    )
    assert asked.choices[0].logprobs is not None
    assert [one.logprob for one in asked.choices[0].logprobs.content or ()] == [-0.25, -0.5]
    unasked = openai_client.chat.completions.create(model=model, messages=ASK)
    assert unasked.choices[0].logprobs is None


@pytest.mark.parametrize("model", ["drafts", "large"])
def test_tools_and_their_results(
    openai_client: openai.OpenAI, upstream: Upstream, model: str
) -> None:
    upstream.then(answer(None, tool_calls=[CALL]), answer("It is 31 degrees."))
    first = openai_client.chat.completions.create(model=model, messages=ASK, tools=TOOLS)
    message = first.choices[0].message
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Zürich 🌦️", "days": 3}
    assert first.choices[0].finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": call.id, "content": "31"}
    second = openai_client.chat.completions.create(
        model=model, messages=[*ASK, message, result], tools=TOOLS
    )
    assert second.choices[0].message.content == "It is 31 degrees."
    assert [one["role"] for one in upstream.bodies[1]["messages"]] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("model", ["drafts", "large"])
def test_parsed_answers_and_parsed_tool_calls(
    openai_client: openai.OpenAI, upstream: Upstream, model: str
) -> None:
    upstream.then(answer('{"city": "Zürich 🌦️", "days": 3}'))
    parsed = openai_client.chat.completions.parse(
        model=model, messages=ASK, response_format=Weather
    )
    assert parsed.choices[0].message.parsed == Weather(city="Zürich 🌦️", days=3)
    assert upstream.bodies[0]["response_format"]["json_schema"]["name"] == "Weather"
    upstream.then(answer(None, tool_calls=[CALL]))
    tool = openai.pydantic_function_tool(Weather, name="weather")
    called = openai_client.chat.completions.parse(model=model, messages=ASK, tools=[tool])
    (call,) = called.choices[0].message.tool_calls or ()
    assert call.function.parsed_arguments == Weather(city="Zürich 🌦️", days=3)


def test_a_json_schema_goes_to_the_provider(
    openai_client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.then(answer('{"city": "Rome", "days": 1}'))
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA}}
    found = openai_client.chat.completions.create(
        model="drafts", messages=ASK, response_format=wanted
    )
    assert json.loads(found.choices[0].message.content or "") == {"city": "Rome", "days": 1}
    assert upstream.bodies[0]["response_format"] == wanted


@pytest.mark.parametrize("model", ["claude-drafts", "claude-large"])
def test_a_provider_of_anthropics_format(
    openai_client: openai.OpenAI, upstream: Upstream, model: str
) -> None:
    upstream.then(answer_anthropic("Let me look.", tool_uses=[USE]))
    found = openai_client.chat.completions.create(model=model, messages=ASK, tools=TOOLS)
    choice = found.choices[0]
    (call,) = choice.message.tool_calls or ()
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", USE["input"])
    assert (choice.message.content, choice.finish_reason) == ("Let me look.", "tool_calls")
    assert upstream.requests[0].path == "/v1/messages"


async def test_many_at_once_are_not_mixed_up(
    gateway: RunningGateway, key: str, upstream: Upstream
) -> None:
    upstream.then(lambda request: answer(request.body["messages"][0]["content"])(request))

    async def ask(client: openai.AsyncOpenAI, at: int) -> bool:
        text = f"This is question number {at}."
        messages: list[Any] = [{"role": "user", "content": text}]
        found = await client.chat.completions.create(model="auto", messages=messages)
        return found.choices[0].message.content == text

    async with openai.AsyncOpenAI(base_url=gateway.url, api_key=key, max_retries=0) as client:
        assert all(await asyncio.gather(*(ask(client, at) for at in range(40))))


def test_models_are_listed_and_found(openai_client: openai.OpenAI) -> None:
    listed = openai_client.models.list()
    names = [model.id for model in listed]
    assert names[:3] == ["auto", "drafts", "claude-drafts"]
    assert {"small", "claude-large", "embed", "sluice-encoder"} <= set(names)
    found = openai_client.models.retrieve("claude-large")
    assert (found.id, found.object, found.owned_by) == ("claude-large", "model", "anthropic")
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client.models.retrieve("nobody/knows it")
    assert caught.value.code == "model_not_found"
    assert caught.value.request_id


def test_embeddings_of_a_provider(openai_client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.then(vectors)
    raw = openai_client.embeddings.with_raw_response.create(
        model="embed", input=["one", "two"], extra_body={"own": 1}
    )
    found = raw.parse()
    assert [one.embedding for one in found.data] == [[0.0, 0.5, -2.0], [1.0, 0.5, -2.0]]
    assert found.usage.prompt_tokens == 8
    (request,) = upstream.requests
    assert request.path == "/v1/embeddings"
    assert request.body["encoding_format"] == "base64"  # the client's own wish
    assert (request.body["own"], request.body["model"]) == (1, "embed")
    assert float(raw.headers["x-sluice-cost-usd"]) == pytest.approx(8 * 0.02e-6)
    assert raw.headers["x-sluice-model"] == "embed"


def test_embeddings_of_the_artifact(openai_client: openai.OpenAI, upstream: Upstream) -> None:
    texts = ["What is the capital of France?", "Name France's capital.", "Bake bread."]
    found = openai_client.embeddings.create(model="sluice-encoder", input=texts)
    first, second, third = [one.embedding for one in found.data]
    assert len(first) == 256
    assert sum(a * a for a in first) == pytest.approx(1.0, abs=1e-5)
    assert _dot(first, second) > _dot(first, third)
    plain = openai_client.embeddings.create(
        model="sluice-encoder", input=texts[0], encoding_format="float", dimensions=256
    )
    assert plain.data[0].embedding == first
    assert found.usage.prompt_tokens > plain.usage.prompt_tokens > 0
    assert upstream.requests == []


def _dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
