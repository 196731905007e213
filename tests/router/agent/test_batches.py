"""`CascadeAgent.run_batch`: many queries, a bounded number at a time, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from router.agent.agent import CascadeAgent
from router.agent.batches import BatchError
from router.agent.results import RunResult
from router.errors import CascadeExhaustedError, InputError, SluiceError
from tests.behaviours import Received, Script
from tests.upstream import Upstream, answer, fail, hang

MakeAgent = Callable[..., CascadeAgent]


class Echo:
    """Answers with the prompt after `delay_s`, and with status 500 where it says "bad"."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s

    def __call__(self, request: Received) -> Script:
        prompt = request.body["messages"][-1]["content"]
        if "bad" in prompt:
            return fail(500)(request)
        script = answer(f"echo of {prompt}")(request)
        return replace(script, pieces=(self.delay_s, *script.pieces))


async def most_at_once(upstream: Upstream, over: asyncio.Event) -> int:
    """The most connections to the server until `over` is set: one is opened only when all others
    are in use."""
    most = 0
    while not over.is_set():
        most = max(most, upstream.open_connections)
        await asyncio.sleep(0.001)
    return most


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_no_more_than_so_many_at_once_and_the_results_in_their_order(
    make_agent: MakeAgent, upstream: Upstream, concurrency: int
) -> None:
    upstream.then(Echo(0.005))
    queries = [f"query number {number}" for number in range(24)]
    over = asyncio.Event()
    watching = asyncio.create_task(most_at_once(upstream, over))
    agent = make_agent()
    results = await agent.run_batch(queries, concurrency=concurrency)
    over.set()
    assert [one.content for one in results] == [f"echo of {query}" for query in queries]
    assert await watching == concurrency
    assert agent.get_analytics().runs == 24


async def test_a_batch_error_carries_every_result(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(Echo())
    queries = ["one", "bad two", "three", "bad four"]
    with pytest.raises(BatchError, match="2 of 4 runs failed; number 1: ") as caught:
        await make_agent().run_batch(queries, concurrency=2)
    results = caught.value.results
    assert [isinstance(one, RunResult) for one in results] == [True, False, True, False]
    assert [one.content for one in results if isinstance(one, RunResult)] == [
        "echo of one",
        "echo of three",
    ]
    assert all(
        isinstance(one, CascadeExhaustedError) for one in results if isinstance(one, SluiceError)
    )
    assert "bad two" not in str(caught.value)


async def test_errors_may_stand_in_the_places_of_results(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(Echo())
    results = await make_agent().run_batch(["bad", "two"], on_error="return")
    assert isinstance(results[0], CascadeExhaustedError)
    assert isinstance(results[1], RunResult)
    assert results[1].content == "echo of two"


async def test_options_go_to_every_run_and_messages_are_queries_too(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    messages = [{"role": "user", "content": "hello there"}]
    results = await make_agent().run_batch(
        ["one", messages], models=["large"], temperature=0.1, user="ann"
    )
    assert [one.model_used for one in results] == ["large", "large"]
    assert [(body["temperature"], body["user"]) for body in upstream.bodies] == [(0.1, "ann")] * 2
    assert messages in [body["messages"] for body in upstream.bodies]


async def test_an_empty_batch_has_no_results(make_agent: MakeAgent) -> None:
    assert await make_agent().run_batch([]) == []


@pytest.mark.parametrize(
    ("queries", "options", "param"),
    [("a string", {}, "queries"), (["one"], {"concurrency": 0}, "concurrency")],
)
async def test_what_is_no_batch_is_refused(
    make_agent: MakeAgent, queries: Any, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(InputError) as caught:
        await make_agent().run_batch(queries, **options)
    assert caught.value.param == param


async def test_a_progress_bar_goes_to_stderr_and_only_when_asked_for(
    make_agent: MakeAgent, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.then(Echo())
    agent = make_agent()
    await agent.run_batch(["one", "two"])
    assert capsys.readouterr() == ("", "")
    await agent.run_batch(["one", "two", "bad"], progress=True, on_error="return")
    said = capsys.readouterr()
    assert said.out == ""
    assert "queries" in said.err
    assert "3/3" in said.err


async def test_cancelling_a_batch_cancels_its_calls(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(hang())
    before = asyncio.all_tasks()
    task = asyncio.create_task(make_agent().run_batch(["one", "two", "three"], concurrency=2))
    while len(upstream.requests) < 2:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    assert await upstream.all_closed()
    assert len(upstream.requests) == 2


def test_a_batch_runs_without_an_event_loop(make_sync_agent: MakeAgent, upstream: Upstream) -> None:
    upstream.then(Echo())
    agent = make_sync_agent()
    found = agent.run_batch_sync(["one", "two"], concurrency=2)
    assert [one.content for one in found] == ["echo of one", "echo of two"]
    with pytest.raises(BatchError):
        agent.run_batch_sync(["bad", "two"])
