"""The process around the application: the socket, the signals, the line that says it is ready."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import typer
import uvicorn

from router.errors import SluiceError

from .app import create_app, installed_version
from .service import Service
from .settings import Settings

__all__ = ["listen", "ready_lines", "run"]

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where a client on this machine reaches "anywhere"
_BACKLOG = 2048


def run(settings: Settings) -> NoReturn:
    """Serve until interrupted, then leave with status 0.

    Raises SluiceError when the address cannot be listened on or the artifact cannot be used.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    listener = listen(settings.host, settings.port)
    service = Service(settings)
    server = _Server(service, settings, listener)
    server.run(sockets=[listener])
    server.raise_failure()
    sys.exit(0)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; raises SluiceError in one line when the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise SluiceError(f"cannot listen on {host!r}: {exc.strerror or exc}") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            raise SluiceError(
                f"port {port} of {host} is in use; stop what listens there or choose another "
                "with --port"
            ) from exc
        raise SluiceError(f"cannot listen on {host} port {port}: {exc.strerror or exc}") from exc
    return listener


def ready_lines(listener: socket.socket, artifact: str) -> str:
    """What is said once requests are answered: where, with which artifact, and how to try it."""
    host, port = listener.getsockname()[:2]
    host = _ANY.get(host, host)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return (
        f"Sluice {installed_version()} ready on {url} (artifact {artifact})\n"
        f"Try it:\n"
        f"  curl -s {url}/v1/route -H 'content-type: application/json' "
        '-d \'{"prompt": "What is the capital of France?"}\''
    )


class _Server(uvicorn.Server):
    """Uvicorn, which also waits for the artifact: says when it is ready, stops when it is bad."""

    def __init__(self, service: Service, settings: Settings, listener: socket.socket) -> None:
        self._app = create_app(service)
        self._service = service
        self._listener = listener
        self._settling: asyncio.Task[None] | None = None
        super().__init__(
            uvicorn.Config(
                self._app,
                access_log=False,
                log_level="warning",
                server_header=False,
                ws="none",
                lifespan="on",
                timeout_graceful_shutdown=settings.shutdown_timeout_s,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._settling = asyncio.create_task(self._settle())

    async def _settle(self) -> None:
        """Wait for the artifact, then tell how to reach the service, or end it."""
        loading: asyncio.Task[None] | None = self._app.state.loading
        if loading is not None:
            await asyncio.wait({loading})
            if self._service.failure is not None or loading.exception() is not None:
                self.should_exit = True
        if not self.should_exit:
            typer.echo(ready_lines(self._listener, self._service.engine.version))
            sys.stdout.flush()

    def raise_failure(self) -> None:
        """Raise what kept the artifact from being loaded, if anything did."""
        if self._service.failure is not None:
            raise self._service.failure
        loading: asyncio.Task[None] | None = self._app.state.loading
        if loading is not None:
            loading.result()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """An interrupt or a request to end is how a service stops: nothing failed."""
    sys.exit(0)
