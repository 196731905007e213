"""One pool of connections for each event loop, closed where it can be."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
import weakref

import trustme

from router.chat import ChatRequest
from router.config import ModelConfig
from router.providers.client import ModelClient
from router.providers.transport import Transport
from tests.upstream import Upstream

REQUEST = ChatRequest.of("Hi")


def client_of(upstream: Upstream, transport: Transport) -> ModelClient:
    config = ModelConfig(name="m", provider="openai", api_base=upstream.url, max_retries=0)
    return ModelClient(config, transport, environ={})


async def test_a_loop_has_one_sender() -> None:
    transport = Transport()
    first = await transport.sender()
    assert await transport.sender() is first
    await transport.aclose()
    assert await transport.sender() is not first, "and may go on after closing"
    await transport.aclose()


def test_one_client_serves_one_loop_after_the_other() -> None:
    transport = Transport()
    with Upstream() as upstream:
        client = client_of(upstream, transport)

        async def ask() -> str:
            try:
                return (await client.complete(REQUEST)).text
            finally:
                await transport.aclose()

        assert [asyncio.run(ask()) for _ in range(3)] == ["Hello."] * 3
        assert asyncio.run(upstream.all_closed())


def test_loops_that_are_gone_are_forgotten() -> None:
    transport = Transport()
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def use() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await transport.sender()

    for _ in range(3):
        asyncio.run(use())
    gc.collect()
    assert [loop() is None for loop in loops] == [True, True, False]


async def test_closing_reaches_loops_of_other_threads() -> None:
    transport = Transport()
    asked, leave = threading.Event(), threading.Event()
    with Upstream() as upstream:
        client = client_of(upstream, transport)

        async def ask_and_stay() -> None:
            await client.complete(REQUEST)
            asked.set()
            await asyncio.to_thread(leave.wait)

        thread = threading.Thread(target=asyncio.run, args=(ask_and_stay(),))
        thread.start()
        await asyncio.to_thread(asked.wait)
        await client.complete(REQUEST)
        assert upstream.open_connections == 2
        await transport.aclose()
        assert await upstream.all_closed()
        leave.set()
        await asyncio.to_thread(thread.join)


async def test_an_authority_of_ones_own() -> None:
    authority = trustme.CA()
    served, trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(served)
    authority.configure_trust(trusted)
    transport = Transport(tls=trusted)
    with Upstream(tls=served) as upstream:
        assert (await client_of(upstream, transport).complete(REQUEST)).text == "Hello."
        await transport.aclose()
        assert await upstream.all_closed()
