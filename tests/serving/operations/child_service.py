"""A service of its own to be run as a process: `python -m ...child_service WORKERS FOLDER`.

With one worker it is a `DrainingServer`, with several a `Supervisor` of them. What it does is what
the tests ask it over HTTP; what it writes down lands in FOLDER. The first line on stdout says
"ready PORT".
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path

from starlette.types import Receive, Scope, Send

from router.errors import SluiceError
from serving.operations.draining_server import DrainingServer
from serving.operations.http_protocol import HttpLimits
from serving.operations.logs import configure_logging
from serving.operations.shared_metrics import forget_worker, share_metrics
from serving.operations.supervisor import Supervisor
from serving.operations.worker_process import Orders, WorkerProcess, leave_signals_to_parent

DRAIN_TIMEOUT_S = 1.5


class Application:
    """/pid, /stream?seconds, /stubborn (which does not end), /count, /metrics, /die."""

    def __init__(self, folder: Path) -> None:
        from serving.metrics import Metrics

        self.metrics = Metrics()
        self.draining = False
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self._note("closed")
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"]
        if path == "/die":
            os._exit(3)
        if path in ("/stream", "/stubborn"):
            await self._stream(path, float(scope["query_string"] or 1), send)
            return
        if path == "/count":
            self.metrics.count_error("tried")
        body = json.dumps({"pid": os.getpid(), "draining": self.draining}).encode()
        if path == "/metrics":
            body = await self.metrics.scrape()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, path: str, seconds: float, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                piece = b"draining\n" if self.draining else b"piece\n"
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            await asyncio.sleep(0.2)  # a store takes its time
            self._note("cancelled")
            while path == "/stubborn":
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    continue
            raise
        await send({"type": "http.response.body", "body": b"whole\n"})

    def _note(self, what: str) -> None:
        with (self._folder / "notes").open("a") as notes:
            notes.write(f"{what}\n")


def build(folder: Path, port: int, orders: Orders | None = None) -> DrainingServer:
    application = Application(folder)

    async def settle() -> None:
        behaviour = (folder / "behaviour").read_text().strip()
        if behaviour == "fails":
            raise SluiceError("it will not do")
        if behaviour == "hangs":
            await asyncio.sleep(1000)
        if behaviour == "dies":
            os._exit(7)
        said = f"ready {port}"
        if orders is None:
            announce(said)
        else:
            orders.say_ready(said)
        await application.metrics.keep_shared()

    def drain() -> None:
        application.draining = True

    return DrainingServer(
        application,
        limits=HttpLimits(max_header_bytes=8192, head_timeout_s=10),
        drain_timeout_s=DRAIN_TIMEOUT_S,
        on_drain=drain,
        after_start=settle,
        orders=orders,
    )


def announce(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def work(folder: Path, port: int, listener: socket.socket, orders: Orders) -> None:
    leave_signals_to_parent()
    share_metrics(str(folder / "metrics"))
    configure_logging("info", json=True)
    try:
        server = build(folder, port, orders)
        server.run(sockets=[listener])
        server.raise_failure()
    except SluiceError as exc:
        orders.say_failed(str(exc))
        sys.exit(1)


def main(workers: int, folder: Path) -> int:
    # An interrupt may be ignored where this runs, and what is ignored stays so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    configure_logging("info", json=True)
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    if workers == 1:
        server = build(folder, port)
        server.run(sockets=[listener])
        server.raise_failure()
        return server.exit_status
    (folder / "metrics").mkdir()
    supervisor = Supervisor(
        partial(WorkerProcess, work, (folder, port, listener), stop_limit_s=DRAIN_TIMEOUT_S + 8),
        workers,
        announce=announce,
        stop_limit_s=DRAIN_TIMEOUT_S + 8,
        on_stop=listener.close,
        on_exit=partial(forget_worker, str(folder / "metrics")),
    )
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
