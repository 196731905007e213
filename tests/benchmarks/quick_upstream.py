"""A provider that answers at once, in a process of its own: what is measured is the client.

HTTP/1.1, and HTTP/2 to whoever begins with its preface. A request whose body says `"stream":true`
gets 20 pieces in as many writes.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded

__all__ = ["serve_quickly"]

ROOT = Path(__file__).resolve().parents[2]
PREFACE = b"PRI * HTTP/2.0"
N_PIECES = 20
HEAD = {"id": "c", "created": 1, "model": "m"}


def _event(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


SAID = sys.argv[1] if __name__ == "__main__" and sys.argv[1:] else "Paris is the capital of France."
MESSAGE = {"role": "assistant", "content": SAID}
WHOLE = json.dumps(
    {
        **HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
    }
).encode()
PIECES = (*[_event({"content": "word "})] * N_PIECES, _event({}, "stop") + b"data: [DONE]\n\n")
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(WHOLE),
    WHOLE,
)
STREAMED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in PIECES),
    b"0\r\n\r\n",
)


@contextmanager
def serve_quickly(*says: str) -> Iterator[str]:
    """The `api_base` of a server that runs as long as this does, and `says` something else."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.quick_upstream", *says],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()


class _Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._rest = b""
        self._http2: _Http2 | None = None

    def data_received(self, data: bytes) -> None:
        if self._http2 is None and not self._rest and data.startswith(PREFACE):
            self._http2 = _Http2(self._transport)
        if self._http2 is not None:
            self._http2.receive(data)
            return
        self._rest += data
        while (head := self._rest.find(b"\r\n\r\n")) >= 0:
            fields = self._rest[:head].lower()
            _, _, length = fields.partition(b"content-length:")
            end = head + 4 + int(length.split(b"\r\n")[0])
            if len(self._rest) < end:
                return
            body, self._rest = self._rest[head + 4 : end], self._rest[end:]
            for piece in STREAMED if b'"stream":true' in body else (PLAIN,):
                self._transport.write(piece)


class _Http2:
    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._connection = H2Connection(H2Configuration(client_side=False))
        self._connection.initiate_connection()
        self._bodies: dict[int, bytes] = {}

    def receive(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            if isinstance(event, DataReceived):
                stream = event.stream_id
                self._bodies[stream] = self._bodies.get(stream, b"") + event.data
                self._connection.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, StreamEnded):
                self._answer(event.stream_id, self._bodies.pop(event.stream_id, b""))
        self._transport.write(self._connection.data_to_send())

    def _answer(self, stream: int, body: bytes) -> None:
        streams = b'"stream":true' in body
        kind = "text/event-stream" if streams else "application/json"
        self._connection.send_headers(stream, [(":status", "200"), ("content-type", kind)])
        for piece in PIECES if streams else (WHOLE,):
            self._connection.send_data(stream, piece)
            self._transport.write(self._connection.data_to_send())
        self._connection.end_stream(stream)


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)  # until whoever started it is gone


if __name__ == "__main__":
    uvloop.run(_main())
