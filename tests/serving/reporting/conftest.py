"""The reporting routes over a real store and real keys, without a gateway around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from router.records.database import Database
from router.records.key_form import KeyForm
from router.records.key_records import create_key
from serving import routes_analytics, routes_dashboard, routes_feedback
from serving.access.access import Access
from serving.access.local_rate_limits import LocalRateLimits
from serving.access.rate_limits import RateLimits
from serving.config import AuthConfig
from serving.errors import install_error_handlers
from serving.service import Service

ADMIN_KEY = "the-admin-of-these-tests"


class ReportingService(Service):
    """A service with a store and keys, and nothing to route with."""

    def __init__(self, database: Database, auth: AuthConfig) -> None:
        super().__init__()
        self._database = database
        self._access = Access(auth, database)
        self._rate_limits = LocalRateLimits()

    @property
    def access(self) -> Access:
        return self._access

    @property
    def rate_limits(self) -> RateLimits:
        return self._rate_limits

    @property
    def database(self) -> Database:
        return self._database


def reporting_app(database: Database, auth: AuthConfig) -> FastAPI:
    """An application of the reporting routes alone."""
    app = FastAPI()
    app.state.service = ReportingService(database, auth)
    for routes in (routes_feedback, routes_analytics, routes_dashboard):
        app.include_router(routes.router)
    install_error_handlers(app)
    return app


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path}/sluice.db")
    yield database
    database.close()


@pytest.fixture
def keys(store: Database) -> dict[str, tuple[str, str]]:
    """Two tenants: {name: (id of the key, the key)}."""
    made = {}
    for name in ("ours", "theirs"):
        form = KeyForm.model_validate({"name": name})
        record, key = store.run_sync(partial(create_key, form=form, now=1.0))
        made[name] = (record.id, key)
    return made


@pytest.fixture
def app(store: Database) -> FastAPI:
    """In keys mode."""
    auth = AuthConfig.model_validate({"mode": "keys", "admin_key": ADMIN_KEY})
    return reporting_app(store, auth)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://sluice.test"
    ) as client:
        yield client


@pytest.fixture
async def open_client(store: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the same store in open mode."""
    app = reporting_app(store, AuthConfig())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://sluice.test"
    ) as client:
        yield client


@pytest.fixture
def ours(keys: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {"authorization": f"Bearer {keys['ours'][1]}"}


@pytest.fixture
def admin() -> dict[str, Any]:
    return {"authorization": f"Bearer {ADMIN_KEY}"}
