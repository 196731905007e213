"""The journal in PostgreSQL: two round trips and a commit, shared by all who wait."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.types.numeric import Int8Dumper
from sqlalchemy.exc import DBAPIError

from .database import Database
from .entries import Entry, RecordEntry
from .forks import close_around_forks
from .settling import Batch, is_time_to_free
from .statements import postgres_statements
from .store_errors import driver_error, is_of_a_row, store_error
from .writer import RowRefusedError

__all__ = ["PostgresWriter"]

_Connection: TypeAlias = psycopg.Connection[Any]
_Cursor: TypeAlias = psycopg.Cursor[Any]

# Of advisory locks: one transaction at a time writes to the ledger, so that no two grant the same
# money, nor wait for each other's rows.
_LOCK_ID: Final = 0x534C4757_0002

# A replica that is cut off in the middle of a transaction keeps the others out for so long.
_IDLE_TIMEOUT_MS: Final = 10_000

# States in which nothing was done, and another attempt may succeed: the connection is lost (no
# state at all, 08, 57P), or two transactions were in each other's way (40).
_PASSING: Final = ("08", "40", "57P")

# How long a lost server is waited for where calls that were paid for have to be recorded.
_PATIENCE_S: Final = 10.0
_PAUSES_S: Final = (0.05, 1.0)


class PostgresWriter:
    """See `Writer`. One connection, guarded by a lock; a lost one is taken up again.

    When the connection is lost while a transaction is being committed, nobody knows whether it
    was. The next attempt finds out: outcomes and holds that are there already count no second time.
    """

    is_quick = False

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = postgres_statements()
        self._freed_at = -math.inf
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        close_around_forks(self)

    def write(self, entries: Sequence[Entry], *, wait_s: float) -> None:
        """See `Writer`. Tried again once when the connection was lost; for some seconds when there
        are outcomes to record."""
        pays = any(isinstance(entry, RecordEntry) for entry in entries)
        deadline = time.monotonic() + (_PATIENCE_S if pays else 0.0)
        pause_s, longest_s = _PAUSES_S
        with self._lock:
            attempt = 0
            while True:
                attempt += 1
                try:
                    return self._transact(Batch(entries), wait_s, is_first=attempt == 1)
                except (psycopg.Error, DBAPIError, UnicodeError) as exc:
                    if is_of_a_row(exc):
                        self._roll_back()
                        raise self._refused(exc) from None  # its message may quote the value
                    self._disconnect()
                    is_last = attempt > 1 and time.monotonic() + pause_s > deadline
                    if is_last or not _is_passing(driver_error(exc)):
                        raise store_error(self._database.name, exc) from exc
                except BaseException:
                    self._disconnect()
                    raise
                if attempt > 1:
                    time.sleep(pause_s)
                    pause_s = min(pause_s * 2, longest_s)

    def tidy(self) -> None:
        """See `Writer`: the server does that by itself."""

    def close(self) -> None:
        """See `Writer`."""
        with self._lock:
            self._disconnect()

    def before_fork(self) -> None:
        """See `forks.ForkSafe`."""
        self._lock.acquire()
        self._disconnect()

    def after_fork(self) -> None:
        """See `forks.ForkSafe`."""
        self._lock.release()

    def _transact(self, batch: Batch, wait_s: float, *, is_first: bool) -> None:
        if self._connection is None:
            self._connection = self._connect(wait_s)
        connection = self._connection
        with connection.pipeline() as pipeline, connection.cursor() as cursor:
            connection.execute(self._sql.lock, (_LOCK_ID,))
            found = self._ask(connection, batch, is_first=is_first)
            pipeline.sync()
            found.tell(batch)
            if batch.call_rows:
                cursor.executemany(self._sql.insert_call, batch.call_rows)
            total_rows = batch.total_rows()
            if total_rows:
                cursor.executemany(self._sql.add_total, total_rows)
            if batch.hold_rows:
                cursor.executemany(self._sql.insert_hold, batch.hold_rows)
            connection.commit()
        self._freed_at = self._freed_at if batch.freed_at is None else batch.freed_at

    def _ask(self, connection: _Connection, batch: Batch, *, is_first: bool) -> _Found:
        """Send what comes before the arithmetic: the answers come with the next synchronisation."""
        sql, found = self._sql, _Found()
        if batch.records:
            found.outcomes = connection.cursor()
            rows = [batch.outcome_row(record) for record in batch.records]
            found.outcomes.executemany(sql.insert_outcome, rows, returning=True)
        if batch.over:
            found.over = connection.execute(sql.delete_holds, (list(batch.over),))
        if batch.wanted:
            if is_time_to_free(self._freed_at, batch.now):
                batch.freed_at = batch.now
                found.expired = connection.execute(sql.delete_expired, (batch.now,))
            keys, accounts = map(list, zip(*batch.wanted_windows, strict=True))
            found.taken = connection.execute(sql.read_totals, (keys, accounts))
            if not is_first:
                ids = [entry.hold.id for entry in batch.wanted]
                found.kept = connection.execute(sql.find_holds, (ids,))
        return found

    def _connect(self, wait_s: float) -> _Connection:
        connection: _Connection = self._database.connect_driver()
        # One statement for all numbers, not one for each width that they happen to have.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.prepare_threshold = 0
        settings = (
            ("lock_timeout", wait_s * 1000),
            ("idle_in_transaction_session_timeout", _IDLE_TIMEOUT_MS),
        )
        for name, value_ms in settings:
            connection.execute("SELECT set_config(%s, %s, false)", (name, f"{value_ms:.0f}ms"))
        connection.commit()
        return connection

    def _refused(self, error: BaseException) -> RowRefusedError:
        state = getattr(driver_error(error), "sqlstate", None) or type(error).__name__
        return RowRefusedError(f"the store {self._database.name} does not take a value ({state})")

    def _roll_back(self) -> None:
        try:
            if self._connection is not None:
                self._connection.rollback()
        except psycopg.Error:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):  # a broken one need not close well
                connection.close()


@dataclass(kw_only=True, eq=False)
class _Found:
    """The answers to what was asked; None for what was not."""

    outcomes: _Cursor | None = None
    over: _Cursor | None = None
    expired: _Cursor | None = None
    taken: _Cursor | None = None
    kept: _Cursor | None = None

    def tell(self, batch: Batch) -> None:
        """Have a batch do its arithmetic."""
        new = {request_id for (request_id,) in _all_rows(self.outcomes)}
        for record in batch.records:
            if record.outcome.request_id in new:
                new.remove(record.outcome.request_id)  # of two alike, one counts
                batch.count(record)
        for (hold_id,) in _all_rows(self.over):
            batch.give_back(batch.over[hold_id])
        for amount_nano, windows in _all_rows(self.expired):
            batch.expire(amount_nano, windows)
        if batch.wanted:
            taken = {(key, account): nano for key, account, nano in _all_rows(self.taken)}
            batch.decide(taken, kept={hold_id for (hold_id,) in _all_rows(self.kept)})


def _all_rows(cursor: _Cursor | None) -> Iterator[tuple[Any, ...]]:
    """The rows of a cursor, of all that it was asked."""
    while cursor is not None:
        yield from cursor.fetchall()
        if not cursor.nextset():
            return


def _is_passing(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None) or ""
    return isinstance(error, psycopg.OperationalError) and (not state or state.startswith(_PASSING))
