"""Clients of a provider on loopback, and the proof that they leave nothing behind."""

from __future__ import annotations

import asyncio
import ssl
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
import pytest

from router.chat import ChatRequest, Completion, Delta
from router.config import ModelConfig, TimeoutConfig
from router.errors import UpstreamError
from router.providers.aiohttp_sender import AiohttpSender
from router.providers.client import ModelClient
from router.providers.transport import Transport
from tests.upstream import Upstream

KEY = "sk-secret-0123456789"
PROMPT = "A prompt that nobody may repeat."


@dataclass(kw_only=True)
class Asker:
    """A ModelClient, asked plainly or streaming; `deltas` is what was passed on."""

    client: ModelClient
    streaming: bool
    deltas: list[Delta] = field(default_factory=list)

    async def __call__(self, params: dict[str, Any] | None = None, **more: Any) -> Completion:
        request = ChatRequest.of(PROMPT, params)
        if self.streaming:
            more.setdefault("on_delta", self.keep)
        return await self.client.complete(request, **more)

    async def keep(self, delta: Delta) -> None:
        self.deltas.append(delta)

    async def fail(self, params: dict[str, Any] | None = None, **more: Any) -> UpstreamError:
        """The error that asking ends in; it names what has to be named, and no secret."""
        with pytest.raises(UpstreamError) as caught:
            await self(params, **more)
        error = caught.value
        assert error.model == self.client.name
        assert error.provider == self.client.config.provider
        assert error.calls
        for said in (error, *(call.error for call in error.calls)):
            assert isinstance(said, UpstreamError)
            assert self.client.name in str(said)
            assert PROMPT not in str(said)
            assert KEY not in str(said)
            written = "".join(traceback.format_exception(said))
            assert KEY not in written
        return error


Ask = Callable[..., AbstractAsyncContextManager[Asker]]


@pytest.fixture(params=[False, True], ids=["plain", "streaming"])
def streaming(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=["httptools", "aiohttp", "httpx"])
def carrier(request: pytest.FixtureRequest) -> str:
    """The HTTP client that carries the calls."""
    return str(request.param)


@cache  # some 30 ms
def system_trust() -> ssl.SSLContext:
    return ssl.create_default_context()


class _OverAiohttp(Transport):
    """Everything by the sender that otherwise has only what goes through proxies."""

    def __init__(self) -> None:
        super().__init__()
        self._sender: AiohttpSender | None = None

    async def sender(self) -> AiohttpSender:
        if self._sender is None:
            self._sender = AiohttpSender()
            await self._sender.guard()
        return self._sender

    async def aclose(self) -> None:
        if self._sender is not None:
            await self._sender.aclose()


@asynccontextmanager
async def transport_over(carrier: str) -> AsyncIterator[Transport]:
    """A transport, closed at the end, and the client that it was given after it."""
    if carrier != "httpx":
        transport = Transport() if carrier == "httptools" else _OverAiohttp()
        yield transport
        await transport.aclose()
        return
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(verify=system_trust(), limits=limits) as client:
        transport = Transport(http_client=client)
        yield transport
        await transport.aclose()
        assert not client.is_closed, "it is not ours to close"


async def only_tasks(expected: set[asyncio.Task[Any]], *, within_s: float = 1.0) -> bool:
    """Whether no other task is left, or soon will be: httpx leaves generators half-way that the
    loop then finishes, each in a task."""
    deadline = time.monotonic() + within_s
    while asyncio.all_tasks() != expected and time.monotonic() < deadline:
        await asyncio.sleep(0.001)
    return asyncio.all_tasks() == expected


@pytest.fixture
def asking(streaming: bool, carrier: str) -> Ask:
    """`async with asking(upstream, **model config) as ask`: at the end no connection is open at
    the server's side, and no task is left."""

    @asynccontextmanager
    async def run(upstream: Upstream | str, **config: Any) -> AsyncIterator[Asker]:
        before = asyncio.all_tasks()
        url = upstream if isinstance(upstream, str) else upstream.url
        given = {"name": "m-1", "provider": "openai", "api_base": url, "api_key": KEY}
        given |= {"max_retries": 0, "timeout": TimeoutConfig(connect_s=2, total_s=5)}
        try:
            async with transport_over(carrier) as transport:
                client = ModelClient(ModelConfig(**{**given, **config}), transport, environ={})
                yield Asker(client=client, streaming=streaming)
        finally:
            assert isinstance(upstream, str) or await upstream.all_closed()
            assert await only_tasks(before)

    return run
