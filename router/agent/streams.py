"""A run, told event by event to whoever iterates; leaving the iteration ends the run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Final

from ..errors import SluiceError
from .events import DoneEvent, ErrorEvent, StreamEvent
from .runs import Run
from .telling import Listener

__all__ = ["stream_events"]

_MOST_WAITING: Final = 256  # events that wait for a slow reader before its model has to wait too


async def stream_events(begin: Callable[[Listener], Run]) -> AsyncGenerator[StreamEvent, None]:
    """The events of the run that `begin` makes, `done` or `error` last; an error is raised after
    its event.

    The upstream call is cancelled when the iteration is left before its end.
    """
    mailbox = _Mailbox()
    task = asyncio.create_task(_run(begin, mailbox))
    try:
        while (event := await mailbox.take()) is not None:
            yield event
        task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen: a reader may leave before it is raised


async def _run(begin: Callable[[Listener], Run], mailbox: _Mailbox) -> None:
    try:
        result = await begin(mailbox).answer()
        mailbox.put(DoneEvent(result=result))
    except SluiceError as exc:
        mailbox.put(ErrorEvent(error=exc))
        raise
    finally:
        mailbox.close()


class _Mailbox:
    """Events on their way from a run to its reader, in one event loop."""

    def __init__(self) -> None:
        self._events: deque[StreamEvent] = deque()
        self._closed = False
        self._came = asyncio.Event()
        self._left = asyncio.Event()

    def put(self, event: StreamEvent) -> None:
        self._events.append(event)
        self._came.set()

    def close(self) -> None:
        self._closed = True
        self._came.set()

    async def room(self) -> None:
        while len(self._events) > _MOST_WAITING:
            self._left.clear()
            await self._left.wait()

    async def take(self) -> StreamEvent | None:
        """The next event; None once the run has ended and all are taken."""
        while not self._events:
            if self._closed:
                return None
            self._came.clear()
            await self._came.wait()
        self._left.set()
        return self._events.popleft()
