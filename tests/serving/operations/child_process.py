"""`child_service` as a process, for the tests that send signals."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx

__all__ = ["Child", "run_child", "wait_until"]

ROOT = Path(__file__).resolve().parents[3]


class Child:
    """The process, what it said, and what its service wrote down."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self._said: queue.Queue[str] = queue.Queue()
        assert process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._said.put(line.strip())

    def url(self, within_s: float = 30) -> str:
        """Where it is, once it says so."""
        word, _, port = self._said.get(timeout=within_s).partition(" ")
        assert word == "ready"
        return f"http://127.0.0.1:{port}"

    def behave(self, how: str) -> None:
        """What workers do from now on when they start: "well", "fails", "hangs", "dies"."""
        (self.folder / "behaviour").write_text(how)

    @property
    def said_more(self) -> bool:
        """Whether it has said anything that was not asked for."""
        return not self._said.empty()

    @property
    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().split() if path.exists() else []

    @property
    def log(self) -> list[dict[str, Any]]:
        lines = (self.folder / "log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def pids(self, url: str, *, count: int) -> set[int]:
        """The workers that answer, once there are so many of them."""
        found: set[int] = set()

        def look() -> bool:
            found.add(httpx.get(f"{url}/pid", headers={"connection": "close"}).json()["pid"])
            return len(found) >= count

        wait_until(look)
        return found

    def close(self) -> None:
        """Let go of what it says, once all who could say anything have ended."""
        self._reader.join(10)
        assert not self._reader.is_alive()

    def end(self, within_s: float = 20) -> int:
        """Its exit status."""
        return self.process.wait(within_s)


@contextmanager
def run_child(workers: int, folder: Path, behaviour: str = "well") -> Iterator[Child]:
    """A child that is ended with the block, whatever it does."""
    (folder / "behaviour").write_text(behaviour)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.serving.operations.child_service"),
                *(str(workers), str(folder)),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    child = Child(process, folder)
    try:
        yield child
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        child.close()


def wait_until(holds: Any, within_s: float = 20) -> None:
    """Until `holds()` is true."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)
