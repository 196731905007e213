"""OpenAI's JavaScript client reads the same as the Python one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.behaviours import answer, answer_anthropic, fail, hang_midway, send_events, stream
from tests.serving.clients.conftest import RunJs
from tests.serving.clients.said import CALL, LONG, SCHEMA, TOOLS, USE, bytewise, vectors
from tests.upstream import Upstream

live_and_held_back = pytest.mark.parametrize("model", ["large", "drafts"])
HEAD = {"id": "c", "created": 1_700_000_000, "model": "m"}
ARGUMENTS = {"city": "Zürich 🌦️", "days": 3}


@live_and_held_back
def test_a_whole_answer(run_js: RunJs, upstream: Upstream, model: str) -> None:
    upstream.then(answer(LONG))
    found = run_js("openai", "whole", model=model)
    assert (found["text"], found["finish"], found["tokens"]) == (LONG, "stop", 17)
    assert found["ids"] == [found["requestId"]] * 2
    assert found["action"] == ("bypass" if model == "large" else "accepted")


@live_and_held_back
def test_chunks_add_up_to_the_text(run_js: RunJs, upstream: Upstream, model: str) -> None:
    upstream.then(bytewise(answer(LONG)))
    found = run_js("openai", "stream", model=model)
    assert found == {
        "text": LONG,
        "roles": ["assistant"],
        "finish": "stop",
        "tokens": 17,
        "ids": 1,
        "usages": 1,
    }


@pytest.mark.parametrize("model", ["large", "drafts", "claude-large", "claude-drafts"])
def test_the_clients_own_helper_assembles_tool_calls(
    run_js: RunJs, upstream: Upstream, model: str
) -> None:
    native = model.startswith("claude")
    upstream.then(
        answer_anthropic("Let me look.", tool_uses=[USE])
        if native
        else bytewise(answer("Let me look.", tool_calls=[CALL]))
    )
    found = run_js("openai", "helper", model=model, tools=TOOLS)
    (done,) = found["done"]
    assert (done["name"], done["parsed_arguments"]) == ("weather", ARGUMENTS)
    assert found["deltas"] == "Let me look."
    message = found["choice"]["message"]
    assert message["content"] == "Let me look."
    (call,) = message["tool_calls"]
    assert call["id"] == ("toolu_1" if native else "call_1")
    assert found["choice"]["finish_reason"] == "tool_calls"


@live_and_held_back
def test_answers_of_a_wanted_shape_are_parsed(
    run_js: RunJs, upstream: Upstream, model: str
) -> None:
    upstream.then(stream(['{"city": "Zür', 'ich 🌦️", "da', 'ys": 3}']))
    wanted = {"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA}}
    assert run_js("openai", "parse", model=model, responseFormat=wanted) == [ARGUMENTS] * 2


@live_and_held_back
def test_tools_are_run_to_the_end(run_js: RunJs, upstream: Upstream, model: str) -> None:
    turns = (answer(None, tool_calls=[CALL]), answer("It is 31 degrees."))
    upstream.then(*turns, *turns)
    found = run_js("openai", "runTools", model=model, tools=TOOLS)
    assert found == {"calls": [ARGUMENTS] * 2, "answers": ["It is 31 degrees."] * 2}
    assert upstream.bodies[-1]["messages"][-1]["content"] == "31"


@live_and_held_back
def test_several_choices_and_logprobs(run_js: RunJs, upstream: Upstream, model: str) -> None:
    def turn(index: int, text: str, reason: str | None = None) -> dict[str, Any]:
        token = {"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []}
        logprobs = {"content": [token], "refusal": None} if text else None
        said = {"content": text} if text else {}
        choice = {"index": index, "delta": said, "logprobs": logprobs, "finish_reason": reason}
        return {**HEAD, "choices": [choice]}

    upstream.then(
        send_events(
            turn(1, "zwei"), turn(0, "ei"), turn(0, "ns"), turn(1, "", "stop"), turn(0, "", "stop")
        )
    )
    assert run_js("openai", "choices", model=model) == [
        {"text": "eins", "finish": "stop", "logprobs": [-0.5, -0.5]},
        {"text": "zwei", "finish": "stop", "logprobs": [-0.5]},
    ]


def test_errors(run_js: RunJs) -> None:
    found = run_js("openai", "errors", model="small")
    facts = {
        name: (error["kind"], error["status"], error["code"], error["param"])
        for name, error in found.items()
    }
    failed = ("InternalServerError", 502, "upstream_failed", None)
    assert facts == {
        "stranger": ("AuthenticationError", 401, "invalid_api_key", None),
        "missing": ("NotFoundError", 404, "model_not_found", "model"),
        "wrong": ("BadRequestError", 400, "invalid_value", "messages[0].content"),
        "failed": failed,
        "streamed": failed,
    }
    assert all(error["requestId"].startswith("slc_") for error in found.values())


def test_a_stream_that_breaks_is_an_error_after_what_came(
    run_js: RunJs, upstream: Upstream, frail: str
) -> None:
    piece = {"index": 0, "delta": {"role": "assistant", "content": "It is "}}
    upstream.then(send_events({**HEAD, "choices": [piece]}, done=False, end="cut"))
    found = run_js("openai", "broken", model=frail)
    assert found["text"] == "It is "
    assert found["error"]["code"] == "upstream_failed"


def test_the_client_retries(run_js: RunJs, upstream: Upstream, frail: str) -> None:
    upstream.then(fail(500), answer("It is 42."))
    assert run_js("openai", "retried", model=frail) == "It is 42."


def test_a_client_that_leaves_ends_the_providers_call(
    run_js: RunJs, upstream: Upstream, frail: str
) -> None:
    upstream.then(hang_midway(answer(LONG)))
    before = upstream.open_connections
    run_js("openai", "leave", model=frail)
    deadline = time.monotonic() + 3.0
    while upstream.open_connections > max(0, before - 1):
        assert time.monotonic() < deadline, "the provider's call goes on"
        time.sleep(0.005)


def test_models(run_js: RunJs) -> None:
    found = run_js("openai", "models", model="claude-large")
    assert found["names"][0] == "auto"
    assert found["one"]["owned_by"] == "anthropic"


def test_embeddings(run_js: RunJs, upstream: Upstream) -> None:
    upstream.then(vectors)
    found = run_js("openai", "embeddings", model="embed")
    assert found["vectors"] == [[0.0, 0.5, -2.0], [1.0, 0.5, -2.0]]
    assert found["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
    assert upstream.bodies[0]["encoding_format"] == "base64"  # the client's own wish
    own = run_js("openai", "embeddings", model="sluice-encoder")
    assert [len(vector) for vector in own["vectors"]] == [256, 256]
