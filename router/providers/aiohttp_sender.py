"""aiohttp as the HTTP client: what carries the calls that go through a proxy."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from io import BytesIO
from typing import Final

import aiohttp
from yarl import URL

from .http import HttpReply, TransportError
from .trust import trusting_context

__all__ = ["AiohttpSender", "aiohttp_fault", "open_session"]

_KEEP_ALIVE_S: Final = 30.0
_LARGE_BODY: Final = 2**20  # from where on aiohttp warns


class AiohttpSender:
    """One session, of the event loop that it is made in; `tls` None trusts what the system does.

    Closed by `aclose`; otherwise by the end of its loop, once `guard` was awaited.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._session = open_session(tls)
        self._guard = _close_at_the_end(self._session)

    @property
    def closed(self) -> bool:
        return self._session.closed

    async def guard(self) -> None:
        """Have the session closed with the loop: before it ends, `asyncio.run` finishes the
        asynchronous generators that someone has left off halfway."""
        await anext(self._guard)

    async def post(
        self,
        url: URL,
        *,
        headers: Mapping[str, str],
        body: bytes,
        proxy: str | None,
        connect_s: float,
    ) -> HttpReply:
        """As `HttpSender` says."""
        try:
            response = await self._session.post(
                url,
                # Large ones in pieces, or writing them would hold up everything else.
                data=BytesIO(body) if len(body) > _LARGE_BODY else body,
                headers=headers,
                proxy=proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=connect_s),
            )
        except aiohttp.ClientError as exc:
            raise aiohttp_fault(exc) from _tellable(exc)
        return _Reply(response)

    async def aclose(self) -> None:
        """Close every connection; from the sender's own loop."""
        await self._guard.aclose()
        await self._session.close()

    def abandon(self) -> None:
        """`aclose` for when nobody can wait: all is closed but for what a closed loop left."""
        closing = self._session.close()
        with suppress(StopIteration):
            closing.send(None)  # up to where it waits for connections to be gone
        closing.close()


class _Reply:
    """As `HttpReply` says."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._content = response.content

    async def read(self) -> bytes:
        try:
            return await self._content.readany()
        except aiohttp.ClientError as exc:
            raise aiohttp_fault(exc) from _tellable(exc)

    async def aclose(self) -> None:
        self._response.close()  # no more than a formality once all was read


def aiohttp_fault(exc: aiohttp.ClientError) -> TransportError:
    """What an exception of aiohttp's says of the connection."""
    match exc:
        case aiohttp.ConnectionTimeoutError():
            return TransportError("no_connection")
        case aiohttp.ClientConnectorCertificateError(certificate_error=reason):
            return TransportError("certificate", getattr(reason, "verify_message", ""))
        case aiohttp.ClientSSLError():
            return TransportError("handshake")
        case aiohttp.ClientConnectorDNSError():
            return TransportError("host")
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return TransportError("proxy")
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return TransportError("refused")
        case aiohttp.ClientConnectorError():
            return TransportError("connect")
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError():
            return TransportError("disconnected")
        case aiohttp.ClientResponseError():
            return TransportError("not_http")
        case _:
            return TransportError("unknown", type(exc).__name__)


def _tellable(exc: aiohttp.ClientError) -> aiohttp.ClientError | None:
    """The cause to name, if any: a ClientResponseError holds the request's headers and quotes
    the reply."""
    return None if isinstance(exc, aiohttp.ClientResponseError) else exc


async def _close_at_the_end(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await session.close()


def open_session(tls: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """A session of the running loop, without any limit of its own."""
    connector = aiohttp.TCPConnector(
        limit=0,  # how much runs at once is for budgets and callers to say
        keepalive_timeout=_KEEP_ALIVE_S,
        resolver=aiohttp.ThreadedResolver(),  # the system's, whatever else is installed
        ssl=tls or trusting_context(),
    )
    # Each call brings its own timeouts. The environment is left alone, as aiohttp would let a
    # .netrc replace the provider's key; proxies are found by `proxies.find_proxy`.
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept-Encoding",),  # a compressed stream comes in lumps
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=False,
    )
