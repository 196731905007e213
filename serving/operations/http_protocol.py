"""Uvicorn's HTTP/1.1 protocol, with bounds on what a client may send before it is a request.

Uvicorn by itself keeps header after header for as long as they come, and waits for them for ever.
Here a head has a size and a time to arrive in, so has what stands around a body's bytes (chunk
extensions, trailers), and whatever is refused is told so in the shape of all errors. A request
that comes in one piece, as nearly all do, pays for none of it but a few comparisons.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

__all__ = ["HttpLimits", "bounded_protocol"]

_LOG = logging.getLogger("sluice.connections")

_FRESH_S: Final = 0.5
_OFFER: Final = frozenset({b"upgrade", b"http2-settings"})  # headers and tokens of "connection"
_MAX_OFFERS: Final = 8  # in one piece
_MAX_PIPELINED: Final = 64
_LINE_BYTES: Final = 4  # ": " and the line's end, around a header's name and value
# A client that is still sending when its connection closes sees a reset and not the answer. So the
# answer to what is refused is sent, and what comes is thrown away for a while.
_LINGER_S: Final = 2.0
_LINGER_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class HttpLimits:
    """What a client may send. `head_timeout_s` is from a connection's or a request's first byte to
    its head's end. `on_refusal` is told the status of each answer that no application gave."""

    max_header_bytes: int
    head_timeout_s: float
    on_refusal: Callable[[int], None] | None = None


def bounded_protocol(limits: HttpLimits) -> type[asyncio.Protocol]:
    """The protocol's class, as `uvicorn.Config(http=...)` takes it."""
    return type("BoundedHttpProtocol", (_BoundedHttpProtocol,), {"limits": limits})


class _HeadTooLargeError(Exception):
    """Raised within the parser, which stops at that."""


class _TooManyError(Exception):
    """The same for requests that do not wait for answers: a piece holds thousands of them."""


class _NoHeaders(list[tuple[bytes, bytes]]):
    """Where trailers go: nobody asks for them, so none is kept."""

    def append(self, item: tuple[bytes, bytes]) -> None:
        """Keep nothing."""


_NO_HEADERS: Final = _NoHeaders()


