"""A database with keys in it, and a watch over what is asked of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import event

from router.records.database import Database
from router.records.key_form import KeyForm
from router.records.key_records import create_key
from serving.access.access import Access
from serving.config import AuthConfig
from tests.serving.access.admin_app import app_of, client_of
from tests.serving.access.given import ADMIN_KEY, MakeAccess, MakeKey, bearer


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path}/keys.db")
    yield database
    database.close()


@pytest.fixture
def make_key(database: Database) -> MakeKey:
    """Makes a key and gives its id and the key."""

    def make(**given: Any) -> tuple[str, str]:
        form = KeyForm.model_validate({"name": "a key", **given})
        record, key = database.run_sync(partial(create_key, form=form, now=time.time()))
        return record.id, key

    return make


@pytest.fixture
def make_access(database: Database) -> MakeAccess:
    """Makes an Access of its own memory, as each process has one."""

    def make(mode: str = "keys", admin_key: str | None = ADMIN_KEY) -> Access:
        secret = None if admin_key is None else SecretStr(admin_key)
        return Access(AuthConfig(mode=mode, admin_key=secret), database)  # type: ignore[arg-type]

    return make


@pytest.fixture
def asked(database: Database) -> list[str]:
    """Every SELECT that was asked, as it is asked."""
    statements: list[str] = []

    def watch(_: Any, __: Any, statement: str, *rest: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", watch)
    return statements


@pytest.fixture
def app(make_access: MakeAccess, database: Database) -> FastAPI:
    return app_of(make_access(), database)


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, **bearer(ADMIN_KEY)) as client:
        yield client


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client
