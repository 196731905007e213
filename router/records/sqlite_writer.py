"""The journal in an SQLite file: a transaction takes some 30 microseconds, and no thread."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy.exc import DBAPIError

from .database import Database
from .entries import Entry, Window
from .forks import close_around_forks
from .settling import Batch, TotalRow, is_time_to_free
from .sqlite_file import wait_while_busy
from .statements import sqlite_statements
from .store_errors import is_busy, is_of_a_row, store_error
from .writer import RowRefusedError, StoreBusyError

__all__ = ["SqliteWriter"]

_TIDY_WAIT_S: Final = 1.0
_MOST_TAKEN: Final = 10_000


class SqliteWriter:
    """See `Writer`. One connection of its own, and one for the upkeep, both guarded by locks."""

    is_quick = True

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlite_statements()
        self._freed_at = -math.inf
        # What the totals say, as long as no other connection has written: its `data_version` tells.
        self._taken: dict[Window, int] = {}
        self._taken_version: int | None = None
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._tidy_lock = threading.Lock()  # taken before the other one
        self._tidy_connection: sqlite3.Connection | None = None
        close_around_forks(self)

    def write(self, entries: Sequence[Entry], *, wait_s: float) -> None:
        """See `Writer`. With nothing to wait for, no connection is opened: that takes longer."""
        if (self._connection is None and wait_s <= 0.0) or not self._lock.acquire(timeout=wait_s):
            raise self._busy(wait_s)
        try:
            db = self._begin(wait_s)
            batch = Batch(entries)
            total_rows = self._apply(db, batch)
            db.execute("COMMIT")
            self._remember(batch.freed_at, total_rows)
        except (sqlite3.Error, DBAPIError, OverflowError, UnicodeError) as exc:
            if is_of_a_row(exc):
                self._roll_back()
                kind = type(exc).__name__
                raise RowRefusedError(
                    f"the store {self._database.name} does not take a value ({kind})"
                ) from None  # its message may quote the value
            self._disconnect()
            raise store_error(self._database.name, exc) from exc
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._lock.release()

    def tidy(self) -> None:
        """Carry the write-ahead log over into the file.

        Most of it while others go on writing; then, while nobody can, what they wrote meanwhile:
        only a log that is carried over to its end is used from its beginning again.
        """
        with self._tidy_lock:
            try:
                if self._tidy_connection is None:
                    self._tidy_connection = self._connect()
                tidy = self._tidy_connection
                tidy.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                with self._lock:
                    db = self._begin(_TIDY_WAIT_S)
                    try:
                        tidy.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    finally:
                        db.execute("ROLLBACK")
            except StoreBusyError:
                pass  # the next time will do
            except (sqlite3.Error, DBAPIError) as exc:
                raise store_error(self._database.name, exc) from exc

    def close(self) -> None:
        """See `Writer`."""
        self.before_fork()
        self.after_fork()

    def before_fork(self) -> None:
        """See `forks.ForkSafe`."""
        self._tidy_lock.acquire()
        self._lock.acquire()
        self._disconnect()
        tidy, self._tidy_connection = self._tidy_connection, None
        if tidy is not None:
            tidy.close()

    def after_fork(self) -> None:
        """See `forks.ForkSafe`."""
        self._lock.release()
        self._tidy_lock.release()

    def _apply(self, db: sqlite3.Connection, batch: Batch) -> Sequence[TotalRow]:
        """Write a batch; gives what was added to the totals."""
        sql = self._sql
        for record in batch.records:
            if db.execute(sql.insert_outcome, batch.outcome_row(record)).rowcount:
                batch.count(record)
        for hold in batch.over.values():
            if db.execute(sql.delete_hold, (hold.id,)).rowcount:
                batch.give_back(hold)
        if batch.wanted:
            self._decide(db, batch)
        if batch.call_rows:
            db.executemany(sql.insert_call, batch.call_rows)
        total_rows = batch.total_rows()
        if total_rows:
            db.executemany(sql.add_total, total_rows)
        if batch.hold_rows:
            db.executemany(sql.insert_hold, batch.hold_rows)
        return total_rows

    def _decide(self, db: sqlite3.Connection, batch: Batch) -> None:
        sql = self._sql
        if is_time_to_free(self._freed_at, batch.now):
            batch.freed_at = batch.now
            expired = db.execute(sql.find_expired, (batch.now,)).fetchall()
            for hold_id, amount_nano, windows in expired:
                db.execute(sql.delete_hold, (hold_id,))
                batch.expire(amount_nano, windows)
        version = db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._taken_version or len(self._taken) > _MOST_TAKEN:
            self._taken.clear()
            self._taken_version = version
        for window in batch.wanted_windows - self._taken.keys():
            found = db.execute(sql.read_total, window).fetchone()
            self._taken[window] = 0 if found is None else found[0]
        batch.decide(self._taken)

    def _remember(self, freed_at: float | None, total_rows: Sequence[TotalRow]) -> None:
        """Take note of what was committed."""
        if freed_at is not None:
            self._freed_at = freed_at
        taken = self._taken
        for key, account, settled_nano, held_nano in total_rows:
            if (key, account) in taken:
                taken[key, account] += settled_nano + held_nano

    def _begin(self, wait_s: float) -> sqlite3.Connection:
        """A connection with the right to write, once no one else has it; StoreBusyError."""
        if self._connection is None:
            self._connection = self._connect()
            self._taken_version = None
        db = self._connection
        try:
            if wait_s <= 0.0:
                db.execute("BEGIN IMMEDIATE")
            else:
                wait_while_busy(lambda: db.execute("BEGIN IMMEDIATE"), wait_s)
        except sqlite3.OperationalError as exc:
            if is_busy(exc):
                raise self._busy(wait_s) from exc
            raise
        return db

    def _connect(self) -> sqlite3.Connection:
        db: sqlite3.Connection = self._database.connect_driver()
        db.execute("PRAGMA busy_timeout = 0")  # we wait in our own way, and never here
        db.execute("PRAGMA wal_autocheckpoint = 0")  # `tidy` does it
        return db

    def _busy(self, wait_s: float) -> StoreBusyError:
        return StoreBusyError(
            f"the store {self._database.name} was in use for {wait_s:g} s; see that no other "
            "program holds it open for writing"
        )

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.rollback()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # a broken one need not close well
                connection.close()
