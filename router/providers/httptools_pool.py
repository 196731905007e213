"""The connections of one event loop, kept alive between calls."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from typing import Any, Final, NamedTuple

from aiohappyeyeballs import start_connection

from .http import TransportError
from .httptools_connection import Connection
from .trust import trusting_context

__all__ = ["Pool", "Server"]

_KEEP_ALIVE_S: Final = 30.0
_LOOKUP_LASTS_S: Final = 10.0
_NEXT_ADDRESS_S: Final = 0.25  # RFC 8305
_HANDSHAKE_S: Final = 60.0


class Server(NamedTuple):
    """Whom a connection is to; `host` is a name in ASCII, or an address without brackets."""

    tls: bool
    host: str
    port: int


class Pool:
    """As many connections as there are calls at once, those used last first.

    `tls` None trusts what the system does.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.closed = False
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._open: set[Connection] = set()
        self._free: dict[Server, list[Connection]] = {}
        self._lookups: dict[tuple[str, int], _Lookup] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._all_gone: asyncio.Future[None] | None = None

    async def take(self, server: Server, connect_s: float) -> Connection:
        """A connection that nobody else uses; raises TransportError."""
        free = self._free.get(server)
        while free:
            connection = free.pop()
            if connection.usable:
                return connection
        return await self._connect(server, connect_s)

    async def aclose(self) -> None:
        """Close every connection, and wait until they are gone."""
        self.abort()
        if self._open:
            if self._all_gone is None:
                self._all_gone = self._loop.create_future()
            await asyncio.shield(self._all_gone)

    def abort(self) -> None:
        """`aclose` without waiting."""
        self.closed = True
        self._free.clear()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        if not self._loop.is_closed():
            for connection in self._open:
                connection.abort()

    async def _connect(self, server: Server, connect_s: float) -> Connection:
        clock = asyncio.timeout(connect_s)
        try:
            async with clock:
                connection = await self._open_one(server, connect_s)
        except ssl.SSLCertVerificationError as exc:
            raise TransportError("certificate", exc.verify_message) from exc
        except ssl.SSLError as exc:
            raise TransportError("handshake") from exc
        except ConnectionRefusedError as exc:
            raise TransportError("refused") from exc
        except OSError as exc:  # a TimeoutError is one too
            raise TransportError("no_connection" if clock.expired() else "connect") from exc
        if self.closed or not connection.usable:
            connection.abort()
            raise TransportError("disconnected")
        self._open.add(connection)  # not before: one without a handshake is never said to be lost
        return connection

    async def _open_one(self, server: Server, connect_s: float) -> Connection:
        # uvloop tries one address after the other, so they are raced before it gets the socket.
        addresses = await self._look_up(server)
        connected = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_S)
        given: dict[str, Any] = {}
        if server.tls:
            given["ssl"] = self._tls or trusting_context()
            given["server_hostname"] = server.host.rstrip(".")
            given["ssl_handshake_timeout"] = max(connect_s, _HANDSHAKE_S)

        def make() -> Connection:
            return Connection(
                self._loop,
                on_free=lambda freed: self._put_back(server, freed),
                on_lost=self._forget,
            )

        try:
            _, made = await self._loop.create_connection(make, sock=connected, **given)
        except BaseException:
            connected.close()  # which the loop has not always got hold of
            raise
        return made

    async def _look_up(self, server: Server) -> list[Any]:
        """The addresses, as `getaddrinfo` has them; calls that come together ask once."""
        key = (server.host, server.port)
        if _is_address(server.host):
            return socket.getaddrinfo(*key, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        lookup = self._lookups.setdefault(key, _Lookup())
        async with lookup.lock:
            if lookup.expires_at <= self._loop.time():
                try:
                    lookup.found = await self._loop.run_in_executor(None, _resolve, *key)
                except (OSError, UnicodeError) as exc:
                    raise TransportError("host") from exc
                lookup.expires_at = self._loop.time() + _LOOKUP_LASTS_S
            return lookup.found

    def _put_back(self, server: Server, connection: Connection) -> None:
        if self.closed:
            connection.abort()
            return
        connection.free_since = self._loop.time()
        self._free.setdefault(server, []).append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(_KEEP_ALIVE_S, self._close_idle)

    def _close_idle(self) -> None:
        """Close what was not used for so long; what was used last is last."""
        now = self._loop.time()
        self._sweep = None
        for server, free in list(self._free.items()):
            kept = []
            for connection in free:
                if connection.usable and connection.free_since + _KEEP_ALIVE_S > now:
                    kept.append(connection)
                else:
                    connection.abort()
            if kept:
                self._free[server] = kept
            else:
                del self._free[server]
        if self._free:
            oldest = min(free[0].free_since for free in self._free.values())
            self._sweep = self._loop.call_at(oldest + _KEEP_ALIVE_S, self._close_idle)

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if not self._open and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)


class _Lookup:
    """What is known of a name."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.found: list[Any] = []
        self.expires_at = 0.0  # by the loop's clock


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _resolve(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
