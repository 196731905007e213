"""A server on loopback that says exactly the bytes of a script, and a sender to ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from yarl import URL

from router.providers.http import HttpReply
from router.providers.httptools_sender import HttptoolsSender

HEADERS = {"content-type": "application/json", "authorization": "Bearer k"}
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(kw_only=True)
class Asked:
    """A server, and one sender whose only server it is."""

    url: URL
    sender: HttptoolsSender
    connections: int = 0  # accepted so far
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def post(self, body: bytes = b"{}") -> HttpReply:
        return await self.sender.post(self.url, headers=HEADERS, body=body, proxy=None, connect_s=5)

    async def ask(self, body: bytes = b"{}") -> bytes:
        """The whole body of the reply."""
        reply = await self.post(body)
        try:
            return await rest_of(reply)
        finally:
            await reply.aclose()

    async def all_closed(self, *, within_s: float = 2.0) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.open:
                    await asyncio.sleep(0.001)
        return not self.open


async def rest_of(reply: HttpReply) -> bytes:
    found = bytearray()
    while chunk := await reply.read():
        found += chunk
    return bytes(found)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request, head and body; raises IncompleteReadError at the end of the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length:")
    return head + await reader.readexactly(int(length.split(b"\r\n")[0]))


def saying(*replies: bytes, close: bool = False) -> Handler:
    """Each request of a connection is answered with the next of `replies`, then the last again;
    or the connection closed after the first."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(replies)
        while True:
            await read_request(reader)
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()
            if close:
                return

    return handle


@asynccontextmanager
async def asking_raw(handler: Handler) -> AsyncIterator[Asked]:
    """At the end no connection is left open, and no task."""
    before = asyncio.all_tasks()
    sender = HttptoolsSender()
    asked = Asked(url=URL(), sender=sender)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.connections += 1
        asked.open.add(writer)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await handler(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            asked.open.discard(writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        asked.url = URL(f"http://127.0.0.1:{port}/v1/chat/completions?v=1")
        try:
            yield asked
        finally:
            await sender.aclose()
            assert await asked.all_closed()
    for _ in range(100):
        if asyncio.all_tasks() == before:
            break
        await asyncio.sleep(0.001)
    assert asyncio.all_tasks() == before
