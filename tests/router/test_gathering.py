"""What is asked for in one turn of the loop is done at once, and everyone gets what is theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from router.gathering import Gatherer


class Doubling:
    """Doubles numbers, and remembers how many at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.sizes.append(len(items))
        if -1 in items:
            raise ValueError("no")
        return [2 * item for item in items]


async def test_what_is_asked_at_once_is_done_at_once() -> None:
    work = Doubling()
    gatherer = Gatherer(work)
    assert await asyncio.gather(*map(gatherer.ask, range(5))) == [0, 2, 4, 6, 8]
    assert await gatherer.ask(7) == 14
    assert work.sizes == [5, 1]


async def test_who_leaves_is_left_out() -> None:
    work = Doubling()
    gatherer = Gatherer(work)
    tasks = [asyncio.create_task(gatherer.ask(item)) for item in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert (found[0], found[2]) == (0, 4)
    assert isinstance(found[1], asyncio.CancelledError)
    assert sum(work.sizes) <= 3


async def test_a_fault_is_told_to_all_and_the_next_are_served() -> None:
    gatherer = Gatherer(Doubling())
    found = await asyncio.gather(gatherer.ask(-1), gatherer.ask(1), return_exceptions=True)
    assert all(isinstance(one, ValueError) for one in found)
    with pytest.raises(ValueError, match="no"):
        await gatherer.ask(-1)
    assert await gatherer.ask(4) == 8
