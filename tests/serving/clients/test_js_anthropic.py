"""Anthropic's JavaScript client reads the same as the Python one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.behaviours import answer, answer_anthropic, send_events
from tests.serving.clients.conftest import RunJs
from tests.serving.clients.said import CALL, LONG, SCHEMA, USE, bytewise
from tests.upstream import Upstream

each_model = pytest.mark.parametrize("model", ["claude-large", "claude-drafts", "large", "drafts"])
TOOLS = [{"name": "weather", "description": "?", "input_schema": SCHEMA}]


def speak(model: str, text: str | None, *, calls: bool = False) -> Any:
    """What the provider of a model says: in Anthropic's format, or in OpenAI's."""
    if model.startswith("claude"):
        return answer_anthropic(text, tool_uses=[USE] if calls else [])
    return answer(text, tool_calls=[CALL] if calls else [])


@each_model
def test_a_whole_message(run_js: RunJs, upstream: Upstream, model: str) -> None:
    upstream.then(speak(model, LONG))
    found = run_js("anthropic", "whole", model=model)
    assert found["content"] == [{"type": "text", "text": LONG}]
    assert found["stop"] == "end_turn"
    assert (found["usage"]["input_tokens"], found["usage"]["output_tokens"]) == (12, 5)
    assert found["ids"] == [found["requestId"]] * 2


@each_model
def test_a_streamed_message(run_js: RunJs, upstream: Upstream, model: str) -> None:
    upstream.then(bytewise(speak(model, LONG)))
    found = run_js("anthropic", "stream", model=model)
    assert found["text"] == LONG
    assert found["content"] == [{"type": "text", "text": LONG}]
    assert (found["stop"], found["usage"]["output_tokens"]) == ("end_turn", 5)
    assert found["kinds"][:2] == ["message_start", "content_block_start"]
    assert found["kinds"][-3:] == ["content_block_stop", "message_delta", "message_stop"]


@each_model
def test_tools_whole_and_streamed(run_js: RunJs, upstream: Upstream, model: str) -> None:
    upstream.then(bytewise(speak(model, "Let me look.", calls=True)))
    found = run_js("anthropic", "tools", model=model, tools=TOOLS)
    for content in found["contents"]:
        text, use = content
        assert text["text"] == "Let me look."
        assert (use["type"], use["name"], use["input"]) == ("tool_use", "weather", USE["input"])
    assert json.loads(found["pieces"]) == USE["input"]
    assert found["stop"] == "tool_use"


@pytest.mark.parametrize("model", ["claude-drafts", "large"])
def test_tools_are_run_to_the_end(run_js: RunJs, upstream: Upstream, model: str) -> None:
    turns = (speak(model, None, calls=True), speak(model, "It is 31 degrees."))
    upstream.then(*turns, *turns)
    found = run_js("anthropic", "toolRunner", model=model, tools=TOOLS)
    assert found["calls"] == [USE["input"]] * 2
    assert [content[0]["text"] for content in found["answers"]] == ["It is 31 degrees."] * 2


def test_errors(run_js: RunJs) -> None:
    found = run_js("anthropic", "errors", model="small")
    facts = {
        name: (error["kind"], error["status"], error["code"], error["type"])
        for name, error in found.items()
    }
    failed = ("InternalServerError", 502, "upstream_failed", "api_error")
    assert facts == {
        "stranger": ("AuthenticationError", 401, "invalid_api_key", "authentication_error"),
        "missing": ("NotFoundError", 404, "model_not_found", "not_found_error"),
        "failed": failed,
        "streamed": failed,
    }
    assert all(error["requestId"].startswith("slc_") for error in found.values())


def test_a_stream_that_breaks_is_an_error_after_what_came(
    run_js: RunJs, upstream: Upstream, frail: str
) -> None:
    head = {"id": "c", "created": 1_700_000_000, "model": "m"}
    piece = {"index": 0, "delta": {"role": "assistant", "content": "It is "}}
    upstream.then(send_events({**head, "choices": [piece]}, done=False, end="cut"))
    found = run_js("anthropic", "broken", model=frail)
    assert found["text"] == "It is "
    assert found["error"]["code"] == "upstream_failed"


def test_models_in_pages(run_js: RunJs) -> None:
    found = run_js("anthropic", "models", model="claude-large")
    assert found["names"][0] == "auto"
    assert len(set(found["names"])) == len(found["names"]) > 6
    assert found["one"]["display_name"] == "claude-large"
