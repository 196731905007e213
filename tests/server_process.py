"""Other people's server software, run as a process on 127.0.0.1 while tests last."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Self

import httpx

__all__ = ["ServerProcess", "free_port"]

_READY_WITHIN_S = 90.0
_GONE_WITHIN_S = 5.0
_LOG_CHARS = 6000


def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class ServerProcess:
    """`command`, run in `folder` until the block ends; it is ready once `ready_path` answers 200.

    It gets none of this process's environment but PATH: no keys, no proxies, no home of anybody's.
    What it prints goes to a file, which no reader has to drain. Raises RuntimeError with the end
    of that when it does not get ready.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        folder: Path,
        ready_path: str,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self._command = command
        self._folder = folder
        self._ready_path = ready_path
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONUNBUFFERED": "1",
            **(environ or {}),
        }
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its own children end with it
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """The end of what it has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-_LOG_CHARS:]

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"it ended with status {process.returncode}:\n{self.log}")
            with suppress(httpx.TransportError):
                if httpx.get(self.origin + self._ready_path, trust_env=False).status_code == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"it was not ready within {_READY_WITHIN_S:g} s:\n{self.log}")

    def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        for signal in (SIGTERM, SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GONE_WITHIN_S)
