"""Uvicorn's server with an end that loses nothing: what is under way is finished, or told to stop
and given the time to write down how far it came."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from .http_protocol import HttpLimits, bounded_protocol
from .logs import log_loop_error
from .shared_listener import SharedListener
from .worker_process import Orders

__all__ = ["DrainingServer"]

_LOG = logging.getLogger("sluice.server")

# Longer than what stands in front keeps its idle connections (60 s for most load balancers): the
# one that closes first must be the client, or a request meets a closed connection.
_KEEP_ALIVE_S: Final = 75
_RECORD_S: Final = 5.0  # for cancelled requests to record their outcomes
_CLOSE_S: Final = 10.0  # for the application's own end
_AT_ONCE_S: Final = 0.5  # for both, when the end is to be at once
_LOOK_AGAIN_S: Final = 0.02


class DrainingServer(uvicorn.Server):
    """Serves `app` until SIGINT or SIGTERM, a second of which does not wait; or, with `orders`,
    until its parent says so.

    At the end the sockets are closed, idle connections too, and `on_drain` is called. Requests and
    streams under way may take `drain_timeout_s`; then they are cancelled, have some seconds to
    record that, and the application's lifespan ends.

    `after_start` runs once it listens; when it fails, the server ends and `raise_failure` tells.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: HttpLimits,
        drain_timeout_s: float,
        on_drain: Callable[[], None] | None = None,
        after_start: Callable[[], Coroutine[Any, Any, None]] | None = None,
        orders: Orders | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=bounded_protocol(limits),
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,  # logs.configure_logging has done that
                server_header=False,
                proxy_headers=False,  # nobody asks where a request comes from
                timeout_keep_alive=_KEEP_ALIVE_S,
            )
        )
        self._drain_timeout_s = drain_timeout_s
        self._on_drain = on_drain
        self._after_start = after_start
        self._starting: asyncio.Task[None] | None = None
        self._orders = orders
        self._listeners: list[SharedListener] = []
        self._interrupts: list[int] = []
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def exit_status(self) -> int:
        """0, or 128 and the signal's number when a second one came."""
        return 0 if len(self._interrupts) < 2 else 128 + self._interrupts[1]

    def finish(self) -> None:
        """End when what is under way is done. From the loop's thread, as `end_now`."""
        self.should_exit = True
        self._stopping.set()

    def end_now(self) -> None:
        """End without waiting for what is under way."""
        self.force_exit = True
        self.finish()

    def finish_soon(self) -> None:
        """`finish`, from any thread."""
        self._call_soon(self.finish)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(log_loop_error)
        if self._orders is None or sockets is None:
            await super().startup(sockets)
        else:
            self._orders.follow(stop=self.finish, stop_at_once=self.end_now)
            await super().startup([])
            self._listeners = [SharedListener(one, self._make_protocol) for one in sockets]
        if self._after_start is not None:
            self._starting = asyncio.create_task(self._after_start())
            self._starting.add_done_callback(self._started)

    def _make_protocol(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        made: asyncio.Protocol = protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    def _started(self, starting: asyncio.Task[None]) -> None:
        if not starting.cancelled() and starting.exception() is not None:
            self.finish()

    def raise_failure(self) -> None:
        """Raise what `after_start` raised, if it did; for when the server has ended."""
        if self._starting is not None and not self._starting.cancelled():
            self._starting.result()

    async def main_loop(self) -> None:
        """Until it is to end; once a second the date that answers bear is set."""
        while not self.should_exit:
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._on_drain is not None:
            self._on_drain()
        if self._starting is not None:
            self._starting.cancel()
        for server in self.servers:
            server.close()
        for shared in self._listeners:
            shared.close()
        for listener in sockets or ():
            listener.close()
        if not await self._finish():
            await self._cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AT_ONCE_S if self.force_exit else _CLOSE_S):
                await self.lifespan.shutdown()
                return
        _LOG.error("the application did not end in time; what it had not yet written is lost")

    async def _finish(self) -> bool:
        """Wait for what is under way; False when the time is over before it is done."""
        state, loop = self.server_state, asyncio.get_running_loop()
        deadline = loop.time() + self._drain_timeout_s
        while state.tasks or state.connections:
            # Each time anew: one may have been accepted just before the sockets were closed.
            for connection in list(state.connections):
                connection.shutdown()
            if self.force_exit or loop.time() >= deadline:
                return False
            await asyncio.sleep(_LOOK_AGAIN_S)
        return True

    async def _cancel(self) -> None:
        """Cancel what is under way, and wait while it records that."""
        tasks = set(self.server_state.tasks)
        for task in tasks:
            task.cancel("the service ends")
        if tasks:
            _LOG.warning("requests cancelled because the service ends: %d", len(tasks))
            _, late = await asyncio.wait(
                tasks, timeout=_AT_ONCE_S if self.force_exit else _RECORD_S
            )
            if late:
                _LOG.error("cancelled requests that did not end in time: %d", len(late))
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end the server, where it runs in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM,) if self._orders is not None else (signal.SIGINT, signal.SIGTERM)
        before: list[tuple[int, Any]] = [
            (number, signal.signal(number, self.handle_exit)) for number in numbers
        ]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came. Of several with a parent, only the parent's word says not to wait: some
        who end a service send the signal to all of its processes."""
        if self._orders is not None:
            self._call_soon(self.finish)
            return
        self._interrupts.append(sig)
        if len(self._interrupts) > 1:
            signal.signal(sig, signal.SIG_DFL)  # a third one ends it, whatever hangs
        self._call_soon(self.finish if len(self._interrupts) == 1 else self.end_now)

    def _call_soon(self, callback: Callable[[], None]) -> None:
        if self._loop is None:  # not even starting: `startup` looks at this
            self.should_exit = True
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
            self._loop.call_soon_threadsafe(callback)
