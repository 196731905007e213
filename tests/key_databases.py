"""Databases for tests of keys: SQLite in a folder, and a PostgreSQL database of its own.

PostgreSQL and Redis run beside the tests; where one is not reachable, tests that need it are
skipped, and fail in CI.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import redis
from psycopg import sql

__all__ = ["POSTGRES", "REDIS", "demand_redis", "postgres_database"]

POSTGRES = os.environ.get("SLUICE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("SLUICE_TEST_REDIS", "redis://127.0.0.1:6379/9")


def _missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def postgres_database() -> Iterator[str]:
    """The URL of a fresh database, which is dropped at the end."""
    name = f"sluice_access_{secrets.token_hex(4)}"
    try:
        admin = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as exc:
        _missing(f"PostgreSQL is not reachable: {exc}")
    with admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{POSTGRES.rpartition('/')[0]}/{name}"
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def demand_redis() -> str:
    """The URL of a Redis that answers."""
    client = redis.Redis.from_url(REDIS, socket_connect_timeout=3)
    try:
        client.ping()
    except redis.RedisError as exc:
        _missing(f"Redis is not reachable: {exc}")
    finally:
        client.close()
    return REDIS
