"""An event loop in a thread of its own, so that code without one can use what is asynchronous."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any, Final, TypeVar

from ..errors import UsageError

__all__ = ["LoopThread"]

T = TypeVar("T")

_GRACE_S: Final = 5.0  # what a cancelled coroutine gets to tidy up while its caller waits


class LoopThread:
    """Runs coroutines for callers in other threads. Starts with the first one; a daemon, so a
    program that forgets to close it still ends."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result. An interrupt of the caller cancels it, and waits for its end.
        Raises UsageError in the loop's own thread, which would wait for itself."""
        self._leave_parent()
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise UsageError("a blocking method cannot be used within a run; await the other one")
        ended = threading.Event()
        future = asyncio.run_coroutine_threadsafe(_tell_end(coroutine, ended), self._started())
        try:
            return future.result()
        except BaseException:
            if future.cancel():
                ended.wait(_GRACE_S)
            raise

    def iterate(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """The items of an asynchronous iterator, which is closed when the iteration is left."""
        try:
            while True:
                try:
                    yield self.run(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            # A program that ends has stopped the thread already, and would wait for it forever.
            if not sys.is_finalizing():
                self.run(items.aclose())

    def close(self) -> None:
        """Stop the loop and wait for its thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    async def aclose(self) -> None:
        """`close`, from another event loop; from its own it does nothing."""
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            await asyncio.to_thread(self.close)

    def _leave_parent(self) -> None:
        """In a process that was forked, start anew: the parent's thread did not come along."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._lock = threading.Lock()
            self._loop = self._thread = None

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="sluice", daemon=True
                )
                self._thread.start()
            return self._loop


async def _tell_end(coroutine: Coroutine[Any, Any, T], ended: threading.Event) -> T:
    try:
        return await coroutine
    finally:
        ended.set()


async def _next(items: AsyncGenerator[T, None]) -> T:
    return await anext(items)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
