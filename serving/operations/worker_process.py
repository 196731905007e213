"""A worker, seen from both of its ends: the parent's handle, and the line it hangs on.

They talk through a pipe: the worker says once that it is ready, or what keeps it from being so; the
parent says when to stop. When the pipe breaks the parent is dead, and the worker stops as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, Final

__all__ = ["Orders", "WorkerProcess"]

_STOP: Final = b"stop"
_STOP_NOW: Final = b"now"
_SPAWN: Final = multiprocessing.get_context("spawn")
# They reach all processes of a terminal, but it is the parent who is meant.
_PARENTS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)
)


class WorkerProcess:
    """A process that runs `work(*arguments, orders)`; all of these have to be picklable.

    `said` is what it said when it got ready, `failure` what kept it from that. `stop_by` is when
    it has to have stopped, once it was told to.
    """

    def __init__(
        self, work: Callable[..., None], arguments: tuple[Any, ...], *, stop_limit_s: float
    ) -> None:
        self._line, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=work, args=(*arguments, Orders(theirs)))
        self._stop_limit_s = stop_limit_s
        with _signals_held():
            self._process.start()
        theirs.close()
        self.started_at = time.monotonic()
        self.said: str | None = None
        self.failure: str | None = None
        self.stop_by: float | None = None

    @property
    def pid(self) -> int:
        pid = self._process.pid
        assert pid is not None
        return pid

    @property
    def handles(self) -> list[Any]:
        """What `multiprocessing.connection.wait` can wait for."""
        return [self._process.sentinel, *([] if self._line.closed else [self._line])]

    @property
    def exit_status(self) -> int | None:
        """None while it runs; a signal's number below zero."""
        return self._process.exitcode

    def read(self) -> None:
        """Take in what it has said since."""
        with contextlib.suppress(EOFError, OSError):
            while not self._line.closed and self._line.poll():
                kind, text = self._line.recv()
                if kind == "ready":
                    self.said = text
                else:
                    self.failure = text
            return
        self._line.close()

    def stop(self, *, at_once: bool = False) -> None:
        """Let it finish what it does, or not even that."""
        self.stop_by = time.monotonic() + self._stop_limit_s
        if self.said is None and self._process.is_alive():
            self._process.terminate()  # it has nothing to finish, and might not listen yet
        with contextlib.suppress(OSError):
            self._line.send_bytes(_STOP_NOW if at_once else _STOP)

    def kill(self, why: str | None = None) -> None:
        """End it, whatever it does."""
        if why is not None:
            self.failure = why
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """Let go of a process that has ended."""
        self._process.join()
        if not self._line.closed:
            self._line.close()

    def describe_end(self) -> str:
        """For the log: which it was and how it ended."""
        status = self.exit_status
        if self.failure is not None:
            how = f"did not get ready: {self.failure}"
        elif status is not None and status < 0:
            how = f"was ended by {signal.Signals(-status).name}"
        else:
            how = f"ended with status {status}"
        return f"worker {self.pid} {how}" + (" before it was ready" if self.said is None else "")


class Orders:
    """The worker's end of the pipe."""

    def __init__(self, line: Connection[Any, Any]) -> None:
        self._line = line

    def say_ready(self, text: str) -> None:
        """This worker serves."""
        self._say("ready", text)

    def say_failed(self, text: str) -> None:
        """This worker never will."""
        self._say("failed", text)

    def follow(self, *, stop: Callable[[], None], stop_at_once: Callable[[], None]) -> None:
        """From the running loop on, call either when the parent says so or is gone."""
        loop = asyncio.get_running_loop()

        def obey() -> None:
            try:
                at_once = self._line.recv_bytes() == _STOP_NOW
            except (EOFError, OSError):
                at_once = False
                loop.remove_reader(self._line.fileno())
            (stop_at_once if at_once else stop)()

        loop.add_reader(self._line.fileno(), obey)

    def _say(self, kind: str, text: str) -> None:
        with contextlib.suppress(OSError):  # the parent is gone, which `follow` will see
            self._line.send((kind, text))


def leave_signals_to_parent() -> None:
    """In a worker, before anything else: what a terminal sends to all is for the parent alone."""

    def ignore(number: int, frame: object) -> None:
        """A handler and not SIG_IGN, which programs that this process starts would inherit."""

    for number in _PARENTS:
        signal.signal(number, ignore)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PARENTS)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """A process started here holds those signals back until it has handlers for them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PARENTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
