"""Store and Redis, looked at without changing anything there."""

from __future__ import annotations

import os
import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError

from router.errors import ConfigError, StoreError
from router.extras import missing_extra, require_extra
from router.records.locations import Location, read_location
from router.records.migrations import HEAD
from router.records.schema import find_version
from router.records.store_errors import store_error

__all__ = ["check_redis", "check_store"]

_WITHIN_S: Final = 5


def check_store(url: str) -> str:
    """What a start would find at `url`.

    Raises ConfigError, UsageError or StoreError when it could not work with that.
    """
    location = read_location(url)
    if location.path is not None and not location.path.exists():
        _refuse_unwritable(location.name, _nearest(location.path), folder=True)
        return f"{location.name} will be made"
    version = _version_at(location)
    if version == HEAD:
        return f"{location.name} is up to date"
    change = "made" if version is None else f"brought from version {version} to {HEAD}"
    return f"{location.name} is there; its tables will be {change}"


def check_redis(url: str) -> str:
    """Ask for a sign of life; raises ConfigError or StoreError when there is none."""
    require_extra("'redis'", "redis")
    from redis import Redis
    from redis.exceptions import RedisError

    try:
        client = Redis.from_url(url, socket_timeout=_WITHIN_S, socket_connect_timeout=_WITHIN_S)
    except ValueError:
        raise ConfigError(
            "'redis.url' is not an address of Redis; write it like redis://host:6379/0",
            param="redis.url",
        ) from None  # the original may quote the password
    try:
        client.ping()
    except (RedisError, OSError) as exc:
        raise StoreError(
            f"it does not answer ({type(exc).__name__}); see that it runs and that the url is right"
        ) from exc
    finally:
        client.close()
    return "it answers"


def _version_at(location: Location) -> str | None:
    if location.path is not None:
        _refuse_unwritable(location.name, location.path)
        _refuse_unwritable(location.name, location.path.parent, folder=True)
    engine = _looking_engine(location)
    try:
        with engine.connect() as connection:
            return find_version(connection, location.name)
    except (SQLAlchemyError, sqlite3.Error) as exc:
        raise store_error(location.name, exc) from None  # some quote what is in the url
    finally:
        engine.dispose()


def _looking_engine(location: Location) -> Engine:
    """An engine that makes no file and does not change the mode of one, as the store's own does."""
    path = location.path
    if path is not None:
        address = f"file:{quote(str(path))}?mode=rw"
        return create_engine(
            "sqlite+pysqlite://",
            creator=lambda: sqlite3.connect(address, uri=True, timeout=_WITHIN_S),
            hide_parameters=True,
        )
    if find_spec("psycopg") is None:
        raise missing_extra("a store in PostgreSQL", "postgres")
    waits = {} if "connect_timeout" in location.url.query else {"connect_timeout": _WITHIN_S}
    return create_engine(location.url, hide_parameters=True, connect_args=waits)


def _nearest(path: Path) -> Path:
    """What is there already of the folders above."""
    return next(folder for folder in path.parents if folder.exists())


def _refuse_unwritable(name: str, place: Path, *, folder: bool = False) -> None:
    if folder and not place.is_dir():
        raise StoreError(f"the store {name} cannot be kept: {place} is not a folder")
    if not os.access(place, os.W_OK):
        raise StoreError(f"the store {name} cannot be kept: {place} is not writable")
