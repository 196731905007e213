"""A load of plain HTTP/1.1 requests, each with another body, from a process of its own.

    python -m tests.benchmarks.load_client '{"url": ..., "headers": {...}, "connections": 32, ...}'

prints requests per second and latencies as JSON. Raw sockets on uvloop: what is measured is the
server, not the client.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

__all__ = ["Load", "Measured", "measure"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Load:
    """`connections` ask for `seconds`, each again as soon as it is answered; what comes in the
    first `warm_up_s` does not count. `model` is what the bodies name."""

    url: str
    model: str
    connections: int
    seconds: float
    warm_up_s: float = 1.0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of the requests that counted; times in milliseconds."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


def measure(load: Load) -> Measured:
    """Run `load` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.load_client", json.dumps(asdict(load))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return Measured(**json.loads(done.stdout))


def _requests(load: Load) -> Iterator[bytes]:
    """The bytes of one request after the other, no two alike."""
    parts = urlsplit(load.url)
    lines = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in load.headers.items()]
    head = "\r\n".join([*lines, "content-type: application/json", "content-length: "]).encode()
    for index in count(1):
        text = f"How do I add the numbers {index} and {index * 7}? Explain it briefly."
        message = {"role": "user", "content": text}
        body = json.dumps({"model": load.model, "messages": [message]}).encode()
        yield head + str(len(body)).encode() + b"\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    """Asks, and asks again once the answer is whole."""

    def __init__(self, requests: Iterator[bytes], took: list[tuple[float, float]]) -> None:
        self.failed = 0
        self._requests = requests
        self._took = took  # (when it ended, seconds)
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not _is_whole(self._received):
            return
        now = time.perf_counter()
        self._took.append((now, now - self._asked))
        self.failed += not self._received.startswith(b"HTTP/1.1 200")
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed += 1

    def _ask(self) -> None:
        self._received = b""
        self._asked = time.perf_counter()
        self._transport.write(next(self._requests))


def _is_whole(received: bytes) -> bool:
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = received[:end].lower()
    _, found, length = head.partition(b"content-length:")
    if found:
        return len(received) >= end + 4 + int(length.split(b"\r\n")[0])
    return received.endswith(b"\r\n0\r\n\r\n")


async def _run(load: Load) -> Measured:
    parts, requests = urlsplit(load.url), _requests(load)
    took: list[tuple[float, float]] = []
    loop = asyncio.get_running_loop()
    begin = time.perf_counter() + load.warm_up_s
    connections = [
        await loop.create_connection(
            lambda: _Connection(requests, took), parts.hostname, parts.port
        )
        for _ in range(load.connections)
    ]
    await asyncio.sleep(load.warm_up_s + load.seconds)
    failed = sum(connection.failed for _, connection in connections)
    times = sorted(seconds for ended, seconds in took if ended >= begin)
    return Measured(
        requests_per_s=len(times) / load.seconds,
        p50_ms=1000 * times[len(times) // 2],
        p99_ms=1000 * times[int(0.99 * (len(times) - 1))],
        failed=failed,
    )


if __name__ == "__main__":
    given = Load(**json.loads(sys.argv[1]))
    sys.stdout.write(json.dumps(asdict(uvloop.run(_run(given)))))
