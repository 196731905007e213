"""What the databases and their drivers complain of, mapped once to StoreError.

Messages say what can be done. They quote a driver only where it speaks of files and connections:
what it says of a row may quote what is in it.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ..errors import StoreError

__all__ = ["driver_error", "is_busy", "is_of_a_row", "store_error"]

_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

# SQLSTATE, or the class that it begins with, and what it means; the first that fits counts.
_STATES: Final = (
    ("53100", "its disk is full", "make room on the server"),
    ("53", "it is out of resources", "see max_connections and the memory of the server"),
    ("55P03", "it was in use for too long", "see that nothing else locks its tables"),
    ("42501", "it does not give the rights needed", "grant them to the user of the url"),
    ("42P01", "a table is missing", "see that nobody removed tables of the store"),
    ("25006", "it is read-only", "name the primary server, not a standby"),
    ("XX", "it is damaged", "see the server's log"),
)


def driver_error(error: BaseException) -> BaseException:
    """The driver's own error inside SQLAlchemy's."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def is_busy(error: BaseException) -> bool:
    """Whether an SQLite database is only in use just now."""
    return _sqlite_code(driver_error(error)) in _BUSY


def is_of_a_row(error: BaseException) -> bool:
    """Whether a value or a row was refused, so that others may well be taken.

    Drivers count a missing table and missing rights (class 42) among the programmer's errors, but
    these are of the whole store: no row would fare better.
    """
    found = driver_error(error)
    if (getattr(found, "sqlstate", None) or "").startswith("42"):
        return False
    if isinstance(found, ValueError | OverflowError):
        return True  # it was not even sent
    return bool(_kinds(found) & {"DataError", "IntegrityError", "ProgrammingError"})


def store_error(name: str, error: BaseException) -> StoreError:
    """What went wrong with the database called `name`, and what can be done about it."""
    found = driver_error(error)
    if isinstance(found, PoolTimeoutError):
        return StoreError(
            f"the store {name} has no connection free; too much is asked of it at once"
        )
    if isinstance(found, sqlite3.Error):
        return StoreError(f"the store {name} {_explain_sqlite(found)}")
    return StoreError(f"the store {name} {_explain_server(found)}")


def _explain_sqlite(error: sqlite3.Error) -> str:
    code = _sqlite_code(error)
    if code in _DAMAGED:
        return (
            "is damaged, or no database at all; restore a copy of it, or move it away to begin a "
            "new one"
        )
    if code in _FULL:
        return f"cannot be written ({error}); see that its disk has room and is sound"
    if code in _BUSY:
        return "was in use for too long; see that no other program holds it open for writing"
    if isinstance(error, sqlite3.OperationalError):
        return f"cannot be used ({error}); make the file and its folder writable, or name another"
    return f"did not take what was to be written ({type(error).__name__})"


def _explain_server(error: BaseException) -> str:
    state: Any = getattr(error, "sqlstate", None) or ""
    for prefix, found, advice in _STATES:
        if state.startswith(prefix):
            return f"cannot be used ({state}): {found}; {advice}"
    if "OperationalError" in _kinds(error) and state[:2] in ("", "08", "57"):
        reason = " ".join(str(error).split())
        return f"cannot be reached ({reason}); see that the server runs and that the url is right"
    return f"did not take what was to be written ({state or type(error).__name__})"


def _kinds(error: BaseException) -> set[str]:
    """What it is called in PEP 249, which both drivers go by."""
    return {kind.__name__ for kind in type(error).__mro__}


def _sqlite_code(error: BaseException) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
