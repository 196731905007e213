"""The parent of several workers: starts them, replaces those that die, ends them together.

It has no threads and loads nothing heavy, sleeps until something happens, and each worker is a
fresh interpreter: nothing is forked that has threads or a session of the ONNX runtime. (Uvicorn
has a parent of its own. It looks at its workers twice a second, starts a dead one anew at once and
for ever, and has no way to say that all of them are ready.)
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from types import FrameType
from typing import Final

from router.errors import SluiceError

from .worker_process import WorkerProcess

__all__ = ["Supervisor"]

_LOG = logging.getLogger("sluice.server")

_READY_WITHIN_S: Final = 120.0
_LONG_LIFE_S: Final = 30.0  # who dies after that is replaced at once
_FIRST_PAUSE_S: Final = 0.5
_MAX_PAUSE_S: Final = 30.0
_MAX_TRIES: Final = 5
_AT_ONCE_S: Final = 3.0
_INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM)


class _Seat:
    """A place for one worker: who serves in it, who is to replace it, and how often it failed."""

    def __init__(self) -> None:
        self.worker: WorkerProcess | None = None
        self.replacement: WorkerProcess | None = None
        self.failures = 0  # in a row
        self.start_at = 0.0


class Supervisor:
    """Runs `count` workers until a signal ends it.

    SIGINT or SIGTERM lets them finish, for which they have `stop_limit_s`; a second one does not
    wait. SIGHUP replaces one worker after the other, each when its successor is ready; one that
    does not get ready ends that, and the old ones go on. `announce` is given what the first ready
    worker said, once all are; `on_stop` is called when the end begins, and `on_exit` with the pid
    of each worker that has ended.
    """

    def __init__(
        self,
        start: Callable[[], WorkerProcess],
        count: int,
        *,
        announce: Callable[[str], None],
        stop_limit_s: float,
        on_stop: Callable[[], None] | None = None,
        on_exit: Callable[[int], None] | None = None,
    ) -> None:
        self._start = start
        self._announce = announce
        self._stop_limit_s = stop_limit_s
        self._on_stop = on_stop
        self._on_exit = on_exit
        self._seats = [_Seat() for _ in range(count)]
        self._leaving: list[WorkerProcess] = []
        self._to_replace: deque[_Seat] = deque()
        self._announced = False
        self._signals: deque[int] = deque()
        self._stops: list[int] = []  # the signals that asked for the end
        self._end_by = 0.0

    def run(self) -> int:
        """Returns the exit status: 0, or 128 and the signal's number when it was not to wait.

        Raises SluiceError when the workers do not get ready.
        """
        try:
            with self._signal_alarm() as alarm:
                while not self._step(alarm):
                    pass
        finally:
            for worker in self._workers():
                worker.kill()
        return 0 if len(self._stops) < 2 else 128 + self._stops[1]

    def _step(self, alarm: socket.socket) -> bool:
        """Do what is due and wait for more; True when all is done."""
        if self._stops:
            if not self._workers():
                return True
        else:
            self._fill_seats()
            self._replace_next()
        workers = self._workers()
        events = [alarm, *(handle for worker in workers for handle in worker.handles)]
        wait(events, timeout=self._patience())
        with contextlib.suppress(BlockingIOError):
            alarm.recv(64)
        while self._signals:
            self._handle_signal(self._signals.popleft())
        for worker in workers:
            worker.read()
        self._tell_if_all_are_ready()
        for worker in workers:
            if worker.exit_status is not None:
                self._handle_exit(worker)
        self._kill_late()
        return False

    def _workers(self) -> list[WorkerProcess]:
        found = [*self._leaving]
        for seat in self._seats:
            found += [one for one in (seat.worker, seat.replacement) if one is not None]
        return found

    # -- starting ---------------------------------------------------------------------------------

    def _fill_seats(self) -> None:
        now = time.monotonic()
        for seat in self._seats:
            if seat.worker is None and seat.start_at <= now:
                seat.worker = self._start()

    def _tell_if_all_are_ready(self) -> None:
        for seat in self._seats:
            if seat.replacement is not None and seat.replacement.said is not None:
                self._install_replacement(seat)
        said = [seat.worker.said for seat in self._seats if seat.worker is not None]
        if not self._announced and len(said) == len(self._seats) and said[0] and all(said):
            self._announced = True
            self._announce(said[0])

    def _replace_next(self) -> None:
        """Start the next replacement, when the one before is done and its predecessor gone."""
        busy = self._leaving or any(seat.replacement is not None for seat in self._seats)
        while self._to_replace and not busy:
            seat = self._to_replace.popleft()
            if seat.worker is not None:
                seat.replacement = self._start()
                return

    def _install_replacement(self, seat: _Seat) -> None:
        if seat.worker is not None:
            seat.worker.stop()
            self._leaving.append(seat.worker)
        seat.worker, seat.replacement = seat.replacement, None
        seat.failures = 0

    # -- endings ----------------------------------------------------------------------------------

    def _handle_exit(self, worker: WorkerProcess) -> None:
        worker.close()
        if self._on_exit is not None:
            self._on_exit(worker.pid)
        if worker in self._leaving:
            self._leaving.remove(worker)
            return
        for seat in self._seats:
            if seat.replacement is worker:
                seat.replacement = None
                self._to_replace.clear()
                if not self._stops:
                    _LOG.error("%s; the others go on as they are", worker.describe_end())
            elif seat.worker is worker:
                seat.worker = None
                if not self._stops:
                    self._handle_death(seat, worker)

    def _handle_death(self, seat: _Seat, worker: WorkerProcess) -> None:
        """A worker ended that should serve: think about when to start another, or give up."""
        end = worker.describe_end()
        now = time.monotonic()
        if worker.said is not None and now - worker.started_at >= _LONG_LIFE_S:
            seat.failures = 0
            seat.start_at = now
        else:
            pause_s = min(_FIRST_PAUSE_S * 2**seat.failures, _MAX_PAUSE_S)
            seat.failures += 1
            seat.start_at = now + pause_s
        if not self._announced and worker.failure is not None:
            raise SluiceError(worker.failure)
        serving = any(one.worker is not None and one.worker.said for one in self._seats)
        if seat.failures >= _MAX_TRIES and not serving:
            raise SluiceError(f"no worker gets ready: {end}, {seat.failures} times in a row")
        _LOG.error("%s; another starts in %.1f s", end, max(0.0, seat.start_at - now))

    def _kill_late(self) -> None:
        now = time.monotonic()
        if self._stops:
            if now >= self._end_by:
                for worker in self._workers():
                    worker.kill()
            return
        for worker in self._workers():
            if worker.said is None and now - worker.started_at >= _READY_WITHIN_S:
                worker.kill(f"not ready within {_READY_WITHIN_S:g} s")
            elif worker.stop_by is not None and now >= worker.stop_by:
                worker.kill()

    def _patience(self) -> float | None:
        """Seconds until something is due without anything having happened."""
        if self._stops:
            due = [self._end_by]
        else:
            due = [seat.start_at for seat in self._seats if seat.worker is None]
            for worker in self._workers():
                if worker.said is None:
                    due.append(worker.started_at + _READY_WITHIN_S)
                elif worker.stop_by is not None:
                    due.append(worker.stop_by)
        return max(0.0, min(due) - time.monotonic()) if due else None

    # -- signals ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signal_alarm(self) -> Iterator[socket.socket]:
        """A socket that can be read when a signal has come."""

        def note(number: int, frame: FrameType | None) -> None:
            self._signals.append(number)

        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        numbers = [*_INTERRUPTS, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        before = [(number, signal.signal(number, note)) for number in numbers]
        wakeup = signal.set_wakeup_fd(theirs.fileno())
        try:
            yield ours
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before:
                signal.signal(number, handler)
            ours.close()
            theirs.close()

    def _handle_signal(self, number: int) -> None:
        if number not in _INTERRUPTS:
            if self._announced and not self._stops:
                self._to_replace = deque(self._seats)
            return
        self._stops.append(number)
        again = len(self._stops) > 1
        if not again and self._on_stop is not None:
            self._on_stop()
        self._end_by = time.monotonic() + (_AT_ONCE_S if again else self._stop_limit_s)
        for worker in self._workers():
            worker.stop(at_once=again)
