"""The switch in conftest.py: tests reach this machine and nothing else."""

from __future__ import annotations

import socket

import httpx
import pytest

BEYOND = ("192.0.2.1", 9)  # TEST-NET-1: reserved for documentation, routed nowhere


def test_a_listener_on_loopback_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address, timeout=5) as client:
            assert client.getpeername() == address


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_connections_beyond_loopback_are_refused(method: str) -> None:
    with socket.socket() as client, pytest.raises(RuntimeError, match="may not connect"):
        getattr(client, method)(BEYOND)


def test_datagrams_beyond_loopback_are_refused() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as client,
        pytest.raises(RuntimeError, match="may not connect"),
    ):
        client.sendto(b"", BEYOND)


def test_names_are_not_looked_up() -> None:
    with pytest.raises(RuntimeError, match="may not look up"):
        socket.getaddrinfo("example.org", 443)


async def test_an_async_http_client_is_held_back_too() -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(RuntimeError, match="may not"):
            await client.get("http://example.org/")
