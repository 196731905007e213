"""A deadline ends what takes too long, and nothing else."""

from __future__ import annotations

import asyncio
import time

import pytest

from router.deadline import Deadline


async def test_what_is_quick_is_not_touched() -> None:
    with Deadline(0.01) as deadline:
        await asyncio.sleep(0)
    await asyncio.sleep(0.03)
    assert not deadline.has_passed


async def test_what_takes_too_long_ends_in_a_timeout() -> None:
    start = time.perf_counter()
    with pytest.raises(TimeoutError) as caught, Deadline(0.02) as deadline:
        await asyncio.sleep(10)
    assert deadline.has_passed
    assert time.perf_counter() - start < 1
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_the_inner_one_of_two_ends_only_what_is_under_it() -> None:
    with Deadline(10) as outer:
        with pytest.raises(TimeoutError), Deadline(0.01) as inner:
            await asyncio.sleep(10)
        await asyncio.sleep(0)
    assert (inner.has_passed, outer.has_passed) == (True, False)


async def test_the_outer_one_of_two_ends_both() -> None:
    with pytest.raises(TimeoutError), Deadline(0.01) as outer, Deadline(10) as inner:
        await asyncio.sleep(10)
    assert (inner.has_passed, outer.has_passed) == (False, True)


async def test_other_errors_come_through() -> None:
    with pytest.raises(TimeoutError) as caught, Deadline(10) as deadline:
        raise TimeoutError("another's")
    assert str(caught.value) == "another's"
    assert not deadline.has_passed


async def test_it_can_be_moved_both_ways() -> None:
    with Deadline(0.01) as deadline:
        deadline.move(10)
        await asyncio.sleep(0.03)
    assert not deadline.has_passed
    with pytest.raises(TimeoutError), Deadline(10) as deadline:
        await _sleep_to(deadline, 0.01)
    assert deadline.has_passed


async def _sleep_to(deadline: Deadline, limit_s: float) -> None:
    deadline.move(limit_s)
    await asyncio.sleep(10)


async def test_who_is_cancelled_at_that_moment_is_cancelled() -> None:
    async def work() -> None:
        with Deadline(0.01):
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.01, task.cancel)
    time.sleep(0.03)  # so that both are due in one turn of the loop
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_of_before_is_not_taken_for_its_own() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            with pytest.raises(TimeoutError), Deadline(0.01):
                await asyncio.sleep(10)
            raise

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
