"""`CascadeAgent.stream`: typed events, one model's text, the policies, and what leaving it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from router.agent.agent import CascadeAgent
from router.agent.events import ChunkEvent, DoneEvent, ErrorEvent, StreamEvent, VerdictEvent
from router.config import QualityConfig
from router.errors import CascadeExhaustedError, InputError, UpstreamError
from tests.agents import ACCEPT_ALL, ALWAYS_PAIRS, DIRECT, REJECT_ALL, by_model
from tests.behaviours import answer, cut, fail, hang_midway, stream
from tests.upstream import Upstream

MakeAgent = Callable[..., CascadeAgent]
PROMPT = "What is 6 times 7?"
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
OPTIMISTIC = QualityConfig(optimistic_above=0.0)


async def collected(events: AsyncIterator[StreamEvent]) -> list[StreamEvent]:
    return [event async for event in events]


async def collect(events: AsyncIterator[StreamEvent], into: list[StreamEvent]) -> None:
    """`collected`, for a stream that raises."""
    async for event in events:
        into.append(event)


def kinds(events: Sequence[StreamEvent]) -> list[str]:
    """The types in their order, runs of chunks as one."""
    found: list[str] = []
    for event in events:
        if event.type != "chunk" or found[-1:] != ["chunk"]:
            found.append(event.type)
    return found


def text_of(events: Sequence[StreamEvent]) -> str:
    return "".join(event.content for event in events)


def models_of(events: Sequence[StreamEvent]) -> set[str]:
    return {event.model for event in events if isinstance(event, ChunkEvent)}


async def test_an_accepted_draft_streams_after_its_verdict(make_agent: MakeAgent) -> None:
    events = await collected(make_agent().stream(PROMPT))
    assert kinds(events) == ["routing", "usage", "verdict", "chunk", "done"]
    done = events[-1]
    assert isinstance(done, DoneEvent)
    assert text_of(events) == done.result.content == "It is small, the answer is 42."
    assert done.result.first_token_ms is not None
    assert 0 < done.result.first_token_ms <= done.result.latency_ms


async def test_a_rejected_draft_never_reaches_the_caller(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    events = await collected(make_agent(policy=REJECT_ALL).stream(PROMPT))
    assert kinds(events) == ["routing", "usage", "verdict", "escalation", "chunk", "usage", "done"]
    assert text_of(events) == "It is large, the answer is 42."
    assert models_of(events) == {"large"}
    assert [body.get("stream", False) for body in upstream.bodies] == [False, True]


async def test_a_direct_answer_is_passed_on_piece_by_piece_as_it_comes(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(stream(["one ", "two ", "three"], delay_s=0.03))
    events = await collected(make_agent(policy=DIRECT).stream(PROMPT))
    pieces = [event.content for event in events if event.content]
    assert pieces == ["one ", "two ", "three"]
    done = events[-1]
    assert isinstance(done, DoneEvent)
    assert done.result.first_token_ms is not None
    assert done.result.first_token_ms < done.result.latency_ms - 50


async def test_a_consensus_tells_the_verdict_on_both_drafts(make_agent: MakeAgent) -> None:
    agent = make_agent("small", "other", "large", policy=ALWAYS_PAIRS)
    events = await collected(agent.stream(PROMPT))
    judged = [event.model for event in events if isinstance(event, VerdictEvent)]
    assert sorted(judged) == ["other", "small"]
    assert len(models_of(events)) == 1


async def test_an_optimistic_draft_streams_at_once_and_stays_the_answer(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(stream(["I ", "guess ", "so."]))
    agent = make_agent(policy=REJECT_ALL, quality=OPTIMISTIC)
    events = await collected(agent.stream(PROMPT, stream_policy="optimistic"))
    assert kinds(events) == ["routing", "chunk", "usage", "verdict", "done"]
    assert text_of(events) == "I guess so."
    verdict = next(event for event in events if isinstance(event, VerdictEvent)).verdict
    assert not verdict.accept  # the truth about a draft that cannot be taken back
    done = events[-1]
    assert isinstance(done, DoneEvent)
    assert (done.result.action, done.result.draft_accepted) == ("optimistic", False)
    assert [body["model"] for body in upstream.bodies] == ["small"]


async def test_a_draft_predicted_below_the_threshold_is_held_back_all_the_same(
    make_agent: MakeAgent,
) -> None:
    agent = make_agent(quality=QualityConfig(optimistic_above=1.0))
    events = await collected(agent.stream(PROMPT, stream_policy="optimistic"))
    assert kinds(events) == ["routing", "usage", "verdict", "chunk", "done"]


async def test_an_optimistic_drafter_that_fails_before_its_first_token_is_replaced(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=fail(500), large=answer("large")))
    agent = make_agent(quality=OPTIMISTIC, stream_policy="optimistic")
    events = await collected(agent.stream(PROMPT))
    assert (text_of(events), models_of(events)) == ("large", {"large"})


async def test_only_the_drafter_that_was_predicted_well_is_passed_on_before_its_verdict(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    plays = by_model(small=fail(500), other=answer("I cannot help."), large=answer("It is 42."))
    upstream.then(plays)
    agent = make_agent("small", "other", "large", policy=REJECT_ALL, quality=OPTIMISTIC)
    events = await collected(agent.stream(PROMPT, stream_policy="optimistic"))
    assert (text_of(events), models_of(events)) == ("It is 42.", {"large"})
    assert [body["model"] for body in upstream.bodies] == ["small", "other", "large"]


@pytest.mark.parametrize("policy", [DIRECT, ACCEPT_ALL], ids=["verifier", "optimistic draft"])
async def test_a_stream_that_breaks_is_an_error_and_no_other_model_goes_on_with_it(
    make_agent: MakeAgent, upstream: Upstream, policy: Any
) -> None:
    whole = answer("A long enough answer to be cut in the middle of it.")
    broken = cut(whole)
    upstream.then(
        by_model(
            small=broken if policy is ACCEPT_ALL else whole,
            large=broken if policy is DIRECT else whole,
        )
    )
    agent = make_agent(policy=policy, quality=OPTIMISTIC, stream_policy="optimistic")
    events: list[StreamEvent] = []
    with pytest.raises(UpstreamError) as caught:
        await collect(agent.stream(PROMPT), events)
    assert caught.value.cause == "disconnected"
    last = events[-1]
    assert isinstance(last, ErrorEvent)
    assert last.error is caught.value
    assert len(models_of(events)) == 1
    assert len(upstream.requests) == 1


async def test_when_all_fail_the_error_is_the_last_event_and_is_raised(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(fail(500))
    events: list[StreamEvent] = []
    with pytest.raises(CascadeExhaustedError):
        await collect(make_agent().stream(PROMPT), events)
    assert kinds(events) == ["routing", "error"]


@pytest.mark.parametrize("policy", [ACCEPT_ALL, DIRECT], ids=["draft", "verifier"])
async def test_tool_calls_stream_as_deltas(
    make_agent: MakeAgent, upstream: Upstream, policy: Any
) -> None:
    upstream.then(answer(None, tool_calls=[CALL]))
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    events = await collected(make_agent(policy=policy).stream(PROMPT, tools=tools))
    deltas = [call for one in events if isinstance(one, ChunkEvent) for call in one.tool_calls]
    assert {call["index"] for call in deltas} == {0}
    said = "".join(call["function"].get("arguments") or "" for call in deltas)
    assert said == '{"a": 1}'
    done = events[-1]
    assert isinstance(done, DoneEvent)
    assert [call["function"]["name"] for call in done.result.tool_calls] == ["f"]


@pytest.mark.parametrize("policy", [ACCEPT_ALL, DIRECT], ids=["draft", "verifier"])
async def test_leaving_the_iteration_cancels_the_call_upstream(
    make_agent: MakeAgent, upstream: Upstream, policy: Any
) -> None:
    upstream.then(hang_midway(answer("never ends, this one")))
    before = asyncio.all_tasks()
    agent = make_agent(policy=policy)
    async with aclosing(agent.stream(PROMPT)) as events:
        async for event in events:
            if policy is ACCEPT_ALL or event.content:
                break
        await asyncio.sleep(0.05)  # the call is under way
    assert asyncio.all_tasks() == before
    assert await upstream.all_closed()


async def test_cancelling_a_run_cancels_the_call_upstream(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(hang_midway(answer()))
    before = asyncio.all_tasks()
    task = asyncio.create_task(make_agent().run(PROMPT))
    await asyncio.sleep(0.1)
    assert upstream.open_connections == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    assert await upstream.all_closed()


async def test_a_slow_reader_makes_the_model_wait_and_loses_nothing(
    make_agent: MakeAgent, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.agent.streams._MOST_WAITING", 4)
    pieces = [f"{number} " for number in range(200)]
    upstream.then(stream(pieces))
    found = ""
    async for event in make_agent(policy=DIRECT).stream(PROMPT):
        found += event.content
        await asyncio.sleep(0)
    assert found == "".join(pieces)


async def test_what_is_wrong_with_a_query_is_said_at_once(make_agent: MakeAgent) -> None:
    with pytest.raises(InputError):
        make_agent().stream("")
