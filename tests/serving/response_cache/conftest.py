"""A real Redis for those tests that need one, and keys in it that no one else uses."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis

from tests.key_databases import demand_redis


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Where a Redis is that answers."""
    return demand_redis()


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    """The beginning of a test's keys, which are gone after it."""
    begin = f"sluice-test-{secrets.token_hex(6)}"
    yield begin
    with Redis.from_url(redis_url) as client:
        for name in client.scan_iter(match=f"{begin}*"):
            client.delete(name)


class Gate:
    """A way to Redis that can be shut, or held up, as a network does."""

    def __init__(self, host: str, port: int, db: int) -> None:
        self._target = (host, port)
        self._db = db
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.silent = False
        self.n_connections = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/{self._db}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuse new connections and break those there are."""
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._open):
            writer.close()
        await self._server.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        redis_reader, redis_writer = await asyncio.open_connection(*self._target)
        self._open |= {writer, redis_writer}
        await asyncio.gather(self._copy(reader, redis_writer), self._copy(redis_reader, writer))
        self._open -= {writer, redis_writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not self.silent:
                    writer.write(data)
        except ConnectionError:
            pass  # the gate was shut
        finally:
            writer.close()


@pytest.fixture
async def gate(redis_url: str) -> AsyncIterator[Gate]:
    """An open gate before the real Redis."""
    with Redis.from_url(redis_url) as client:
        kwargs = client.connection_pool.connection_kwargs
    gate = Gate(kwargs["host"], kwargs["port"], kwargs["db"])
    await gate.open()
    yield gate
    await gate.shut()
