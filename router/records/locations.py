"""Where the records are: the URL that a configuration gives, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..errors import ConfigError

__all__ = ["Location", "read_location"]

_EXPECTED: Final = (
    "expected sqlite:///FILE (three slashes; four for an absolute path) or "
    "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
)


@dataclass(frozen=True, kw_only=True)
class Location:
    """A database's place. `name` is what messages call it: without user, password or options.

    `path` is the file of an SQLite database, absolute; None for a server.
    """

    url: URL
    name: str
    path: Path | None


def read_location(url: str) -> Location:
    """Take a URL apart; ConfigError (which never quotes it) says what is expected instead."""
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        # Not `from`: those errors may quote the URL, and a password with it.
        raise ConfigError(
            f"the store's url cannot be read; {_EXPECTED}", param="store.url"
        ) from None
    if parts.drivername == "sqlite":
        return _file(parts)
    if parts.drivername == "postgresql":
        return _server(parts)
    raise ConfigError(
        f"the store's url has the scheme {parts.drivername!r}; {_EXPECTED}", param="store.url"
    )


def _file(parts: URL) -> Location:
    if parts.host or parts.query or not parts.database or parts.database == ":memory:":
        raise ConfigError(
            "the store's url has to name a file and nothing else: sqlite:///FILE (three slashes; "
            "four for an absolute path)",
            param="store.url",
        )
    path = Path(parts.database).expanduser().absolute()  # wherever the process goes afterwards
    name = f"sqlite:///{path}"
    return Location(url=URL.create("sqlite+pysqlite", database=str(path)), name=name, path=path)


def _server(parts: URL) -> Location:
    # A password among the options would show where SQLAlchemy prints the URL.
    hidden = parts.query.get("password")
    password = hidden[-1] if isinstance(hidden, tuple) else hidden
    url = parts.difference_update_query(["password"]).set(
        drivername="postgresql+psycopg", password=parts.password or password
    )
    place = "" if url.host is None else f"{url.host}:{url.port or 5432}"
    return Location(url=url, name=f"postgresql://{place}/{url.database or ''}", path=None)
