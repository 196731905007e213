"""The ledger's file: how it is opened, what is in it, and how older ones are brought up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from ..errors import StoreError

__all__ = ["SCHEMA_VERSION", "is_busy", "open_database", "store_error"]

_APPLICATION_ID: Final = 0x534C5543  # "SLUC"

# A checkpoint on its own, where nobody calls `checkpoint` before: every 16 MB of log.
_CHECKPOINT_PAGES: Final = 4_000

# One entry per version of the schema; a file of version n has seen the first n. Times are Unix
# seconds. In `totals`, a window is a day or a month, and the user '' stands for all. In `calls`, a
# row is an open reservation while it has an `expires_at`, and a settled call once it has a
# `settled_nano`; with neither, it was released or its lease ran out. Rows are never deleted by the
# ledger, so that an id means one call for ever.
_MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE totals (
            window TEXT NOT NULL,
            user TEXT NOT NULL,
            settled_nano INTEGER NOT NULL,
            reserved_nano INTEGER NOT NULL,
            PRIMARY KEY (window, user)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE calls (
            id INTEGER PRIMARY KEY,
            at REAL NOT NULL,
            user TEXT NOT NULL,
            model TEXT NOT NULL,
            reserved_nano INTEGER NOT NULL,
            expires_at REAL,
            settled_at REAL,
            settled_nano INTEGER
        )
        """,
        "CREATE INDEX open_calls ON calls (expires_at) WHERE expires_at IS NOT NULL",
    ),
)
SCHEMA_VERSION: Final = len(_MIGRATIONS)

_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_ADVICE_PLACE: Final = (
    "make the file and its folder writable, or name another place (BudgetConfig's 'store' or "
    "SLUICE_STORE)"
)


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the ledger at `path`, made and brought up to date as needed.

    Nothing waits for other processes: whoever is in the way shows as SQLITE_BUSY (`is_busy`).
    Raises StoreError when the file is another program's or of a newer version, sqlite3.Error for
    what SQLite finds wrong.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreError(
            f"the folder of the ledger {path} cannot be made ({exc.strerror}); {_ADVICE_PLACE}"
        ) from exc
    db = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    _refuse_foreign(db, path)
    if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StoreError(
            f"the ledger {path} cannot be kept here: the file system has no shared memory, which "
            "several processes need; name a place on a local disk"
        )
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    if _version(db) == SCHEMA_VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    for statements in _MIGRATIONS[_version(db) :]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")


def _refuse_foreign(db: sqlite3.Connection, path: Path) -> None:
    has_tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    if has_tables and db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise StoreError(f"{path} is another program's database, not a ledger; name another place")
    if _version(db) > SCHEMA_VERSION:
        raise StoreError(
            f"the ledger {path} has version {_version(db)}, and this Sluice knows versions up to "
            f"{SCHEMA_VERSION}; upgrade Sluice, or name another place"
        )


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def is_busy(error: sqlite3.Error) -> bool:
    """Whether the database is only in use just now."""
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """What went wrong with the ledger at `path`, and what can be done about it."""
    code = _primary_code(error)
    if code in _DAMAGED:
        advice = "the file is damaged; restore a copy of it, or move it away to begin a new one"
    elif code in _FULL:
        advice = "see that its disk has room and is sound"
    else:
        advice = _ADVICE_PLACE
    return StoreError(f"the ledger {path} cannot be used ({error}): {advice}")


def _primary_code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
