"""The seam to the network: what a call needs of an HTTP client, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from yarl import URL

__all__ = ["FaultKind", "HttpReply", "HttpSender", "TransportError"]

FaultKind = Literal[
    "certificate",  # the server's is not trusted; `detail` says why
    "connect",  # unreachable
    "disconnected",  # broke before the reply was whole
    "gave_up",  # the client's own deadline passed
    "handshake",  # no TLS
    "host",  # no such name
    "no_connection",  # not made in time
    "not_http",
    "proxy",
    "refused",
    "unknown",  # `detail` is the name of the client's exception
]


class TransportError(Exception):
    """A connection was not made, or broke. `detail` holds nothing of the request or the reply."""

    def __init__(self, kind: FaultKind, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind: FaultKind = kind
        self.detail = detail


class HttpReply(Protocol):
    """A reply whose body is still to be read."""

    @property
    def status(self) -> int:
        """The status code; no redirect was followed."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in either case."""
        ...

    async def read(self) -> bytes:
        """The next of the body as soon as it is there, b"" at its end; raises TransportError."""
        ...

    async def aclose(self) -> None:
        """Let go of the connection: for the next call once all was read, else closed."""
        ...


class HttpSender(Protocol):
    """An HTTP client. Whoever cancels a call closes its connection."""

    async def post(
        self,
        url: URL,
        *,
        headers: Mapping[str, str],
        body: bytes,
        proxy: str | None,
        connect_s: float,
    ) -> HttpReply:
        """Send a body, and wait for the reply's headers without a limit other than `connect_s`
        for the connection; raises TransportError."""
        ...
