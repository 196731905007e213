"""An ASGI application on a real socket of loopback, served from a thread while a block lasts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.operations.draining_server import DrainingServer
from serving.operations.http_protocol import HttpLimits

__all__ = ["connect", "echo", "read_all", "serve"]

_READY_WITHIN_S = 20.0


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of the body; says yes to the lifespan."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serve(
    app: ASGIApp,
    *,
    max_header_bytes: int = 4096,
    head_timeout_s: float = 30.0,
    refused: list[int] | None = None,
    drain_timeout_s: float = 1.0,
) -> Iterator[tuple[DrainingServer, int]]:
    """The server and its port; `refused` gathers the statuses that no application gave."""
    limits = HttpLimits(
        max_header_bytes=max_header_bytes,
        head_timeout_s=head_timeout_s,
        on_refusal=None if refused is None else refused.append,
    )
    server = DrainingServer(app, limits=limits, drain_timeout_s=drain_timeout_s)
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)
        yield server, port
    finally:
        server.finish_soon()
        thread.join(10)
        assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    """A client's socket."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def read_all(client: socket.socket) -> bytes:
    """What comes until the server closes."""
    pieces = []
    while piece := client.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)
