"""What every test lives under: no network beyond loopback, one async backend, steady hypothesis.

The guard covers Python's own sockets (httpx, urllib, uvicorn clients). Libraries that open
connections in C are not seen by it; the offline switches below cover the one that matters here.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# Read when the libraries are imported, so set before any test module is.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

# The same examples on every run, and no deadline: two busy cores make times a matter of luck.
settings.register_profile("sluice", deadline=None, derandomize=True)
settings.load_profile("sluice")


class NetworkForbiddenError(RuntimeError):
    """A test reached for the network.

    No OSError on purpose: code that maps failed connections to its own errors must not hide it.
    """


def _is_local(host: object) -> bool:
    """Whether `host` (a name or address, as sockets take them) stays on this machine."""
    if host is None or host in ("", "localhost", b"localhost", b""):
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False  # a name: resolving it would already use the network


def _refuse_unless_local(family: int, address: Any) -> None:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return  # Unix sockets and the like never leave the machine
    if not _is_local(address[0]):
        raise NetworkForbiddenError(f"tests may not connect to {address[0]}; use 127.0.0.1")


@pytest.fixture(scope="session", autouse=True)
def _forbid_network() -> Iterator[None]:
    """Refuse connections, datagrams and name look-ups beyond the loopback addresses."""
    real_connect, real_connect_ex = socket.socket.connect, socket.socket.connect_ex
    real_sendto, real_getaddrinfo = socket.socket.sendto, socket.getaddrinfo

    def connect(self: socket.socket, address: Any) -> None:
        _refuse_unless_local(self.family, address)
        real_connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_unless_local(self.family, address)
        return real_connect_ex(self, address)

    def sendto(self: socket.socket, data: Any, *flags_and_address: Any) -> int:
        _refuse_unless_local(self.family, flags_and_address[-1])
        return real_sendto(self, data, *flags_and_address)

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        # 0.0.0.0 and :: are only ever bound to, never reached.
        if not _is_local(host) and host not in ("0.0.0.0", "::"):
            raise NetworkForbiddenError(f"tests may not look up {host!r}; use 127.0.0.1")
        return real_getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        patch.setattr(socket.socket, "connect_ex", connect_ex)
        patch.setattr(socket.socket, "sendto", sendto)
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, which is what production runs on."""
    return "asyncio"
