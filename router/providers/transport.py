"""What every call goes through: a pool of connections per event loop, or the caller's client.

The pool is our own, because it was measured (tests/benchmarks/test_transport.py): a call of a whole
reply takes a third of the processor's time that it takes with aiohttp, which was the fastest that
there is. What goes through a proxy is aiohttp's all the same.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..errors import ConfigError
from .http import HttpSender
from .httptools_sender import HttptoolsSender

if TYPE_CHECKING:
    import httpx

__all__ = ["Transport"]

_GRACE_S: Final = 0.5
_CLOSING_S: Final = 5.0

_Senders = dict[asyncio.AbstractEventLoop, HttptoolsSender]


class Transport:
    """Senders by event loop: connections made in one loop are of no use in another.

    Whoever uses a transport in a loop awaits `aclose` in it before the loop ends; for those who
    forget, the end of the loop or of the transport does. `tls` is for certificates that neither
    the system nor certifi trusts.

    `http_client` carries the calls instead. It is used as it is, its proxies and certificates
    too, in the one loop that it belongs to, and closing it stays its owner's business.
    """

    def __init__(
        self,
        *,
        http_client: httpx.AsyncClient | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._client: HttpSender | None = None
        if http_client is not None:
            if tls is not None:
                raise ConfigError("'http_client' has its own TLS settings", param="tls")
            from .httpx_sender import HttpxSender  # only who brings a client pays for it

            self._client = HttpxSender(http_client)
        self._senders: _Senders = {}
        weakref.finalize(self, _abandon, self._senders)

    @property
    def finds_proxies(self) -> bool:
        """Whether the environment's proxies are its business, not the endpoints'."""
        return self._client is not None

    async def sender(self) -> HttpSender:
        """The running loop's, made on first use."""
        if self._client is not None:
            return self._client
        loop = asyncio.get_running_loop()
        sender = self._senders.get(loop)
        if sender is None or sender.closed:
            for other in [other for other in self._senders if other.is_closed()]:
                self._senders.pop(other).abandon()  # a weak key would not do: sessions hold loops
            sender = self._senders[loop] = HttptoolsSender(self._tls)
            await sender.guard()
        return sender

    async def aclose(self) -> None:
        """Close every sender that can be: the running loop's, and those of loops that run in
        other threads. What a closed loop left open is the operating system's to take back."""
        here = asyncio.get_running_loop()
        while self._senders:
            loop, sender = self._senders.popitem()
            if loop is here:
                await sender.aclose()
            elif loop.is_running():
                closing = asyncio.run_coroutine_threadsafe(sender.aclose(), loop)
                with suppress(TimeoutError):  # that loop may be waiting for this one
                    await asyncio.wait_for(asyncio.wrap_future(closing), _CLOSING_S)
            else:
                sender.abandon()


def _abandon(senders: _Senders) -> None:
    """Close what nobody closed, now that the transport or the program ends."""
    while senders:
        loop, sender = senders.popitem()
        if loop.is_running() and loop is not _loop_here():
            closing = asyncio.run_coroutine_threadsafe(sender.aclose(), loop)
            with suppress(TimeoutError):
                closing.result(_GRACE_S)
        elif _program_ends() and not loop.is_running() and not loop.is_closed():
            loop.run_until_complete(sender.aclose())
        else:
            sender.abandon()


def _loop_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _program_ends() -> bool:
    return not threading.main_thread().is_alive()
