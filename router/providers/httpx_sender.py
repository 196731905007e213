"""A caller's own httpx client, with whatever it was given: HTTP/2, a SOCKS proxy, certificates."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from typing import Final, cast

import aiohttp
import httpx
from yarl import URL

from ..errors import ConfigError
from .aiohttp_sender import aiohttp_fault
from .http import HttpReply, TransportError

__all__ = ["HttpxSender"]

# The transport of httpx-aiohttp lets some of aiohttp's through.
_ERRORS: Final = (aiohttp.ClientError, httpx.HTTPError, httpx.InvalidURL)


class HttpxSender:
    """Sends through `client`, which stays its owner's to close. Its proxies count, its timeouts do
    not: the connection's comes with the call, and the rest is the caller's clock."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        if not isinstance(client, httpx.AsyncClient):
            raise ConfigError(
                f"'http_client' must be an httpx.AsyncClient, found {type(client).__name__}",
                param="http_client",
            )
        self._client = client

    async def post(
        self,
        url: URL,
        *,
        headers: Mapping[str, str],
        body: bytes,
        proxy: str | None,
        connect_s: float,
    ) -> HttpReply:
        """As `HttpSender` says, but for `proxy`; raises ConfigError once the client is closed."""
        if self._client.is_closed:
            raise ConfigError("'http_client' was closed before the last call", param="http_client")
        try:
            request = self._client.build_request(
                "POST",
                str(url),
                content=body,
                headers={"accept-encoding": "identity", **headers},  # no stream in lumps
                timeout=httpx.Timeout(None, connect=connect_s),
            )
            response = await self._client.send(request, stream=True, follow_redirects=False)
        except _ERRORS as exc:
            raise _fault(exc, began=False) from _tellable(exc)
        return _Reply(response)


class _Reply:
    """As `HttpReply` says."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._chunks = cast(AsyncGenerator[bytes, None], response.aiter_bytes())

    async def read(self) -> bytes:
        try:
            return await anext(self._chunks, b"")
        except _ERRORS as exc:
            raise _fault(exc, began=True) from _tellable(exc)

    async def aclose(self) -> None:
        with suppress(*_ERRORS):  # what counts of the reply has been read
            await self._chunks.aclose()
            await self._response.aclose()


def _fault(exc: Exception, *, began: bool) -> TransportError:
    """What an exception says of the connection; `began`: whether the headers had come."""
    for cause in (exc, exc.__cause__):
        if isinstance(cause, aiohttp.ClientError):
            return aiohttp_fault(cause)
    match exc:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return TransportError("no_connection")
        case httpx.TimeoutException():
            return TransportError("gave_up")
        case httpx.ProxyError():
            return TransportError("proxy")
        case httpx.ConnectError():
            return _connect_fault(exc)
        case httpx.RemoteProtocolError() if not began and _is_misread(exc):
            return TransportError("not_http")
        case httpx.NetworkError() | httpx.RemoteProtocolError():
            return TransportError("disconnected")
        case _:
            return TransportError("unknown", type(exc).__name__)


def _connect_fault(exc: httpx.ConnectError) -> TransportError:
    for cause in _causes(exc):
        match cause:
            case ssl.SSLCertVerificationError():
                return TransportError("certificate", cause.verify_message)
            case ssl.SSLError():
                return TransportError("handshake")
            case socket.gaierror():
                return TransportError("host")
            case ConnectionRefusedError():
                return TransportError("refused")
    return TransportError("connect")


def _is_misread(exc: httpx.RemoteProtocolError) -> bool:
    """Whether the parser of HTTP/1.1 gave up; otherwise the server has hung up."""
    return any(type(cause).__module__.startswith("h11.") for cause in _causes(exc))


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """The exception and what led to it, though httpcore hides that; of several attempts to
    connect the first."""
    while exc is not None:
        yield exc
        if isinstance(exc, BaseExceptionGroup):
            exc = exc.exceptions[0]
        else:
            exc = exc.__cause__ or exc.__context__


def _tellable(exc: Exception) -> OSError | None:
    """The cause to name, if any: httpx's own hold the request with its headers, or quote the
    reply."""
    return next((cause for cause in _causes(exc) if isinstance(cause, OSError)), None)
