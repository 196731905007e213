"""What goes back to the client: a whole answer, a stream, or an error, whichever comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.types import Send

from router.chat import Dialect

from ..errors import ApiError
from .replies import Header, id_headers, plain_headers
from .writers import StreamWriter, error_body

__all__ = ["Sender"]

_JSON: Final[Header] = (b"content-type", b"application/json")
_STREAM: Final[tuple[Header, ...]] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # or nginx keeps the pieces until it has a page full
)


class Sender:
    """Sends one reply. `extra` headers go with whatever it is. `has_outcome` is set once the
    request is recorded, which counts it."""

    def __init__(self, send: Send, dialect: Dialect, request_id: str) -> None:
        self.request_id = request_id
        self.started = False
        self.finished = False
        self.has_outcome = False
        self.extra: list[Header] = id_headers(request_id)
        self._send = send
        self._dialect: Dialect = dialect
        self._writer: StreamWriter | None = None

    async def whole(self, body: bytes, headers: Sequence[Header], *, status: int = 200) -> None:
        """A whole reply, in JSON."""
        length = (b"content-length", str(len(body)).encode())
        await self._start(status, (_JSON, length, *headers))
        await self.end(body)

    async def begin(self, writer: StreamWriter, headers: Sequence[Header]) -> None:
        """The head of a stream, whose pieces `writer` makes."""
        self._writer = writer
        await self._start(200, (*_STREAM, *headers))

    async def piece(self, data: bytes) -> None:
        """A piece of a stream; waits while the client does not keep up."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        """The last piece of a reply."""
        self.finished = True
        await self._send({"type": "http.response.body", "body": data})

    async def refuse(self, error: ApiError) -> None:
        """An error: as a reply of its own, or at the end of a stream that has begun; nothing when
        a reply was given already."""
        if self.finished:
            return
        if self._writer is not None:
            await self.end(self._writer.failure(error))
            return
        headers = plain_headers(error.headers)
        body = error_body(error, self._dialect, request_id=self.request_id)
        await self.whole(body, headers, status=error.status)

    async def _start(self, status: int, headers: Sequence[Header]) -> None:
        self.started = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*headers, *self.extra],
            }
        )
