"""The service as it ships: the shipped artifact, in process and on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from router.engine import Engine
from serving.app import create_app
from serving.config import GatewayConfig, ServerConfig, StoreConfig
from serving.service import Service
from tests.serving.live_service import LiveService


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine.load()


@pytest.fixture
def store(tmp_path: Path) -> StoreConfig:
    """A store of the test's own."""
    return StoreConfig(url=f"sqlite:///{tmp_path / 'sluice.db'}")


@pytest.fixture
def app(engine: Engine, store: StoreConfig) -> Iterator[FastAPI]:
    """A fresh application without any model, so that metrics start at zero."""
    service = Service(GatewayConfig(store=store), engine=engine, environ={})
    service.load()
    assert service.failure is None
    yield create_app(service)
    service.database.close()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice.test") as client:
        yield client


@pytest.fixture(scope="session")
def address(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Host and port of a real server on loopback, with small limits on body, batch and time."""
    folder = tmp_path_factory.mktemp("service")
    config = GatewayConfig(
        server=ServerConfig(max_body_bytes=200_000, max_batch=16, body_timeout_s=1),
        store=StoreConfig(url=f"sqlite:///{folder / 'sluice.db'}"),
    )
    with LiveService(config, engine) as live:
        yield live.address


@pytest.fixture(scope="session")
def http(address: tuple[str, int]) -> Iterator[httpx.Client]:
    """A client of the real server."""
    host, port = address
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def error_of() -> Any:
    """A function that checks an answer's error shape and returns the error."""

    def read(response: httpx.Response, status: int, param: str | None = None) -> dict[str, Any]:
        assert response.status_code == status, response.text
        content = response.json()
        assert set(content) >= {"error"}
        error: dict[str, Any] = content["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert error["type"]
        assert error["code"]
        assert error["param"] == param, error
        return error

    return read
