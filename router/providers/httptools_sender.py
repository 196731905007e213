"""The HTTP client that carries the calls, unless the caller brings his own: HTTP/1.1, POST only.

httptools parses, asyncio's protocols do the rest. It is as lean as it can be, because a call to a
near model takes less time than a general client spends on it.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Final

from yarl import URL

from .content_encoding import decoded
from .http import HttpReply
from .httptools_pool import Pool, Server

if TYPE_CHECKING:
    from .aiohttp_sender import AiohttpSender

__all__ = ["HttptoolsSender"]

_MAX_HEADS: Final = 1_000
_OURS: Final = ("content-length", "host", "transfer-encoding")
_BREAKS: Final = frozenset("\r\n\0")


class HttptoolsSender:
    """The connections of the event loop that it is made in; `tls` None trusts what the system
    does. What goes through a proxy is aiohttp's.

    Closed by `aclose`; otherwise by the end of its loop, once `guard` was awaited.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._pool = Pool(tls)
        self._guard = _close_at_the_end(self._pool)
        self._heads: dict[URL, tuple[Mapping[str, str], Server, bytes]] = {}
        self._proxied: AiohttpSender | None = None

    @property
    def closed(self) -> bool:
        return self._pool.closed

    async def guard(self) -> None:
        """Have the connections closed with the loop: before it ends, `asyncio.run` finishes the
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
        """As `HttpSender` says; raises ValueError for a header that holds a line break."""
        if proxy is not None:
            sender = await self._through_proxies()
            return await sender.post(
                url, headers=headers, body=body, proxy=proxy, connect_s=connect_s
            )
        known = self._heads.get(url)
        if known is None or known[0] != headers:
            known = self._know(url, headers)
        _, server, head = known
        connection = await self._pool.take(server, connect_s)
        # Never sent a second time, as with aiohttp: where a connection breaks without a word, the
        # server may have begun to work on what it got, and a completion costs money. Whoever
        # called knows whether to retry. A connection known to be closed is not taken at all.
        reply = await connection.post(b"%b%d\r\n\r\n" % (head, len(body)), body)
        return decoded(reply)

    async def aclose(self) -> None:
        """Close every connection; from the sender's own loop."""
        await self._guard.aclose()
        await self._pool.aclose()
        if self._proxied is not None:
            await self._proxied.aclose()

    def abandon(self) -> None:
        """`aclose` for when nobody can wait: all is closed but for what a closed loop left."""
        self._pool.abort()
        if self._proxied is not None:
            self._proxied.abandon()

    async def _through_proxies(self) -> AiohttpSender:
        if self._proxied is None:
            from .aiohttp_sender import AiohttpSender  # only who has a proxy pays for it

            self._proxied = AiohttpSender(self._tls)
            await self._proxied.guard()
        return self._proxied

    def _know(
        self, url: URL, headers: Mapping[str, str]
    ) -> tuple[Mapping[str, str], Server, bytes]:
        """The headers, where they go, and what a request begins with."""
        if len(self._heads) >= _MAX_HEADS:
            self._heads.clear()
        server = Server(tls=url.scheme == "https", host=url.raw_host or "", port=url.port or 0)
        known = (dict(headers), server, _head(url, headers))
        self._heads[url] = known
        return known


def _head(url: URL, headers: Mapping[str, str]) -> bytes:
    """All of a request's head but the length of the body and what ends it."""
    given = {name.lower(): value for name, value in headers.items()}
    given = {
        "host": given.get("host") or url.host_port_subcomponent or "",
        "accept-encoding": "identity",  # a compressed stream comes in lumps
        **{name: value for name, value in given.items() if name not in _OURS},
    }
    if any(not _BREAKS.isdisjoint(name + value) for name, value in given.items()):
        raise ValueError("a header holds a line break or a null")
    lines = [f"POST {url.raw_path_qs} HTTP/1.1", *(f"{n}: {v}" for n, v in given.items())]
    return "\r\n".join([*lines, "content-length: "]).encode("latin-1")


async def _close_at_the_end(pool: Pool) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await pool.aclose()
