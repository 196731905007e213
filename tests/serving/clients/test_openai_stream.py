"""OpenAI's Python client reads streams: what it puts together is what the model said."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.behaviours import answer, answer_anthropic, hang_midway, send_events, stream
from tests.serving.clients.said import CALL, LONG, TOOLS, USE, bytewise
from tests.upstream import Upstream

ASK: list[Any] = [{"role": "user", "content": "How warm is it in Zürich?"}]
live_and_held_back = pytest.mark.parametrize("model", ["large", "drafts"])


class Weather(BaseModel):
    city: str
    days: int


@live_and_held_back
def test_chunks_add_up_to_the_text(
    openai_client: openai.OpenAI, upstream: Upstream, model: str
) -> None:
    upstream.then(bytewise(answer(LONG)))
    with openai_client.chat.completions.create(model=model, messages=ASK, stream=True) as chunks:
        seen = list(chunks)
    text = "".join(one.choices[0].delta.content or "" for one in seen)
    assert text == LONG
    assert seen[0].choices[0].delta.role == "assistant"
    assert seen[-1].choices[0].finish_reason == "stop"
    assert all(one.usage is None for one in seen)
    assert len({(one.id, one.model, one.created) for one in seen}) == 1


@live_and_held_back
def test_usage_comes_last_for_who_asks(
    openai_client: openai.OpenAI, upstream: Upstream, model: str
) -> None:
    with openai_client.chat.completions.create(
        model=model, messages=ASK, stream=True, stream_options={"include_usage": True}
    ) as chunks:
        *others, last = list(chunks)
    assert all(one.usage is None for one in others)
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == 17


def test_what_headers_of_a_stream_say(openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.with_streaming_response.create(
        model="large", messages=ASK, stream=True
    ) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert raw.headers["x-request-id"] == raw.headers["x-sluice-request-id"]
        assert raw.headers["x-sluice-model"] == "large"
        assert raw.headers["x-sluice-action"] == "bypass"
        lines = list(raw.iter_lines())
    (comment,) = [line for line in lines if line.startswith(": sluice ")]
    costs = json.loads(comment.removeprefix(": sluice "))
    assert float(costs["cost-usd"]) == pytest.approx(220e-6)
    assert lines[-2:] == ["data: [DONE]", ""]


@live_and_held_back
def test_the_clients_own_helper_assembles_tool_calls(
    openai_client: openai.OpenAI, upstream: Upstream, model: str
) -> None:
    upstream.then(bytewise(answer("Let me look.", tool_calls=[CALL, {**CALL, "id": "call_2"}])))
    done = []
    with openai_client.chat.completions.stream(
        model=model, messages=ASK, tools=TOOLS, stream_options={"include_usage": True}
    ) as events:
        for event in events:
            if event.type == "tool_calls.function.arguments.done":
                done.append((event.index, event.name, event.parsed_arguments))
        found = events.get_final_completion()
    arguments = {"city": "Zürich 🌦️", "days": 3}
    assert done == [(0, "weather", arguments), (1, "weather", arguments)]
    message = found.choices[0].message
    assert message.content == "Let me look."
    assert [call.id for call in message.tool_calls or ()] == ["call_1", "call_2"]
    assert found.usage is not None
    assert found.usage.completion_tokens == 5


@live_and_held_back
def test_a_stream_of_a_wanted_shape_is_parsed(
    openai_client: openai.OpenAI, upstream: Upstream, model: str
) -> None:
    upstream.then(stream(['{"city": "Zür', 'ich 🌦️", "da', 'ys": 3}']))
    with openai_client.chat.completions.stream(
        model=model, messages=ASK, response_format=Weather
    ) as events:
        found = events.get_final_completion()
    assert found.choices[0].message.parsed == Weather(city="Zürich 🌦️", days=3)


@live_and_held_back
def test_several_choices_and_logprobs(
    openai_client: openai.OpenAI, upstream: Upstream, model: str
) -> None:
    def token(text: str) -> dict[str, Any]:
        return {"token": text, "logprob": -0.5, "bytes": list(text.encode()), "top_logprobs": []}

    def choice(index: int, text: str, reason: str | None = None) -> dict[str, Any]:
        logprobs = {"content": [token(text)], "refusal": None} if text else None
        said = {"content": text} if text else {}
        return {"index": index, "delta": said, "logprobs": logprobs, "finish_reason": reason}

    head = {"id": "c", "created": 1_700_000_000, "model": "m"}
    turns = [choice(1, "zwei"), choice(0, "ei"), choice(0, "ns"), choice(1, "", "stop")]
    turns.append(choice(0, "", "length"))
    upstream.then(send_events(*({**head, "choices": [turn]} for turn in turns)))
    with openai_client.chat.completions.create(
        model=model, messages=ASK, stream=True, n=2, logprobs=True
    ) as chunks:
        texts, reasons, logprobs = {0: "", 1: ""}, {}, {0: 0, 1: 0}
        for one in chunks:
            for found in one.choices:
                texts[found.index] += found.delta.content or ""
                reasons.update({found.index: found.finish_reason} if found.finish_reason else {})
                if found.logprobs is not None:
                    logprobs[found.index] += len(found.logprobs.content or ())
    assert texts == {0: "eins", 1: "zwei"}
    assert reasons == {0: "length", 1: "stop"}
    assert logprobs == {0: 2, 1: 1}


@pytest.mark.parametrize("model", ["claude-large", "claude-drafts"])
def test_a_provider_of_anthropics_format(
    openai_client: openai.OpenAI, upstream: Upstream, model: str
) -> None:
    upstream.then(bytewise(answer_anthropic(LONG, tool_uses=[USE])))
    with openai_client.chat.completions.stream(model=model, messages=ASK, tools=TOOLS) as events:
        found = events.get_final_completion()
    message = found.choices[0].message
    assert message.content == LONG
    (call,) = message.tool_calls or ()
    assert call.function.parsed_arguments == USE["input"]
    assert found.choices[0].finish_reason == "tool_calls"


def test_a_client_that_leaves_ends_the_providers_call(
    openai_client: openai.OpenAI, upstream: Upstream, frail: str
) -> None:
    upstream.then(hang_midway(answer(LONG)))
    with openai_client.chat.completions.create(model=frail, messages=ASK, stream=True) as chunks:
        for one in chunks:
            if one.choices[0].delta.content:
                break
        during = upstream.open_connections
    deadline = time.monotonic() + 3.0
    while upstream.open_connections >= during:  # others idle in the gateway's pool
        assert time.monotonic() < deadline, "the provider's call goes on"
        time.sleep(0.005)


def test_a_stream_that_breaks_is_an_error_after_what_came(
    openai_client: openai.OpenAI, upstream: Upstream, frail: str
) -> None:
    head = {"id": "c", "created": 1_700_000_000, "model": "m"}
    piece = {"index": 0, "delta": {"role": "assistant", "content": "It is "}}
    upstream.then(send_events({**head, "choices": [piece]}, done=False, end="cut"))
    seen: list[str] = []
    with (
        openai_client.chat.completions.create(model=frail, messages=ASK, stream=True) as chunks,
        pytest.raises(openai.APIError) as caught,
    ):
        seen.extend(one.choices[0].delta.content or "" for one in chunks)
    assert "".join(seen) == "It is "
    assert caught.value.code == "upstream_failed"
    assert caught.value.type == "upstream_error"


def test_pieces_come_as_they_are_said(openai_client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.then(stream(["one ", "two ", "three"], delay_s=0.15))
    start, times = time.perf_counter(), []
    with openai_client.chat.completions.create(model="large", messages=ASK, stream=True) as chunks:
        for one in chunks:
            if one.choices[0].delta.content:
                times.append(time.perf_counter() - start)
    assert len(times) == 3
    assert times[2] - times[0] > 0.2
