"""Requests as bytes, sent as they are: what no HTTP library would send."""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Iterable

import httpx

__all__ = ["head", "send_raw"]

_WITHIN_S = 10.0


def head(path: str, *lines: bytes) -> bytes:
    """A request's head with these header lines; "host" and "connection: close" come with it."""
    first = f"POST {path} HTTP/1.1".encode("latin-1")
    return b"\r\n".join([first, b"host: x", b"connection: close", *lines, b"", b""])


def send_raw(
    address: tuple[str, int], pieces: Iterable[bytes], *, leave_after_s: float = _WITHIN_S
) -> httpx.Response | None:
    """The answer to what the pieces make together; None where the server closes without one, as it
    does once the client leaves. Raises TimeoutError where neither comes."""
    with socket.create_connection(address, timeout=_WITHIN_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        if not select.select([client], [], [], leave_after_s)[0]:
            client.shutdown(socket.SHUT_WR)
        reply = http.client.HTTPResponse(client)
        try:
            reply.begin()
        except http.client.RemoteDisconnected:
            return None
        return httpx.Response(reply.status, headers=reply.getheaders(), content=reply.read())
