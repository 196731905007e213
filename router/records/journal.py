"""The request path's writes: holds, releases and outcomes, many of them in one transaction."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Final

from ..budget import Limit
from ..errors import InputError, StoreError
from ..store.ledger import Balance
from .balances import read_balances
from .database import Database
from .entries import (
    Entry,
    Hold,
    HoldEntry,
    RecordEntry,
    ReleaseEntry,
    Window,
    account_windows,
    check_amount,
    check_text,
    limit_windows,
)
from .outcome import CallRecord, Outcome
from .sqlite_file import WAIT_S
from .sqlite_writer import SqliteWriter
from .writer import RowRefusedError, StoreBusyError, Writer, write_entries

__all__ = ["Hold", "Journal"]

_LOG = logging.getLogger("sluice")

_FAULT: Final = "the journal failed by a fault in the program; see the log"

_MOST_AT_ONCE: Final = 64  # entries written in the event loop: some 2 ms
_MOST_IN_WORKER: Final = 512
# The upkeep comes after so many pages of SQLite's write-ahead log, estimated (16 MB).
_TIDY_AFTER: Final = 4_000
_PAGES_OF_ALL: Final = 8  # of a transaction, whatever is in it
_PAGES_OF_ONE: Final = 2  # of an entry, beside these


class Journal:
    """Keeps the ledger and the log of outcomes; one for each process, used in one event loop.

    Entries that come in the same turn of the event loop are written in one transaction. SQLite's
    takes less time than the way to a thread and back, so it is done right in the loop; only when
    other processes are in the way is it left to one worker thread, which waits for them up to
    `wait_s`. PostgreSQL's are always the worker's. While it works, entries gather for its next one.
    """

    def __init__(self, database: Database, *, wait_s: float = WAIT_S) -> None:
        self._database = database
        self._writer = _make_writer(database)
        self._wait_s = wait_s
        self._queue: deque[Entry] = deque()
        self._writing = 0  # entries that the worker has
        self._is_scheduled = False  # whether the loop is going to call `_write`
        self._idle = asyncio.Event()
        self._untidy = 0
        self._worker: ThreadPoolExecutor | None = None
        self._prefix = secrets.token_hex(12)  # nobody else's holds are called so
        self._numbers = count(1)

    @property
    def waiting(self) -> int:
        """How many entries are not written yet."""
        return len(self._queue) + self._writing

    async def hold(
        self,
        amount_nano: int,
        limits: Sequence[Limit],
        *,
        lease_s: float,
        now: float,
        at: float | None = None,
    ) -> Hold:
        """Set an amount aside for a call, if all of `limits` leave room for it.

        A limit's `user` is an account of `accounts`. `lease_s`: after so long the call counts as
        dead and its amount is free again; it has to outlast the call. `now` in Unix seconds. The
        windows are those of `at`, by default now: of the moment that the outcome will count in. A
        caller that is cancelled meanwhile leaves nothing held. Raises BudgetExceededError naming
        the limit that stands in the way, InputError, StoreError.
        """
        if not limits:
            raise InputError("a hold needs at least one limit")
        check_amount(amount_nano)
        for limit in limits:
            check_text(limit.user or "")
        windows = limit_windows(limits, now if at is None else at)
        hold = Hold(
            id=f"{self._prefix}-{next(self._numbers):x}",
            amount_nano=amount_nano,
            windows=tuple(dict.fromkeys(windows)),
            expires_at=now + lease_s,
        )
        waiter = self._add(HoldEntry(hold=hold, limits=limits, limit_windows=windows, now=now))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._queue.append(ReleaseEntry(hold=hold))  # granted just now
                self._schedule()
            raise
        return hold

    async def release(self, hold: Hold) -> None:
        """Give back what was held for a call that cost nothing; nothing if that is over already.

        It is done even if the caller is cancelled meanwhile. Raises StoreError.
        """
        await self._add(ReleaseEntry(hold=hold))

    async def record(
        self,
        outcome: Outcome,
        calls: Sequence[CallRecord],
        holds: Sequence[Hold],
        accounts: Sequence[str],
    ) -> None:
        """Keep an outcome with its calls, count what they cost, and let go of what was held.

        All of that is in one transaction, and once per `request_id`. The calls count in the day and
        the month of `outcome.at`, on all `accounts`. Once this returns, no crash of the process
        loses it. It is done even if the caller is cancelled meanwhile. Raises InputError when
        `outcome.cost_nano` is not the sum of what the calls are charged, StoreError.
        """
        windows = account_windows(accounts, outcome.at)
        entry = RecordEntry(outcome=outcome, calls=calls, holds=holds, windows=windows)
        for call in calls:
            check_amount(call.charged_nano)
        if entry.charged_nano != outcome.cost_nano:
            raise InputError(
                f"'cost_nano' of an outcome has to be the sum of its calls' 'charged_nano', "
                f"{entry.charged_nano}, found {outcome.cost_nano}",
                param="cost_nano",
            )
        await self._add(entry)

    async def balances(self, accounts: Sequence[str], *, now: float) -> dict[Window, Balance]:
        """What is spent and held in the day and the month that `now` lies in, of each account.

        Holds whose lease is over count until the next `hold`. Raises StoreError.
        """
        windows = account_windows(accounts, now)
        return await self._database.run(partial(read_balances, windows=windows))

    async def aclose(self) -> None:
        """Write what is queued and close the connection; the next use opens it again."""
        while self.waiting:
            self._schedule()
            self._idle.clear()
            await self._idle.wait()
        await asyncio.wrap_future(self._submit(self._writer.close))
        if self._worker is not None:
            self._worker.shutdown(wait=False)  # it is idle: closing was its last call
            self._worker = None

    def _add(self, entry: Entry) -> asyncio.Future[None]:
        """Queue an entry that somebody waits for."""
        entry.waiter = asyncio.get_running_loop().create_future()
        self._queue.append(entry)
        self._schedule()
        return entry.waiter

    def _schedule(self) -> None:
        """Have the queue written at the end of this turn, if the worker does not come to it."""
        if not self._is_scheduled and not self._writing:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._is_scheduled = False
        if self._writing:
            return  # the worker comes back
        entries = self._take()
        if not entries:
            self._idle.set()
        elif self._writer.is_quick and self._write_here(entries):
            self._tell(entries)
            if self._queue:
                self._schedule()
            else:
                self._idle.set()
        else:
            self._hand_over(entries)

    def _take(self) -> list[Entry]:
        """The next entries, without holds that nobody waits for any more."""
        most = _MOST_AT_ONCE if self._writer.is_quick else _MOST_IN_WORKER
        entries: list[Entry] = []
        while self._queue and len(entries) < most:
            entry = self._queue.popleft()
            if not (isinstance(entry, HoldEntry) and _is_abandoned(entry)):
                entries.append(entry)
        return entries

    def _write_here(self, entries: Sequence[Entry]) -> bool:
        """Try to write at once; False if that is the worker's task: it waits, and looks closer."""
        try:
            self._writer.write(entries, wait_s=0.0)
        except (StoreBusyError, RowRefusedError):
            return False
        except StoreError as exc:
            _fail(entries, exc)
        except BaseException:
            _fail(entries, StoreError(_FAULT))
            self._tell(entries)
            raise
        return True

    def _hand_over(self, entries: Sequence[Entry]) -> None:
        loop = asyncio.get_running_loop()
        self._writing = len(entries)
        written = self._submit(partial(write_entries, self._writer, entries, wait_s=self._wait_s))

        def tell(_: Future[None]) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(self._come_back, entries, written)

        written.add_done_callback(tell)

    def _come_back(self, entries: Sequence[Entry], written: Future[None]) -> None:
        """Go on after the worker's turn."""
        self._writing = 0
        if written.exception() is not None:
            _fail(entries, StoreError(_FAULT))
        self._tell(entries)
        self._write()
        written.result()  # a fault in the program is the loop's to report

    def _tell(self, entries: Sequence[Entry]) -> None:
        """Tell those who wait what became of their entries, and see to the upkeep."""
        for entry in entries:
            if entry.waiter is not None and not entry.waiter.done():
                if entry.error is None:
                    entry.waiter.set_result(None)
                else:
                    entry.waiter.set_exception(entry.error)
            elif isinstance(entry, HoldEntry):
                if entry.error is None:  # granted, and nobody wants it any more
                    self._queue.append(ReleaseEntry(hold=entry.hold))
                    self._schedule()
            elif entry.error is not None:
                _LOG.error("%s", entry.error)
        self._untidy += _PAGES_OF_ALL + _PAGES_OF_ONE * len(entries)
        if self._untidy >= _TIDY_AFTER:
            self._untidy = 0
            self._submit(self._writer.tidy).add_done_callback(_report)

    def _submit(self, call: Callable[[], None]) -> Future[None]:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="sluice-journal")
        return self._worker.submit(call)


def _make_writer(database: Database) -> Writer:
    if database.is_sqlite:
        return SqliteWriter(database)
    from .postgres_writer import PostgresWriter  # needs the extra

    return PostgresWriter(database)


def _is_abandoned(entry: HoldEntry) -> bool:
    return entry.waiter is not None and entry.waiter.cancelled()


def _fail(entries: Sequence[Entry], error: Exception) -> None:
    for entry in entries:
        entry.error = error


def _report(finished: Future[None]) -> None:
    """Log what went wrong with a call that nobody waits for."""
    error = finished.exception()
    if error is not None:
        _LOG.error("%s", error)
