"""The ledger in an SQLite file: limits hold across threads and processes, and survive a crash."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from ..budget import Limit, Scope, day_key, month_key, window_key
from ..errors import InputError, StoreError
from .ledger import Balance, LedgerBusyError, Reservation, find_refusal
from .sqlite_schema import is_busy, open_database, store_error

__all__ = ["WAIT_S", "SqliteLedger"]

WAIT_S: Final = 30.0
_PAUSES_S: Final = (0.0002, 0.005)  # between attempts: the first and the longest

_MOST_NANO: Final = 10**15  # a million USD: sums of thousands still fit SQLite's 64 bits

_ADD: Final = """
    INSERT INTO totals (window, user, settled_nano, reserved_nano) VALUES (?, ?, ?, ?)
    ON CONFLICT (window, user) DO UPDATE SET
        settled_nano = settled_nano + excluded.settled_nano,
        reserved_nano = reserved_nano + excluded.reserved_nano
"""
_TAKEN: Final = "SELECT settled_nano, reserved_nano FROM totals WHERE window = ? AND user = ?"
_OPEN_CALL: Final = """
    INSERT INTO calls (at, user, model, reserved_nano, expires_at) VALUES (?, ?, ?, ?, ?)
"""
_FIND_CALL: Final = """
    SELECT at, user, reserved_nano, expires_at IS NOT NULL, settled_nano IS NOT NULL
    FROM calls WHERE id = ?
"""
_SETTLE_CALL: Final = """
    UPDATE calls SET expires_at = NULL, settled_at = ?, settled_nano = ? WHERE id = ?
