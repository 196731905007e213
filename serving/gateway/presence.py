"""Whether a client is still there: its request is cancelled when it leaves."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Receive

__all__ = ["Presence"]

# Quick requests are over before; those are not worth a task of their own.
_FIRST_LOOK_S: Final = 0.1


class Presence:
    """Cancels the current task once `receive` says that the client has left; until `close`.

    To be made when the request's body has been read. `left` tells that cancellation from others.
    """

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.left = False
        self._task = task
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_FIRST_LOOK_S, self._look)

    def close(self) -> None:
        """Look no longer: once a reply is whole, a server says of every client that it left."""
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def forget(self) -> None:
        """Take back the cancellation, once what it was meant for has ended."""
        self._task.uncancel()

    def _look(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self._task.cancel()
