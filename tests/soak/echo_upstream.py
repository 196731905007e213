"""A provider that says back the number in the question, so that no answer can be mistaken.

    python -m tests.soak.echo_upstream FIRST_TOKEN_S PIECES PIECE_S

Streams begin after FIRST_TOKEN_S and bring PIECES pieces, one every PIECE_S; plain requests are
answered at once. Prints its port; ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

__all__ = ["serve_echo"]

ROOT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"number (\d+)")
HEAD = {"id": "c", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
OPEN = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@contextmanager
def serve_echo(
    *, first_token_s: float = 0.0, pieces: int = 3, piece_s: float = 0.0
) -> Iterator[str]:
    """The `api_base` of such a server, which runs as long as this does."""
    numbers = [str(first_token_s), str(pieces), str(piece_s)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.soak.echo_upstream", *numbers],
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
    def __init__(self, first_token_s: float, pieces: int, piece_s: float) -> None:
        self._first_token_s, self._pieces, self._piece_s = first_token_s, pieces, piece_s
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or b"0")
        if not found or len(body) < length:
            return
        self._received = b""
        asked = json.loads(body)
        number = NUMBER.search(asked["messages"][-1]["content"])
        assert number is not None
        if asked.get("stream"):
            asyncio.get_running_loop().create_task(self._stream(number[1]))
        else:
            self._transport.write(_whole(f"This is the answer to number {number[1]}."))

    async def _stream(self, number: str) -> None:
        await asyncio.sleep(self._first_token_s)
        self._transport.write(OPEN)
        for _ in range(self._pieces):
            self._transport.write(_piece({"content": f"{number} "}))
            await asyncio.sleep(self._piece_s)
        usage = {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
        self._transport.write(_piece({}, "stop") + _chunked(usage))
        self._transport.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def _whole(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps(
        {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    ).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    return head + str(len(body)).encode() + b"\r\n\r\n" + body


def _piece(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _chunked({**HEAD, "object": "chat.completion.chunk", "choices": [choice]})


def _chunked(value: dict[str, Any]) -> bytes:
    event = b"data: " + json.dumps(value).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


async def _main() -> None:
    first_token_s, pieces, piece_s = sys.argv[1:]
    numbers = (float(first_token_s), int(pieces), float(piece_s))
    server = await asyncio.get_running_loop().create_server(
        lambda: _Server(*numbers), "127.0.0.1", 0, backlog=2048
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)  # until whoever started it is gone


if __name__ == "__main__":
    uvloop.run(_main())