"""
_CLOSE_CALL: Final = "UPDATE calls SET expires_at = NULL WHERE id = ?"
_EXPIRED: Final = "SELECT id, at, user, reserved_nano FROM calls WHERE expires_at <= ?"


class SqliteLedger:
    """A `Ledger` in one SQLite file, which is made (with its folder) when it is first needed.

    A process that is killed loses nothing that was settled. When the machine itself goes down, the
    last calls may be missing (those since the file was last synchronised, every few hundred calls),
    but the file stays sound. It has to be on a local disk: the write-ahead log does not work across
    a network.

    One connection, guarded by a lock. It is closed around a fork, since SQLite's do not survive
    one, and taken up again when it is next needed, in parent and child.
    """

    def __init__(self, path: Path | str) -> None:
        # Wherever the process goes afterwards; SQLite's own name for no file at all stays a name.
        self.path = Path(path) if str(path) == ":memory:" else Path(path).absolute()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        _watch_forks().add(self)

    def reserve(
        self,
        amount_nano: int,
        limits: Sequence[Limit],
        *,
        model: str,
        user: str | None = None,
        lease_s: float,
        now: float,
        wait_s: float = WAIT_S,
    ) -> Reservation:
        """Set an amount aside for a call, if all of `limits` leave room; see `Ledger`."""
        _check_amount(amount_nano)
        who, expires_at = _stored_name(user), now + lease_s
        with self._transaction(wait_s) as db:
            _free_expired(db, now)
            taken = {
                limit: sum(_balance(db, window_key(limit.scope, now), _stored_name(limit.user)))
                for limit in limits
            }
            refusal = find_refusal(amount_nano, taken, now=now)
            if refusal is None:
                opened = db.execute(_OPEN_CALL, (now, who, model, amount_nano, expires_at))
                call_id = opened.lastrowid or 0
                _add(db, at=now, user=who, reserved_nano=amount_nano)
        if refusal is not None:
            raise refusal
        return Reservation(id=call_id, amount_nano=amount_nano, expires_at=expires_at)

    def settle(
        self, reservation: Reservation, amount_nano: int, *, now: float, wait_s: float = WAIT_S
    ) -> None:
        """Record what a call has cost in the place of its reservation; see `Ledger`."""
        _check_amount(amount_nano)
        with self._transaction(wait_s) as db:
            at, user, reserved_nano, is_open, is_settled = self._find_call(db, reservation)
            if is_settled:
                return
            db.execute(_SETTLE_CALL, (now, amount_nano, reservation.id))
            freed = reserved_nano if is_open else 0
            _add(db, at=at, user=user, settled_nano=amount_nano, reserved_nano=-freed)

    def release(self, reservation: Reservation, *, wait_s: float = WAIT_S) -> None:
        """Give back what was set aside for a call that cost nothing; see `Ledger`."""
        with self._transaction(wait_s) as db:
            at, user, reserved_nano, is_open, _ = self._find_call(db, reservation)
            if is_open:
                db.execute(_CLOSE_CALL, (reservation.id,))
                _add(db, at=at, user=user, reserved_nano=-reserved_nano)

    def balance(
        self, scope: Scope, *, user: str | None = None, now: float, wait_s: float = WAIT_S
    ) -> Balance:
        """What is taken in a window, of one user or of all; see `Ledger`."""
        with self._transaction(wait_s) as db:
            settled, reserved = _balance(db, window_key(scope, now), _stored_name(user))
        return Balance(settled_nano=settled, reserved_nano=reserved)

    def checkpoint(self) -> None:
        """Carry the write-ahead log over into the file; takes milliseconds, as the disk does."""
        with self._lock:
            try:
                if self._connection is not None:
                    self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error as exc:
                raise store_error(self.path, exc) from exc

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        with self._lock:
            self._disconnect()

    @contextmanager
    def _transaction(self, wait_s: float) -> Iterator[sqlite3.Connection]:
        """One transaction that writes; committed at the end, rolled back on an exception.

        With nothing to wait for, a connection is not opened either: that takes milliseconds.
        """
        deadline = time.monotonic() + wait_s
        if (self._connection is None and wait_s <= 0.0) or not self._lock.acquire(timeout=wait_s):
            raise self._busy(wait_s)
        try:
            db = self._begin(deadline, wait_s)
            yield db
            db.execute("COMMIT")
        except sqlite3.Error as exc:
            self._disconnect()
            raise store_error(self.path, exc) from exc
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._lock.release()

    def _begin(self, deadline: float, wait_s: float) -> sqlite3.Connection:
        """A connection with the right to write, once no one else has it.

        Attempts come at random intervals, so that no process keeps another out.
        """
        pause_s, longest_s = _PAUSES_S
        while True:
            try:
                if self._connection is None:
                    self._connection = open_database(self.path)
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as exc:
                left_s = deadline - time.monotonic()
                if not is_busy(exc):
                    raise
                if left_s <= 0.0:
                    raise self._busy(wait_s) from exc
            else:
                return self._connection
            time.sleep(min(random.uniform(0.0, pause_s), left_s))
            pause_s = min(pause_s * 1.25, longest_s)

    def _find_call(
        self, db: sqlite3.Connection, reservation: Reservation
    ) -> tuple[float, str, int, bool, bool]:
        found = db.execute(_FIND_CALL, (reservation.id,)).fetchone()
        if found is None:
            raise StoreError(
                f"the ledger {self.path} does not know reservation {reservation.id}; was the file "
                "replaced while calls were under way?"
            )
        at, user, reserved_nano, is_open, is_settled = found
        return at, user, reserved_nano, bool(is_open), bool(is_settled)

    def _busy(self, wait_s: float) -> LedgerBusyError:
        return LedgerBusyError(
            f"the ledger {self.path} was in use for {wait_s:g} s; see that no other program holds "
            "it open for writing"
        )

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.rollback()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _check_amount(amount_nano: int) -> None:
    if not 0 <= amount_nano <= _MOST_NANO:
        raise InputError(f"an amount must be 0 to {_MOST_NANO} nano-dollars, found {amount_nano}")


def _stored_name(user: str | None) -> str:
    """What a user is called in the file, where nobody is ''."""
    try:
        return (user or "").encode().decode()
    except UnicodeEncodeError as exc:
        raise InputError("'user' is not valid Unicode text", param="user") from exc


def _add(
    db: sqlite3.Connection, *, at: float, user: str, settled_nano: int = 0, reserved_nano: int = 0
) -> None:
    """Add to the totals of the day and the month, of all and, if there is one, of the user."""
    windows = (day_key(at), month_key(at))
    users = ("", user) if user else ("",)
    db.executemany(
        _ADD,
        [(window, who, settled_nano, reserved_nano) for window in windows for who in users],
    )


def _balance(db: sqlite3.Connection, window: str, user: str) -> tuple[int, int]:
    found: tuple[int, int] | None = db.execute(_TAKEN, (window, user)).fetchone()
    return found or (0, 0)


def _free_expired(db: sqlite3.Connection, now: float) -> None:
    for call, at, user, reserved_nano in db.execute(_EXPIRED, (now,)).fetchall():
        db.execute(_CLOSE_CALL, (call,))
        _add(db, at=at, user=user, reserved_nano=-reserved_nano)


@cache
def _watch_forks() -> weakref.WeakSet[SqliteLedger]:
    """The ledgers that let go of their connections for a fork, so that no child inherits one."""
    ledgers: weakref.WeakSet[SqliteLedger] = weakref.WeakSet()
    one_fork = threading.Lock()
    held: list[SqliteLedger] = []

    def before() -> None:
        one_fork.acquire()
        for ledger in list(ledgers):
            ledger._lock.acquire()
            held.append(ledger)
            ledger._disconnect()

    def after() -> None:
        while held:
            held.pop()._lock.release()
        one_fork.release()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)
    return ledgers
