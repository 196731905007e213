"""A service on a real socket of loopback, served from a thread while a block lasts."""

from __future__ import annotations

import threading
import time
from typing import Self

import uvicorn

from router.engine import Engine
from serving.app import create_app
from serving.config import GatewayConfig
from serving.server import listen
from serving.service import Service

__all__ = ["LiveService"]

_STARTS_WITHIN_S = 30.0


class LiveService:
    """The service of a configuration. Providers' keys are looked up nowhere."""

    def __init__(self, config: GatewayConfig, engine: Engine) -> None:
        self.service = Service(config, engine=engine, environ={})
        self._server = uvicorn.Server(
            uvicorn.Config(create_app(self.service), log_level="warning", ws="none")
        )
        self._listener = listen("127.0.0.1", 0)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while not (self._server.started and self.service.is_loaded):
            assert self.service.failure is None, self.service.failure
            assert time.monotonic() < deadline, "the service did not start"
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(_STARTS_WITHIN_S)
        assert not self._thread.is_alive()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()[:2]
        return host, port

    @property
    def origin(self) -> str:
        host, port = self.address
        return f"http://{host}:{port}"
