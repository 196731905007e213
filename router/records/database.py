"""The database behind the gateway: SQLite in a file, or PostgreSQL, opened and kept in order."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ..errors import StoreError
from ..extras import missing_extra
from .forks import close_around_forks
from .locations import Location, read_location
from .migrations import HEAD
from .schema import find_version, upgrade_schema
from .sqlite_file import BEGIN_OPTION, make_sqlite_engine, prepare_file
from .store_errors import is_busy, is_of_a_row, store_error

__all__ = ["Database"]

_WRITES: Final = "BEGIN IMMEDIATE"
_FORK_WAIT_S: Final = 30.0

# A server that does not answer is given up; options in the url come before these.
_CONNECT_ARGS: Final = {"connect_timeout": 10, "tcp_user_timeout": 30_000}

# Of the database, that is. What else SQLAlchemy raises is wrong with the work it was given.
_FAILURES: Final = (DBAPIError, PoolTimeoutError)

_Found = TypeVar("_Found")


class Database:
    """Outcomes, ledger, keys and feedback. Safe to use from several threads.

    `name` is what messages call it; no password is in it, nor in any repr or error. Connections are
    closed around a fork and taken up again afterwards, in parent and child.
    """

    def __init__(self, engine: Engine, location: Location) -> None:
        self.engine = engine
        self.name = location.name
        self.is_sqlite = location.path is not None
        self._free = threading.Condition()
        self._running = 0
        close_around_forks(self)

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> Database:
        """Open the database at `url`, made and brought up to date as needed.

        "sqlite:///relative/path", "sqlite:////absolute/path" or "postgresql://...". Several
        processes may do so at once. Without `migrate`, one that is not up to date is refused.
        Raises ConfigError for a URL that names neither, UsageError when the extra 'postgres' is
        missing, StoreError for a database that cannot be used, is another program's or of a newer
        version.
        """
        location = read_location(url)
        if location.path is None:
            engine = _server_engine(location.url)
        else:
            engine = make_sqlite_engine(location.url)
        database = cls(engine, location)
        try:
            database._prepare(location, migrate=migrate)
        except BaseException:
            database.close()
            raise
        return database

    def run_sync(self, work: Callable[[Connection], _Found]) -> _Found:
        """What `work` comes to, in one transaction of its own, rolled back when it raises.

        In SQLite `work` may be called a second time from the beginning, when another process wrote
        between its reading and its writing. Raises StoreError when the database fails.
        """
        with self._in_use():
            try:
                return self._transact(work)
            except _FAILURES as exc:
                if not (self.is_sqlite and is_busy(exc)):
                    raise self._error(exc) from _shown(exc)
            try:
                return self._transact(work, begin=_WRITES)
            except _FAILURES as exc:
                raise self._error(exc) from _shown(exc)

    async def run(self, work: Callable[[Connection], _Found]) -> _Found:
        """As `run_sync`, in a thread of its own, so that the event loop goes on meanwhile."""
        return await asyncio.to_thread(self.run_sync, work)

    def connect_driver(self) -> Any:
        """The driver's own connection (sqlite3's or psycopg's), which the caller closes.

        Raises what SQLAlchemy raises when there is none to be had.
        """
        pooled = self.engine.raw_connection()
        connection = pooled.driver_connection
        pooled.detach()
        return connection

    def close(self) -> None:
        """Close the connections; the next use takes them up again."""
        self.engine.dispose()

    def before_fork(self) -> None:
        """See `forks.ForkSafe`; what is under way is waited for."""
        self._free.acquire()
        self._free.wait_for(lambda: self._running == 0, _FORK_WAIT_S)
        self.engine.dispose()

    def after_fork(self) -> None:
        """See `forks.ForkSafe`."""
        self._free.release()

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    def _prepare(self, location: Location, *, migrate: bool) -> None:
        """Make what is missing; with the schema up to date, that is one look at it."""
        try:
            if location.path is not None:
                prepare_file(location.path, self.name)
        except sqlite3.Error as exc:
            raise self._error(exc) from exc
        version = self.run_sync(lambda connection: find_version(connection, self.name))
        if version == HEAD:
            return
        if not migrate:
            raise StoreError(
                f"the store {self.name} has version {version or 'none'}, and {HEAD} is needed; "
                "open it once with migrations (`sluice serve` does so)"
            )
        with self._in_use():
            try:
                self._transact(lambda found: upgrade_schema(found, self.name), begin=_WRITES)
            except _FAILURES as exc:
                raise self._error(exc) from _shown(exc)

    def _transact(self, work: Callable[[Connection], _Found], *, begin: str = "BEGIN") -> _Found:
        with self.engine.connect() as connection:
            connection = connection.execution_options(**{BEGIN_OPTION: begin})
            with connection.begin():
                return work(connection)

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._free:
            self._running += 1
        try:
            yield
        finally:
            with self._free:
                self._running -= 1
                self._free.notify_all()

    def _error(self, error: BaseException) -> StoreError:
        return store_error(self.name, error)


def _server_engine(url: URL) -> Engine:
    if find_spec("psycopg") is None:
        raise missing_extra("a store in PostgreSQL", "postgres")
    return create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # a connection that the server has closed meanwhile is not used
        use_native_hstore=False,  # saves a question at every connect
        connect_args={key: _CONNECT_ARGS[key] for key in _CONNECT_ARGS if key not in url.query},
    )


def _shown(error: BaseException) -> BaseException | None:
    """The cause that a traceback may show: what is said of a row may quote what is in it."""
    return None if is_of_a_row(error) else error
