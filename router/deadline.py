"""A limit on time, as `asyncio.timeout`, in half of its 4 microseconds: a request has three."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Deadline"]


class Deadline:
    """Ends what the current task does under it by TimeoutError, once `limit_s` seconds are over.

    For one `with`, which need not be `async with`. `has_passed` tells its TimeoutError from others.
    """

    __slots__ = ("_cancelling", "_limit_s", "_loop", "_task", "_timer", "has_passed")

    _cancelling: int
    _loop: asyncio.AbstractEventLoop
    _task: asyncio.Task[object]
    _timer: asyncio.TimerHandle

    def __init__(self, limit_s: float) -> None:
        self.has_passed = False
        self._limit_s = limit_s

    def move(self, limit_s: float) -> None:
        """Let it be so many seconds from now on, unless it has passed already."""
        self._timer.cancel()
        if not self.has_passed:
            self._timer = self._loop.call_later(limit_s, self._pass)

    def _pass(self) -> None:
        self.has_passed = True
        self._task.cancel()

    def __enter__(self) -> Self:
        self._loop = loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a deadline needs a task that it can cancel")
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = loop.call_later(self._limit_s, self._pass)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if not self.has_passed:
            return
        # Whoever else has cancelled the task means it to end.
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
