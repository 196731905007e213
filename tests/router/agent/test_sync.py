"""The blocking methods: without a loop, inside one, from threads; and what an interrupt does."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.agent.agent import CascadeAgent
from router.agent.events import ChunkEvent, DoneEvent, ErrorEvent
from router.config import BudgetConfig
from router.errors import CascadeExhaustedError, InputError, UsageError
from tests.agents import DIRECT, REJECT_ALL
from tests.upstream import Upstream, answer, fail, hang, hang_midway, stream

MakeAgent = Callable[..., CascadeAgent]
PROMPT = "What is 6 times 7?"
ROOT = Path(__file__).resolve().parents[3]


def loop_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "sluice"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    assert not loop_threads()
    yield
    assert not loop_threads()


@contextmanager
def interrupt(upstream: Upstream) -> Iterator[None]:
    """Ctrl-C, shortly after the upstream has been asked."""
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        while not upstream.requests:
            time.sleep(0.005)
        time.sleep(0.05)
        signal.pthread_kill(main, signal.SIGINT)

    # Python leaves the signal alone where it was started with it ignored, as in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    pressing = threading.Thread(target=press)
    pressing.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        pressing.join()
        signal.signal(signal.SIGINT, before)


def all_closed(upstream: Upstream) -> bool:
    return asyncio.run(upstream.all_closed())


def test_a_run_without_an_event_loop(make_sync_agent: MakeAgent) -> None:
    agent = make_sync_agent(policy=REJECT_ALL)
    result = agent.run_sync(PROMPT, temperature=0.1)
    assert (result.content, result.action) == ("It is large, the answer is 42.", "escalated")
    assert len(loop_threads()) == 1
    agent.close()
    assert not loop_threads()


def test_a_closed_agent_can_be_asked_again(make_sync_agent: MakeAgent) -> None:
    agent = make_sync_agent()
    for _ in range(2):
        assert agent.run_sync(PROMPT).model_used == "small"
        agent.close()


def test_a_context_manager_closes_what_it_opened(
    make_sync_agent: MakeAgent, upstream: Upstream
) -> None:
    with make_sync_agent() as agent:
        agent.run_sync(PROMPT)
        assert upstream.open_connections == 1
    assert all_closed(upstream)
    assert not loop_threads()


def test_errors_are_raised_as_they_are(make_sync_agent: MakeAgent, upstream: Upstream) -> None:
    upstream.then(fail(500))
    agent = make_sync_agent()
    with pytest.raises(CascadeExhaustedError):
        agent.run_sync(PROMPT)
    with pytest.raises(InputError):
        agent.run_sync("")
    with pytest.raises(CascadeExhaustedError):
        list(agent.stream_sync(PROMPT))


def test_a_stream_without_an_event_loop(make_sync_agent: MakeAgent, upstream: Upstream) -> None:
    upstream.then(stream(["one ", "two ", "three"]))
    events = list(make_sync_agent(policy=DIRECT).stream_sync(PROMPT))
    assert "".join(event.content for event in events) == "one two three"
    assert isinstance(events[-1], DoneEvent)


def test_pieces_come_as_they_are_sent_not_at_the_end(
    make_sync_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(stream(["one ", "two"], delay_s=0.04))
    agent = make_sync_agent(policy=DIRECT)
    came = []
    for event in agent.stream_sync(PROMPT):
        if event.content:
            came.append(time.perf_counter())
    assert came[1] - came[0] > 0.02


async def test_the_blocking_methods_work_inside_a_running_loop(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    agent = make_agent()
    assert agent.run_sync(PROMPT).model_used == "small"
    text = "".join(event.content for event in agent.stream_sync(PROMPT))
    assert text == "It is small, the answer is 42."
    (other,) = agent.run_batch_sync([PROMPT])
    assert (await agent.run(PROMPT)).content == other.content
    await agent.aclose()
    assert not loop_threads()
    assert await upstream.all_closed()


def test_several_threads_share_an_agent(make_sync_agent: MakeAgent, upstream: Upstream) -> None:
    agent = make_sync_agent()

    def ask(number: int) -> str:
        if number % 2:
            return "".join(event.content for event in agent.stream_sync(f"{PROMPT} {number}"))
        return agent.run_sync(f"{PROMPT} {number}").content

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(32)))
    assert set(found) == {"It is small, the answer is 42."}
    assert len(loop_threads()) == 1
    assert len(upstream.requests) == 32


def test_two_event_loops_one_after_the_other_use_one_agent(
    make_sync_agent: MakeAgent, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    agent = make_sync_agent()

    async def ask() -> str:
        async with agent:
            return (await agent.run(PROMPT)).content

    with caplog.at_level(logging.DEBUG):
        found = [asyncio.run(ask()) for _ in range(2)]
        gc.collect()
    assert found == ["It is small, the answer is 42."] * 2
    assert all_closed(upstream)
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_an_agent_whose_loop_ended_before_it_was_closed_goes_on_in_the_next(
    make_sync_agent: MakeAgent, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    agent = make_sync_agent()
    found = [asyncio.run(agent.run(PROMPT)).content for _ in range(2)]
    assert found == ["It is small, the answer is 42."] * 2
    assert agent.run_sync(PROMPT).content == found[0]
    agent.close()
    gc.collect()
    assert all_closed(upstream)
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_an_interrupt_cancels_the_call_upstream(
    make_sync_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(hang())
    agent = make_sync_agent()
    with interrupt(upstream):
        agent.run_sync(PROMPT)
    assert all_closed(upstream)
    upstream.then(answer("Still here."))
    assert agent.run_sync(PROMPT).content == "Still here."


@pytest.mark.parametrize("policy", [DIRECT, REJECT_ALL], ids=["live", "draft"])
def test_an_interrupt_ends_a_stream_and_its_call(
    make_sync_agent: MakeAgent, upstream: Upstream, policy: object
) -> None:
    upstream.then(hang_midway(answer("one two three four five six")))
    agent = make_sync_agent(policy=policy)
    with interrupt(upstream):
        for _ in agent.stream_sync(PROMPT):
            pass
    assert all_closed(upstream)
    upstream.then(answer("Still here."))
    assert agent.run_sync(PROMPT).content == "Still here."


def test_an_interrupt_ends_a_batch(make_sync_agent: MakeAgent, upstream: Upstream) -> None:
    upstream.then(hang())
    agent = make_sync_agent()
    with interrupt(upstream):
        agent.run_batch_sync([PROMPT] * 6, concurrency=3)
    assert all_closed(upstream)
    assert len(upstream.requests) == 3


def test_leaving_a_stream_early_cancels_the_call_upstream(
    make_sync_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(hang_midway(answer("one two three four five six seven")))
    agent = make_sync_agent(policy=DIRECT)
    for event in agent.stream_sync(PROMPT):
        if isinstance(event, ChunkEvent) and event.content:
            break
    assert all_closed(upstream)


def test_a_reader_that_leaves_at_the_error_hears_no_more_of_it(
    make_sync_agent: MakeAgent, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.then(fail(500))
    agent = make_sync_agent()
    for event in agent.stream_sync(PROMPT):
        if isinstance(event, ErrorEvent):
            break
    agent.close()
    gc.collect()
    assert not [one for one in caplog.records if "never retrieved" in one.getMessage()]


def test_closing_an_agent_ends_a_stream_that_nobody_reads_on(
    make_sync_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(hang_midway(answer("one two three four five six seven")))
    agent = make_sync_agent(policy=DIRECT)
    events = agent.stream_sync(PROMPT)
    while not next(events).content:
        pass
    agent.close()
    assert all_closed(upstream)
    assert not loop_threads()


async def test_closing_in_the_event_loop_it_would_block_is_refused(
    make_agent: Callable[..., CascadeAgent],
) -> None:
    agent = make_agent()
    await agent.run(PROMPT)
    with pytest.raises(UsageError, match="await aclose"):
        agent.close()


def test_a_blocking_method_within_a_run_is_refused(
    make_sync_agent: MakeAgent, upstream: Upstream, tmp_path: Path
) -> None:
    agent: CascadeAgent
    budget = BudgetConfig(
        daily_limit=1e-9,
        store=tmp_path / "ledger.db",
        on_limit_exceeded=lambda status: agent.run_sync(PROMPT),
    )
    agent = make_sync_agent(budget=budget)
    with pytest.raises(UsageError, match="cannot be used within a run"):
        agent.run_sync(PROMPT)
    agent.close()


SCRIPT = """
import os, sys
from router import CascadeAgent, ModelConfig

model = ModelConfig(name="m", provider="local", api_base=sys.argv[1], cost=0.001)
agent = CascadeAgent(models=[model])
"""


def script(upstream: Upstream, more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT + more, upstream.url]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_program_ends_though_a_stream_was_left_unfinished(upstream: Upstream) -> None:
    upstream.then(stream(["one ", "two ", "three"], delay_s=0.01))
    left = """
events = agent.stream_sync("Count.")
for event in events:
    if event.content:
        break
print("end")
"""
    done = script(upstream, left)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_a_child_of_a_fork_has_a_thread_of_its_own(upstream: Upstream) -> None:
    forking = """
agent.run_sync("In the parent.")
child = os.fork()
if child == 0:
    print(agent.run_sync("In the child.").content, flush=True)
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""
    upstream.then(answer("Here."))
    done = script(upstream, forking)
    assert (done.returncode, done.stdout) == (0, "Here.\n")
