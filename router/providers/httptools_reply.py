"""A reply as it comes in over one connection, parsed by httptools."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .http import FaultKind, TransportError

__all__ = ["Line", "WireReply"]

_MAX_OVERHEAD: Final = 2**16  # bytes of head, trailers or framing on end
_MAX_WAITING: Final = 2**16  # bytes of body that nobody has read yet
_SWITCHING: Final = 101


class Line(Protocol):
    """The connection, as a reply sees it."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def abort(self) -> None: ...

    def free(self, *, clean: bool) -> None:
        """The reply is whole; `clean`: and as far as it goes another may follow."""
        ...


class WireReply:
    """As `HttpReply` says, once `begun`. It is also what the parser calls back.

    A parser serves one reply only, so that no state of one can get into the next. All that has
    arrived can be read even if the connection breaks thereafter.
    """

    __slots__ = (
        "_chunks",
        "_ended",
        "_fault",
        "_found",
        "_interim",
        "_keep_alive",
        "_line",
        "_loop",
        "_overhead",
        "_parser",
        "_paused",
        "_to_the_end",
        "_waiter",
        "_waiting",
        "begun",
        "headers",
        "status",
    )

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop) -> None:
        self.begun = False  # whether the head is complete
        self.status = 0
        self._found: dict[str, str] = {}
        self.headers: Mapping[str, str] = _Headers(self._found)
        self._line = line
        self._loop = loop
        self._parser = parser = HttpResponseParser(self)
        # What aiohttp tolerates too: some servers are old, or written by hand.
        parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._overhead = 0
        self._interim = False
        self._to_the_end = False  # of the connection, as nothing says how long the body is
        self._keep_alive = False
        self._paused = False
        self._ended = False
        self._fault: FaultKind | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        while not self._chunks:
            if self._ended:
                return b""
            if self._fault is not None:
                raise TransportError(self._fault)
            await self.wait()
        chunks = self._chunks
        found = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._waiting = 0
        self._go_on()
        return found

    async def aclose(self) -> None:
        if not self._ended:
            self._ended = True  # nobody waits for the rest
            self._chunks.clear()
            self._line.abort()

    def check(self) -> None:
        """Raises TransportError if the connection broke before the reply began."""
        if self._fault is not None and not self.begun:
            raise TransportError(self._fault)

    async def wait(self) -> None:
        """Until something happens, which may be nothing of interest."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def feed(self, data: bytes) -> None:
        """What arrived on the connection, which is told when the reply ends or cannot be read."""
        self._overhead += len(data)
        clean = True
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            clean = False  # what follows a whole reply harms the connection only
        if self._ended:
            self.wake()
            self._go_on()  # whoever reads from here on does so for another call
            self._line.free(clean=clean and self._keep_alive)
        elif not clean or self._overhead > _MAX_OVERHEAD:
            self.fail("disconnected" if self.begun else "not_http")
            self._line.abort()
        else:
            if self._waiting > _MAX_WAITING and not self._paused:
                self._paused = True
                self._line.pause()
            self.wake()

    def hung_up(self) -> None:
        """The server sends no more."""
        if self.begun and self._to_the_end:
            self._ended = True
            self.wake()
        else:
            self.fail("disconnected")

    def fail(self, kind: FaultKind) -> None:
        if not self._ended and self._fault is None:
            self._fault = kind
            self.wake()

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._line.resume()

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._ended:
            raise HttpParserError("a second reply to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.begun:  # else it is a trailer
            self._found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 and status != _SWITCHING:
            self._interim = True
            self._found.clear()
            return
        self.begun = True
        self.status = status
        self._keep_alive = self._parser.should_keep_alive()
        found = self._found
        chunked = "chunked" in found.get("transfer-encoding", "").lower()
        self._to_the_end = not chunked and "content-length" not in found

    def on_body(self, data: bytes) -> None:
        self._overhead = 0
        self._waiting += len(data)
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self._ended = True


class _Headers(Mapping[str, str]):
    """By name, in either case; `found` has the names in lower case."""

    __slots__ = ("_found",)

    def __init__(self, found: dict[str, str]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> str:
        return self._found[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
