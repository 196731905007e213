"""A ledger for the event loop: done at once when nobody is in the way, else in a worker thread."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from ..budget import Limit
from .ledger import Ledger, LedgerBusyError, Reservation

__all__ = ["AsyncLedger"]

_LOG = logging.getLogger("sluice")
_Found = TypeVar("_Found")

_WAIT_S: Final = 30.0
_CHECKPOINT_EVERY: Final = 250  # settled calls; each leaves some 25 kB in the write-ahead log


class AsyncLedger:
    """Puts a `Ledger` behind coroutines that never block the event loop on another process.

    A reservation takes some 30 microseconds, far less than the way to a thread and back, so it is
    tried right here without waiting. Only when the ledger is in use is it left to one worker
    thread, which takes calls in the order they came and waits up to `wait_s` for other processes.
    The ledger's upkeep, which waits for the disk, is always the worker's.
    """

    def __init__(self, ledger: Ledger, *, wait_s: float = _WAIT_S) -> None:
        self._ledger = ledger
        self._wait_s = wait_s
        self._worker: ThreadPoolExecutor | None = None
        self._worker_pid = 0
        self._settled = 0

    async def reserve(
        self,
        amount_nano: int,
        limits: Sequence[Limit],
        *,
        model: str,
        user: str | None,
        lease_s: float,
        now: float,
    ) -> Reservation:
        """As `Ledger.reserve`. A caller that is cancelled while waiting leaves nothing reserved."""
        reserve = partial(
            self._ledger.reserve,
            amount_nano,
            limits,
            model=model,
            user=user,
            lease_s=lease_s,
            now=now,
        )
        try:
            return reserve(wait_s=0.0)
        except LedgerBusyError:
            granted = self._submit(partial(reserve, wait_s=self._wait_s))
        try:
            return await _result(granted)
        except asyncio.CancelledError:
            self._submit(partial(self._give_back, granted))  # comes after `granted`, in its thread
            raise

    async def settle(self, reservation: Reservation, amount_nano: int, *, now: float) -> None:
        """As `Ledger.settle`. It is done even if the caller is cancelled meanwhile."""
        await self._finish(partial(self._ledger.settle, reservation, amount_nano, now=now))
        self._settled += 1
        if self._settled % _CHECKPOINT_EVERY == 0:
            self._submit(self._ledger.checkpoint).add_done_callback(_report)

    async def release(self, reservation: Reservation) -> None:
        """As `Ledger.release`. It is done even if the caller is cancelled meanwhile."""
        await self._finish(partial(self._ledger.release, reservation))

    async def aclose(self) -> None:
        """Finish what is under way and close the ledger."""
        await _result(self._submit(self._ledger.close))
        if self._worker is not None:
            self._worker.shutdown(wait=False)  # it is idle: closing was its last call
            self._worker = None

    async def _finish(self, write: Callable[..., None]) -> None:
        try:
            write(wait_s=0.0)
            return
        except LedgerBusyError:
            written = self._submit(partial(write, wait_s=self._wait_s))
        try:
            await _result(written)
        except asyncio.CancelledError:
            written.add_done_callback(_report)
            raise

    def _give_back(self, granted: Future[Reservation]) -> None:
        if granted.exception() is None:
            self._ledger.release(granted.result(), wait_s=self._wait_s)

    def _submit(self, call: Callable[[], _Found]) -> Future[_Found]:
        # Threads do not survive a fork: a child needs a worker of its own.
        if self._worker is None or self._worker_pid != os.getpid():
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="sluice-ledger")
            self._worker_pid = os.getpid()
        return self._worker.submit(call)


async def _result(waited: Future[_Found]) -> _Found:
    """What the worker came to. Being cancelled here does not cancel the worker's call."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def tell(_: Future[_Found]) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    waited.add_done_callback(tell)
    await done.wait()
    return waited.result()


def _report(finished: Future[None]) -> None:
    """Log what went wrong with a call that nobody waits for."""
    error = finished.exception()
    if error is not None:
        _LOG.error("%s", error)