class _BoundedHttpProtocol(HttpToolsProtocol):
    limits: ClassVar[HttpLimits]

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._timer: asyncio.TimerHandle | None = None  # for a head, or for the end of a refusal
        self._made_at = 0.0
        self._head_bytes = 0  # of a head that has begun in an earlier piece
        self._framing_bytes = 0  # since the last byte of a body
        self._in_body = False
        self._is_large = False  # the piece that is read now may hold more of a head than is allowed
        self._refused = False
        self._dropped_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._made_at = self.loop.time()
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._drop(len(data))
            return
        self._unset_keepalive_if_required()
        size = len(data)
        self._is_large = size + self._head_bytes > self.limits.max_header_bytes
        body_before = len(self.cycle.body) if self._in_body else 0
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                self._feed_without_upgrade(data, offer.args[0])
        except httptools.HttpParserError as exc:
            if isinstance(exc.__context__, _HeadTooLargeError):
                self._refuse_large_head()
            else:
                self._refuse(400, "malformed_request", "this is not a request in HTTP/1.1")
            return
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            self._wait_for_head(size)
        elif cycle.more_body:
            self._wait_for_body(size, body_before)
        else:  # a whole request, which is how most pieces end
            self._head_bytes = 0
            self._in_body = False
            if cycle.response_complete:  # an empty line between requests
                self._start_timer()

    def on_headers_complete(self) -> None:
        if self._timer is not None:
            self._stop_timer()
        if self._is_large and self._size_of_head() > self.limits.max_header_bytes:
            raise _HeadTooLargeError
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise _TooManyError
        super().on_headers_complete()
        self.headers = _NO_HEADERS
        self._in_body = False  # of the request before, whose end may have come in the same piece

    def shutdown(self) -> None:
        """Close what is idle, and what is busy once its answer is sent. Asked again and again
        until all are closed, so that one just made has a moment for the request it was made for.
        """
        if self._refused:
            self.transport.close()
        elif self.cycle is not None or self.loop.time() - self._made_at >= _FRESH_S:
            super().shutdown()

    # -- offers to upgrade ------------------------------------------------------------------------

    def _should_upgrade(self) -> bool:
        """Asked of a request that offers to upgrade; yes, so that it is left to what follows."""
        return True

    def _feed_without_upgrade(self, data: bytes, offset: int) -> None:
        """Read a request, whose head ends at `offset`, as if it had not offered to upgrade.

        An offer may be ignored, and Java's client offers HTTP/2 with the first request it makes.
        The parser though takes what follows such a head for the other protocol: so the body would
        be lost.
        """
        for _ in range(_MAX_OFFERS):
            method = self.scope.get("method", "")
            if method == "CONNECT":
                break
            lines = [f"{method} ".encode(), self.url]
            lines.append(f" HTTP/{self.scope['http_version']}\r\n".encode())
            for name, value in self.scope["headers"]:
                if name == b"connection":
                    tokens = [one.strip() for one in value.split(b",")]
                    value = b", ".join(one for one in tokens if one.lower() not in _OFFER)
                if name not in _OFFER and (value or name != b"connection"):
                    lines += [name, b": ", value, b"\r\n"]
            data = b"".join([*lines, b"\r\n", data[offset:]])
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:  # a request behind it offers too
                offset = offer.args[0]
            else:
                return
        raise httptools.HttpParserError

    # -- what is incomplete -----------------------------------------------------------------------

    def _wait_for_head(self, size: int) -> None:
        """The head of the next request has not come to its end."""
        # What came in one piece with the end of an earlier request is not counted, for it is not
        # known how much it is; a piece is bounded.
        self._head_bytes += 1 if self._in_body else size
        self._in_body = False
        if self._head_bytes > self.limits.max_header_bytes:
            self._refuse_large_head()
        else:
            self._start_timer()

    def _wait_for_body(self, size: int, body_before: int) -> None:
        """The body has not come to its end."""
        cycle = self.cycle
        if not self._in_body:
            self._in_body, self._head_bytes, self._framing_bytes = True, 0, 0
        elif cycle.response_complete:
            self._start_timer()  # answered already, and nobody reads it
        elif len(cycle.body) > body_before:
            self._framing_bytes = 0
        else:
            self._framing_bytes += size
            if self._framing_bytes > self.limits.max_header_bytes:
                self._refuse_large_head()

    def _size_of_head(self) -> int:
        return len(self.url) + sum(
            len(name) + len(value) + _LINE_BYTES for name, value in self.headers
        )

    def _out_of_time(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._head_bytes:
            limit_s = self.limits.head_timeout_s
            message = f"the request's head did not arrive within {limit_s:g} s"
            self._refuse(408, "request_timeout", message)
        elif self.cycle is None or self.cycle.response_complete:
            self.transport.close()  # never began, or sends on after its answer

    def _start_timer(self) -> None:
        """Give a head its time; what comes of it in pieces does not prolong it. Uvicorn's own
        timer, for connections between requests, ends with anything that comes."""
        if self._timer is None:
            self._timer = self.loop.call_later(self.limits.head_timeout_s, self._out_of_time)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- refusals ---------------------------------------------------------------------------------

    def _refuse_large_head(self) -> None:
        limit = self.limits.max_header_bytes
        self._refuse(431, "headers_too_large", f"the request's head is larger than {limit} bytes")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Read no more requests; say why, unless an answer to an earlier one is under way."""
        _LOG.info("refused a connection's request: %s", code)
        self._refused = True
        self._stop_timer()
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._answer(status, code, message)
            if self.transport.can_write_eof():
                self.transport.write_eof()
                self._timer = self.loop.call_later(_LINGER_S, self.transport.close)
            else:
                self.transport.close()
        elif cycle.scope is self.scope and not self.pipeline and not cycle.response_started:
            self._answer(status, code, message)  # in place of the application, which sees it leave
            self.transport.close()
        else:
            cycle.keep_alive = False  # closes with its answer, the last in the pipeline

    def _answer(self, status: int, code: str, message: str) -> None:
        if self.limits.on_refusal is not None:
            self.limits.on_refusal(status)
        fault = {
            "message": message,
            "type": "invalid_request_error",
            "param": None,
            "code": code,
        }
        body = orjson.dumps({"error": fault})
        lines = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            lines += [name, b": ", value, b"\r\n"]
        lines += [
            b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body),
            b"connection: close\r\n\r\n",
            body,
        ]
        self.transport.write(b"".join(lines))

    def _drop(self, size: int) -> None:
        self._dropped_bytes += size
        if self._dropped_bytes > _LINGER_BYTES:
            cycle = self.cycle
            if cycle is None or cycle.response_complete:
                self.transport.close()
            else:
                self.flow.pause_reading()  # until the answer under way is sent
