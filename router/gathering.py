"""Work that costs less for many at once, done once for all who ask in one turn of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Gatherer"]

Item = TypeVar("Item")
Found = TypeVar("Found")


class Gatherer(Generic[Item, Found]):
    """Hands what its callers ask for to `work` together, and each its own result back.

    For one event loop. Who asks alone waits no longer than until the loop's next turn. What `work`
    raises, all who were in it get.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Found]]) -> None:
        self._work = work
        self._waiting: list[tuple[Item, asyncio.Future[Found]]] = []

    async def ask(self, item: Item) -> Found:
        """The result for `item`."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._do)
        future: asyncio.Future[Found] = loop.create_future()
        self._waiting.append((item, future))
        return await future

    def _do(self) -> None:
        waiting, self._waiting = self._waiting, []
        asked = [(item, future) for item, future in waiting if not future.done()]  # or cancelled
        if not asked:
            return
        try:
            found = self._work([item for item, _ in asked])
        except Exception as exc:  # noqa: BLE001 - theirs to handle who asked
            for _, future in asked:
                future.set_exception(exc)
            return
        for (_, future), one in zip(asked, found, strict=True):
            future.set_result(one)
