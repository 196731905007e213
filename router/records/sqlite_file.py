"""The file of an SQLite database: how it is made, and how connections to it are set up."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event

from ..errors import StoreError
from .store_errors import is_busy

__all__ = ["BEGIN_OPTION", "WAIT_S", "make_sqlite_engine", "prepare_file", "wait_while_busy"]

WAIT_S: Final = 30.0
"""How long other processes are waited for."""

BEGIN_OPTION: Final = "sluice_begin"
"""The execution option with which a transaction begins; "BEGIN IMMEDIATE" is one that writes."""

_PAUSES_S: Final = (0.0002, 0.005)  # between attempts: the first and the longest

# A checkpoint on its own, where no journal sees to it before: every 16 MB of log.
_CHECKPOINT_PAGES: Final = 4_000

_Found = TypeVar("_Found")


def prepare_file(path: Path, name: str) -> None:
    """Make the file, for its owner alone, with its folder, and put it into write-ahead mode.

    Raises StoreError when it cannot be kept there, sqlite3.Error for what SQLite finds wrong.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Only a new file is opened here: closing one that SQLite has open would drop its locks.
        if not path.exists():
            with suppress(FileExistsError):  # another process was faster
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as exc:
        raise StoreError(
            f"the store {name} cannot be made ({exc.strerror}); make its folder writable, or name "
            "another place"
        ) from exc
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(
            f"the store {name} may not be read and written; make the file writable, or name "
            "another place"
        )
    with closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as db:
        mode = wait_while_busy(lambda: _enter_write_ahead_mode(db), WAIT_S)
    if mode != "wal":
        raise StoreError(
            f"the store {name} cannot be kept here: the file system has no shared memory, which "
            "several processes need; name a place on a local disk"
        )


def _enter_write_ahead_mode(db: sqlite3.Connection) -> Any:
    """The mode that the file is in afterwards."""
    if db.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return "wal"
    return db.execute("PRAGMA journal_mode = WAL").fetchone()[0]


def make_sqlite_engine(url: URL) -> Engine:
    """An engine whose transactions begin when SQLAlchemy says so, not when sqlite3 thinks.

    A transaction is one that reads until it writes; BEGIN_OPTION has it write from the beginning.
    """
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": WAIT_S, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: object) -> None:
        # A process that dies loses nothing; a machine that does may lose the last moments.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(BEGIN_OPTION, "BEGIN"))

    return engine


def wait_while_busy(attempt: Callable[[], _Found], wait_s: float) -> _Found:
    """Try until the database is not in use any more, for at most `wait_s`; then as `attempt` fails.

    Attempts come at random intervals, so that no process keeps another out.
    """
    deadline = time.monotonic() + wait_s
    pause_s, longest_s = _PAUSES_S
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as exc:
            left_s = deadline - time.monotonic()
            if not is_busy(exc) or left_s <= 0.0:
                raise
        time.sleep(min(random.uniform(0.0, pause_s), left_s))
        pause_s = min(pause_s * 1.25, longest_s)
