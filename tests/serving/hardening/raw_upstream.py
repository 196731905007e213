"""A provider that answers with any bytes at all, on connections that it keeps open."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal, Self

__all__ = ["Piece", "RawUpstream", "completion", "whole"]

Piece = bytes | float | Literal["close", "reset"]
"""What to send, how many seconds to wait, or how to end the connection."""


def completion(text: str) -> bytes:
    """The body of a chat completion."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
    return json.dumps({"id": "c", "choices": [choice], "usage": usage}).encode()


def whole(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer in good order; `lines` are further headers."""
    head = [b"HTTP/1.1 " + status, b"content-type: application/json", *lines]
    return b"\r\n".join([*head, b"content-length: %d" % len(body), b"", body])


class RawUpstream:
    """The server, in a thread of its own. `next_pieces` are sent once, to the next request; all
    others get `completion(said)`."""

    def __init__(self, said: str) -> None:
        self.next_pieces: Sequence[Piece] | None = None
        self.heads: list[bytes] = []
        self._said = said
        self._port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="raw-upstream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """The `api_base`."""
        return f"http://127.0.0.1:{self._port}/v1"

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._read(reader):
                    pieces, self.next_pieces = self.next_pieces, None
                    good = (whole(completion(self._said)),)
                    if not await _write(good if pieces is None else pieces, writer):
                        return
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> bool:
        """Read one request; False when the client has left."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        self.heads.append(head)
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length or b"0"))
        return True


async def _write(pieces: Sequence[Piece], writer: asyncio.StreamWriter) -> bool:
    """Send the pieces; False once the connection has ended."""
    for piece in pieces:
        if isinstance(piece, float):
            await asyncio.sleep(piece)
        elif piece == "reset":
            linger = struct.pack("ii", 1, 0)  # so that closing resets
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return False
        elif piece == "close":
            return False
        elif isinstance(piece, bytes):
            writer.write(piece)
            await writer.drain()
    return True
