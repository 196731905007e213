"""The service as it ships: the shipped artifact, in process and on a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from router.engine import Engine
from serving.app import create_app
from serving.server import listen
from serving.service import Service
from serving.settings import Settings


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine.load()


@pytest.fixture
def app(engine: Engine) -> FastAPI:
    """A fresh application, so that metrics start at zero."""
    return create_app(Service(Settings(), engine=engine))


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice.test") as client:
        yield client


@pytest.fixture(scope="session")
def address(engine: Engine) -> Iterator[tuple[str, int]]:
    """Host and port of a real server on loopback, with small limits on body, batch and time."""
    settings = Settings(max_body_bytes=200_000, max_batch=16, body_timeout_s=1)
    config = uvicorn.Config(
        create_app(Service(settings, engine=engine)), log_level="warning", ws="none"
    )
    server = uvicorn.Server(config)
    listener = listen("127.0.0.1", 0)
    host, port = listener.getsockname()[:2]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        yield host, port
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


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
