"""A model provider on 127.0.0.1 that answers as it is told, and misbehaves on purpose.

    with Upstream(answer("Paris."), fail(503)) as upstream:
        ModelConfig(name="m", provider="openai", api_base=upstream.url, api_key="k")

Each request takes the next behaviour; the last one given is used again. It speaks OpenAI's
/chat/completions and Anthropic's /v1/messages, whole or streamed as the request's `stream` says,
and records every request. `python -m tests.upstream` serves `answer()` in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from typing import Any, Self

import pytest

from tests.behaviours import (
    Behaviour,
    Received,
    Script,
    answer,
    answer_anthropic,
    cut,
    drip,
    fail,
    hang,
    hang_midway,
    send,
    send_events,
    send_json,
    stream,
    stream_anthropic,
)

__all__ = [
    "Behaviour",
    "Received",
    "Script",
    "Upstream",
    "answer",
    "answer_anthropic",
    "cut",
    "drip",
    "fail",
    "fail_host_lookups",
    "hang",
    "hang_midway",
    "refused_url",
    "send",
    "send_events",
    "send_json",
    "stream",
    "stream_anthropic",
]


def refused_url() -> str:
    """An address on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"http://127.0.0.1:{port}/v1"


@contextmanager
def fail_host_lookups() -> Iterator[None]:
    """Every host name is unknown, as with a broken DNS; addresses still work."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name.replace(".", "").isdecimal():
            return real(host, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


class Upstream:
    """The server, in a thread of its own; `tls` makes it speak HTTPS."""

    def __init__(self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.open_connections = 0
        self._queue = list(behaviours) or [answer()]
        self._tls = tls
        self._port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="upstream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def origin(self) -> str:
        """scheme://host:port; what Anthropic's client calls its base."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """The `api_base` of a provider that speaks OpenAI's format."""
        return f"{self.origin}/v1"

    @property
    def bodies(self) -> list[Any]:
        return [request.body for request in self.requests]

    def then(self, *behaviours: Behaviour) -> None:
        """From now on behave like this."""
        self._queue = list(behaviours)

    def drop_connections(self) -> None:
        """Close every connection, as a server does with those that idle."""
        self._loop.call_soon_threadsafe(self._cancel_all)

    async def all_closed(self, *, within_s: float = 2.0) -> bool:
        """Whether every connection is closed, before `within_s` seconds have passed."""
        deadline = time.monotonic() + within_s
        while self.open_connections and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        return self.open_connections == 0

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self._tls)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._cancel_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    def _cancel_all(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open_connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (request := await _read(reader)) is not None:
                    self.requests.append(request)
                    behaviour = self._queue.pop(0) if len(self._queue) > 1 else self._queue[0]
                    await _write(behaviour(request), reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()
            self.open_connections -= 1
            self._tasks.discard(task)


async def _read(reader: asyncio.StreamReader) -> Received | None:
    """The next request, None when the client has left."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path = first.split(" ")[1]
    return Received(path=path, headers=headers, body=json.loads(body) if body else {})


async def _write(
    script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    if script.status is None:
        await _pause(reader, inf)
    whole = script.end == "whole" and len(script.pieces) == 1
    length = (
        f"content-length: {len(script.pieces[0])}"  # type: ignore[arg-type]
        if whole
        else "transfer-encoding: chunked"
    )
    lines = [f"HTTP/1.1 {script.status} X", f"content-type: {script.content_type}", length]
    lines += [f"{name}: {value}" for name, value in script.headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    for piece in script.pieces:
        if isinstance(piece, bytes):
            writer.write(piece if whole else b"%x\r\n%b\r\n" % (len(piece), piece))
        else:
            await writer.drain()
            await _pause(reader, piece)
    if script.end == "cut":
        await writer.drain()
        raise ConnectionAbortedError
    if not whole:
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _pause(reader: asyncio.StreamReader, seconds: float) -> None:
    """Wait; raise ConnectionResetError as soon as the client leaves."""
    with suppress(TimeoutError):
        async with asyncio.timeout(None if seconds == inf else seconds):
            await reader.read(1)
            raise ConnectionResetError


if __name__ == "__main__":
    with Upstream() as serving:
        sys.stdout.write(f"{serving.url}\n")
        sys.stdout.flush()
        sys.stdin.read()  # until whoever started it closes the pipe or ends
