"""Accepting from a socket that several processes accept from, with turns for all of them.

An event loop takes all connections that are waiting. Where several processes share the socket, the
first to wake takes them all: of 32 that a client opened together, one of four workers got 32. A
socket for each worker (SO_REUSEPORT) would spread them, but lets those wait, or fail, whose worker
has just died. So each takes two and then rests for a millisecond, in which the others wake: of the
32 each gets 6 to 10. That is room for 2,000 new connections a second and worker, more than it can
answer.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

__all__ = ["SharedListener"]

_LOG = logging.getLogger("sluice.connections")

_AT_ONCE: Final = 2
_REST_S: Final = 0.001
_PAUSE_S: Final = 0.5  # when there are no more files to be had


class SharedListener:
    """Makes protocols of connections to `listener`, from its making until `close`."""

    def __init__(
        self, listener: socket.socket, make_protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        self._closed = False
        listener.setblocking(False)
        self._go_on()

    def close(self) -> None:
        """Accept no more; the socket itself stays open."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._listener.fileno())

    def _go_on(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener.fileno(), self._take_some)

    def _take_some(self) -> None:
        rest_s = _REST_S
        try:
            for _ in range(_AT_ONCE):
                self._take()
        except (BlockingIOError, InterruptedError, ConnectionError):
            pass  # another process was faster, or the client is gone already
        except OSError as exc:
            _LOG.error("connections cannot be accepted just now", exc_info=exc)
            rest_s = _PAUSE_S
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(rest_s, self._go_on)

    def _take(self) -> None:
        connection, _ = self._listener.accept()
        opening = self._loop.create_task(
            self._loop.connect_accepted_socket(self._make_protocol, connection)
        )
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
