"""Bounded concurrency, bounded waiting, and turns between tenants."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from serving.errors import ApiError
from serving.operations.admission import Admission


def gate(concurrency: int = 1, queue: int = 10, timeout_s: float = 5.0) -> Admission:
    return Admission(max_concurrency=concurrency, max_queue=queue, queue_timeout_s=timeout_s)


async def queue_up(admission: Admission, tenant: str, log: list[str]) -> asyncio.Task[None]:
    """A waiter that writes its tenant's name into `log` once it is in; in the queue on return."""

    async def enter() -> None:
        await admission.enter(tenant)
        log.append(tenant)

    task = asyncio.create_task(enter())
    await asyncio.sleep(0)
    return task


async def test_there_is_room_up_to_the_limit() -> None:
    admission = gate(concurrency=2)
    await admission.enter("a")
    await admission.enter("b")
    assert (admission.in_flight, admission.waiting) == (2, 0)
    admission.leave()
    await admission.enter("c")
    assert admission.in_flight == 2


async def test_waiters_come_in_in_the_order_they_came() -> None:
    admission, log = gate(), []
    await admission.enter()
    tasks = [await queue_up(admission, "a", log) for _ in range(3)]
    assert admission.waiting == 3
    admission.leave()
    await tasks[0]
    assert not tasks[1].done()
    assert (admission.in_flight, admission.waiting) == (1, 2)


async def test_tenants_take_turns() -> None:
    admission, log = gate(queue=20), []
    await admission.enter("greedy")
    tasks = [await queue_up(admission, "greedy", log) for _ in range(6)]
    tasks += [await queue_up(admission, name, log) for name in ("b", "c", "b")]
    for _ in range(9):
        admission.leave()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert log[:6] == ["greedy", "b", "c", "greedy", "b", "greedy"]


async def test_a_full_queue_says_when_to_come_again() -> None:
    admission = gate(queue=1)
    await admission.enter("a")
    waiter = await queue_up(admission, "a", [])
    with pytest.raises(ApiError) as refusal:
        await admission.enter("a")
    error = refusal.value
    assert (error.status, error.code) == (429, "rate_limit_exceeded")
    assert error.headers == {"retry-after": "5"}
    admission.leave()
    await waiter


async def test_no_queue_means_no_waiting() -> None:
    admission = gate(queue=0)
    await admission.enter()
    with pytest.raises(ApiError):
        await admission.enter()
    admission.leave()
    await admission.enter()


async def test_a_greedy_tenant_cannot_keep_the_queue_for_itself() -> None:
    admission, log = gate(queue=4), []
    await admission.enter("greedy")
    greedy = [await queue_up(admission, "greedy", log) for _ in range(4)]
    others = [await queue_up(admission, name, log) for name in ("b", "c")]
    assert admission.waiting == 4
    for task in greedy[2:]:  # the newest lost their places
        with pytest.raises(ApiError):
            await task
    with pytest.raises(ApiError):  # and it gets no more
        await admission.enter("greedy")
    assert not any(task.done() for task in (*greedy[:2], *others))
    for _ in range(4):
        admission.leave()
        await asyncio.sleep(0)
    await asyncio.gather(*greedy[:2], *others)


async def test_waiting_has_an_end() -> None:
    admission = gate(timeout_s=0.05)
    await admission.enter()
    with pytest.raises(ApiError) as refusal:
        await admission.enter()
    assert refusal.value.status == 429
    assert "0.05 s" in refusal.value.message
    assert (admission.in_flight, admission.waiting) == (1, 0)
    admission.leave()
    assert admission.in_flight == 0


async def test_a_waiter_that_is_cancelled_leaves_the_queue() -> None:
    admission, log = gate(), []
    await admission.enter()
    first = await queue_up(admission, "a", log)
    second = await queue_up(admission, "a", log)
    first.cancel()
    admission.leave()  # before the cancelled one has run
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (admission.in_flight, admission.waiting) == (1, 0)


async def test_one_that_is_let_in_and_cancelled_at_once_passes_its_turn_on() -> None:
    admission, log = gate(), []
    await admission.enter()
    first = await queue_up(admission, "a", log)
    second = await queue_up(admission, "b", log)
    admission.leave()
    first.cancel()  # let in, but it does not know yet
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert log == ["b"]
    assert (admission.in_flight, admission.waiting) == (1, 0)


async def test_nothing_is_lost_in_a_crowd() -> None:
    """Whatever comes, leaves, is cancelled or runs out of time: the counts come out even."""
    admission, chance = gate(concurrency=3, queue=15, timeout_s=0.004), random.Random(7)
    most = 0

    async def visit(tenant: str) -> None:
        nonlocal most
        await admission.enter(tenant)
        try:
            most = max(most, admission.in_flight)
            await asyncio.sleep(chance.random() * 0.002)
        finally:
            admission.leave()

    tasks = []
    for _ in range(1500):
        tasks.append(asyncio.create_task(visit(chance.choice("aaaab"))))
        if chance.random() < 0.3:
            chance.choice(tasks).cancel()
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 0.001)
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ends} == {type(None), ApiError, asyncio.CancelledError}
    assert (admission.in_flight, admission.waiting, most) == (0, 0, 3)


async def test_free_room_costs_next_to_nothing() -> None:
    admission = gate(concurrency=512)
    best_us = 1e9
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(20_000):
            await admission.enter("key")
            admission.leave()
        best_us = min(best_us, (time.perf_counter() - begin) / 20_000 * 1e6)
    assert best_us < 2.0
