"""One connection to a server: a request at a time, and the reply to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from .http import TransportError
from .httptools_reply import WireReply

__all__ = ["Connection"]

_PIECE: Final = 2**16  # bytes that are written without a turn for anybody else


class Connection(asyncio.Protocol):
    """`on_free` is told when it may serve again, `on_lost` when it never will."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_free: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.usable = False
        self.free_since = 0.0  # by the loop's clock
        self._loop = loop
        self._on_free = on_free
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._reply: WireReply | None = None
        self._is_sending = False  # a part of the request is not written yet
        self._is_choked = False  # something written is not with the system yet

    async def post(self, head: bytes, body: bytes) -> WireReply:
        """The reply, once its head is complete; raises TransportError. Cancelling closes the
        connection."""
        reply = self._reply = WireReply(self, self._loop)
        try:
            if len(body) <= _PIECE:
                self._write(head + body)
            else:
                await self._send(head, body, reply)
            while not reply.begun:
                reply.check()
                await reply.wait()
        except BaseException:
            await reply.aclose()  # not `abort`: if it is whole, another call may be here by now
            raise
        return reply

    async def _send(self, head: bytes, body: bytes, reply: WireReply) -> None:
        """Write a large body piece by piece, until the server has begun to answer."""
        self._is_sending = True
        self._write(head)
        view = memoryview(body)
        for start in range(0, len(body), _PIECE):
            self._write(view[start : start + _PIECE])
            await asyncio.sleep(0)
            while self._is_choked and not reply.begun:
                reply.check()
                await reply.wait()
            if reply.begun:
                return
        self._is_sending = False

    def _write(self, data: bytes | memoryview) -> None:
        if self._transport is None or not self.usable:
            raise TransportError("disconnected")
        self._transport.write(data)

    def abort(self) -> None:
        """Close at once: what was not sent is dropped."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def free(self, *, clean: bool) -> None:
        """As `Line` says: put back, unless something of either message could still be under way."""
        self._reply = None
        if clean and self.usable and not (self._is_sending or self._is_choked):
            self._on_free(self)
        else:
            self.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # Choked as soon as anything waits; with a limit of 0 TLS would be so for ever.
        self._transport.set_write_buffer_limits(high=1, low=0)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        if self._reply is not None:
            self._reply.feed(data)
        else:
            self.abort()  # nothing was asked: 408, or the rest of a reply that is too long

    def eof_received(self) -> None:
        self.usable = False
        if self._reply is not None:
            self._reply.hung_up()
        self.abort()  # a server that has gone half-way needs no more of a request either

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._transport = None
        reply, self._reply = self._reply, None
        if reply is not None:
            if exc is None:
                reply.hung_up()
            else:
                reply.fail("disconnected")
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._is_choked = True

    def resume_writing(self) -> None:
        self._is_choked = False
        if self._reply is not None:
            self._reply.wake()
