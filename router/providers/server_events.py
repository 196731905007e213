"""Server-sent events out of bytes as they come, however the network cut them.

After the HTML standard, section 9.2.6. `id` and `retry` are left out: they serve reconnection,
and an answer that breaks off is not resumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .wire import WireError

__all__ = ["MAX_EVENT_BYTES", "EventDecoder", "ServerEvent"]

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its type ("message" unless it says otherwise) and its data lines, joined."""

    event: str
    data: str


class EventDecoder:
    """Reads one stream; an event that the stream's end cuts off is dropped, as the standard says.

    Raises WireError (too_large) once an event has more than `max_bytes` bytes.
    """

    def __init__(self, *, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._line: list[bytes] = []  # pieces of the line that has not ended
        self._data: list[bytes] = []
        self._event = b""
        self._size = 0  # bytes held in the two
        self._at_start = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that end in `chunk`."""
        if self._after_cr and chunk:  # CR and LF of one line end, in two chunks
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk:
            return []
        lines = chunk.splitlines(keepends=False)  # of bytes: at CR, LF and CRLF, nowhere else
        whole = chunk.endswith((b"\n", b"\r"))
        self._after_cr = chunk.endswith(b"\r")
        if not whole and len(lines) == 1:
            self._hold(self._line, lines[0])
            return []
        if self._line:
            lines[0] = b"".join([*self._line, lines[0]])
            self._size -= sum(map(len, self._line))
            self._line = []
        rest = b"" if whole else lines.pop()
        events = self._read(lines)
        if rest:
            self._hold(self._line, rest)
        return events

    def _hold(self, where: list[bytes], piece: bytes) -> None:
        where.append(piece)
        self._size += len(piece)
        if self._size > self._max_bytes:
            raise WireError(
                f"an event of the stream is larger than {self._max_bytes:,} bytes",
                cause="too_large",
            )

    def _read(self, lines: Iterable[bytes]) -> list[ServerEvent]:
        events = []
        for line in lines:
            if self._at_start:
                line = line.removeprefix(_BOM)
                self._at_start = False
            if not line:
                if self._data:
                    events.append(self._dispatch())
                self._event = b""
                continue
            name, _, value = line.partition(b":")
            if name == b"data":
                self._hold(self._data, value.removeprefix(b" "))
            elif name == b"event":
                self._event = value.removeprefix(b" ")
        return events

    def _dispatch(self) -> ServerEvent:
        data = b"\n".join(self._data).decode("utf-8", "replace")
        event = self._event.decode("utf-8", "replace") or "message"
        self._data = []
        self._size = 0
        return ServerEvent(event, data)
