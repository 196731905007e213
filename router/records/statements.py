"""The journal's SQL, written with SQLAlchemy once for each database and run without it.

On the request path a statement is run many times faster by the driver alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import ARRAY, Dialect, Table, Text, any_, bindparam, delete, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement

from .tables import calls, holds, outcomes, totals

__all__ = [
    "CALL_COLUMNS",
    "OUTCOME_COLUMNS",
    "PostgresStatements",
    "SqliteStatements",
    "postgres_statements",
    "sqlite_statements",
]

# In the order in which SQLAlchemy writes them, which is the tables'.
OUTCOME_COLUMNS: Final = tuple(outcomes.c.keys()[1:])  # the database numbers rows by itself
CALL_COLUMNS: Final = tuple(calls.c.keys())
_HOLD_COLUMNS: Final = tuple(holds.c.keys())
_TOTAL_COLUMNS: Final = tuple(totals.c.keys())


@dataclass(frozen=True, kw_only=True)
class _Statements:
    """What both databases are told alike, each with placeholders in the order of the columns."""

    insert_outcome: str  # nothing happens when the request is there already
    insert_call: str
    insert_hold: str
    add_total: str


@dataclass(frozen=True, kw_only=True)
class SqliteStatements(_Statements):
    """One row at a time: nothing is between us and the database."""

    delete_hold: str  # takes an id
    find_expired: str  # takes a moment; gives id, amount and windows
    read_total: str  # takes window and account; gives what is taken


@dataclass(frozen=True, kw_only=True)
class PostgresStatements(_Statements):
    """Many rows at a time: ids, windows and accounts are arrays. `insert_outcome` gives the id of
    the request if it was not there, `delete_holds` the ids of those that were."""

    delete_holds: str  # takes ids
    delete_expired: str  # takes a moment; gives amount and windows
    find_holds: str  # takes ids; gives those that are there
    read_totals: str  # takes windows and accounts, and goes through each with each
    lock: str  # takes the number of the lock, kept until the transaction ends


@cache
def sqlite_statements() -> SqliteStatements:
    """For sqlite3."""
    dialect = sqlite.dialect(paramstyle="qmark")
    taken = select(totals.c.settled_nano + totals.c.held_nano)
    here = (totals.c.window == bindparam("window")) & (totals.c.account == bindparam("account"))
    expired = select(holds.c.id, holds.c.amount_nano, holds.c.windows)
    return SqliteStatements(
        insert_outcome=_insert_outcome(sqlite, dialect),
        insert_call=_insert(calls, CALL_COLUMNS, dialect),
        insert_hold=_insert(holds, _HOLD_COLUMNS, dialect),
        add_total=_add_total(sqlite, dialect),
        delete_hold=_sql(delete(holds).where(holds.c.id == bindparam("id")), ("id",), dialect),
        find_expired=_sql(expired.where(holds.c.expires_at <= bindparam("now")), ("now",), dialect),
        read_total=_sql(taken.where(here), ("window", "account"), dialect),
    )


@cache
def postgres_statements() -> PostgresStatements:
    """For psycopg."""
    psycopg_dialect: Any = make_url("postgresql+psycopg://").get_dialect()
    dialect = psycopg_dialect(paramstyle="format")
    listed = holds.c.id == any_(bindparam("ids", type_=ARRAY(Text)))
    expired = delete(holds).where(holds.c.expires_at <= bindparam("now"))
    here = (totals.c.window == any_(bindparam("windows", type_=ARRAY(Text)))) & (
        totals.c.account == any_(bindparam("accounts", type_=ARRAY(Text)))
    )
    taken = select(totals.c.window, totals.c.account, totals.c.settled_nano + totals.c.held_nano)
    return PostgresStatements(
        insert_outcome=_insert_outcome(postgresql, dialect, returning=True),
        insert_call=_insert(calls, CALL_COLUMNS, dialect),
        insert_hold=_insert(holds, _HOLD_COLUMNS, dialect),
        add_total=_add_total(postgresql, dialect),
        delete_holds=_sql(delete(holds).where(listed).returning(holds.c.id), ("ids",), dialect),
        delete_expired=_sql(
            expired.returning(holds.c.amount_nano, holds.c.windows), ("now",), dialect
        ),
        find_holds=_sql(select(holds.c.id).where(listed), ("ids",), dialect),
        read_totals=_sql(taken.where(here), ("windows", "accounts"), dialect),
        lock=_sql(select(func.pg_advisory_xact_lock(bindparam("lock"))), ("lock",), dialect),
    )


def _insert(table: Table, columns: Sequence[str], dialect: Dialect) -> str:
    return _sql(table.insert().inline(), columns, dialect)


def _insert_outcome(database: Any, dialect: Dialect, *, returning: bool = False) -> str:
    insert = (
        database.insert(outcomes).inline().on_conflict_do_nothing(index_elements=["request_id"])
    )
    return _sql(
        insert.returning(outcomes.c.request_id) if returning else insert, OUTCOME_COLUMNS, dialect
    )


def _add_total(database: Any, dialect: Dialect) -> str:
    insert = database.insert(totals).inline()
    added = {name: totals.c[name] + insert.excluded[name] for name in ("settled_nano", "held_nano")}
    insert = insert.on_conflict_do_update(index_elements=["window", "account"], set_=added)
    return _sql(insert, _TOTAL_COLUMNS, dialect)


def _sql(statement: ClauseElement, names: Sequence[str], dialect: Dialect) -> str:
    """The statement's text; its placeholders have to stand in the order of `names`."""
    compiled: Any = statement.compile(
        dialect=dialect, column_keys=names if getattr(statement, "is_insert", False) else None
    )
    assert tuple(compiled.positiontup) == tuple(names)
    return str(compiled)
