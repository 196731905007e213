"""Which HTTP client carries a call fastest, alone and among others, whole and streamed.

All do the same: post a request, read the reply to its end. The last rows of a table are
`ModelClient`, which also writes and reads JSON, keeps deadlines and accounts, as it is and over an
httpx client of the caller's.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
import uvloop
from yarl import URL

from router.chat import ChatRequest, Delta
from router.config import ModelConfig
from router.providers.aiohttp_sender import open_session
from router.providers.client import ModelClient
from router.providers.httptools_sender import HttptoolsSender
from router.providers.transport import Transport

HEADER = ("client", "p50 ms", "p99 ms", "calls/s")
N_CALLS, N_ROUNDS = 1_600, 3
PROMPT = "What is the capital of France? " * 10
HEADERS = {"content-type": "application/json", "authorization": "Bearer k"}
OURS = "httptools (in use)"

Call = Callable[[bool], Awaitable[object]]


@pytest.fixture(scope="module")
def api_base() -> Iterator[str]:
    pytest.importorskip("h2")
    pytest.importorskip("httpx_aiohttp")
    from tests.benchmarks.quick_upstream import serve_quickly

    with serve_quickly() as url:
        yield url


def body_of(stream: bool) -> bytes:
    messages = [{"role": "user", "content": PROMPT}]
    return orjson.dumps({"model": "m", "messages": messages, "stream": stream})


def over_aiohttp(session: Any, url: str) -> Call:
    async def call(stream: bool) -> None:
        async with session.post(url, data=body_of(stream), headers=HEADERS) as response:
            while await response.content.readany():
                pass

    return call


def over_httptools(sender: HttptoolsSender, url: str) -> Call:
    place = URL(url)

    async def call(stream: bool) -> None:
        body = body_of(stream)
        reply = await sender.post(place, headers=HEADERS, body=body, proxy=None, connect_s=5)
        while await reply.read():
            pass
        await reply.aclose()

    return call


def over_httpx(client: httpx.AsyncClient, url: str) -> Call:
    async def call(stream: bool) -> None:
        content = body_of(stream)
        async with client.stream("POST", url, content=content, headers=HEADERS) as response:
            async for _ in response.aiter_bytes():
                pass

    return call


def through_the_client(api_base: str, transport: Transport) -> Call:
    config = ModelConfig(name="m", api_base=api_base, api_key="k")
    client = ModelClient(config, transport, environ={})
    request = ChatRequest.of(PROMPT)

    async def ignore(_: Delta) -> None:
        pass

    return lambda stream: client.complete(request, on_delta=ignore if stream else None)


@asynccontextmanager
async def contenders(api_base: str) -> AsyncIterator[dict[str, Call]]:
    from httpx_aiohttp import AiohttpTransport

    url = f"{api_base}/chat/completions"
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=1_000)
    transport = Transport()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(transport.aclose)
        session = await stack.enter_async_context(open_session())
        clients = {
            "httpx": httpx.AsyncClient(limits=limits),
            "httpx, HTTP/2": httpx.AsyncClient(limits=limits, http1=False, http2=True),
            "httpx over aiohttp": httpx.AsyncClient(transport=AiohttpTransport(limits=limits)),
        }
        calls = {
            name: over_httpx(await stack.enter_async_context(client), url)
            for name, client in clients.items()
        }
        calls["aiohttp"] = over_aiohttp(session, url)
        sender = HttptoolsSender()
        stack.push_async_callback(sender.aclose)
        calls[OURS] = over_httptools(sender, url)
        calls["ModelClient"] = through_the_client(api_base, transport)
        for name, client in clients.items():
            given = Transport(http_client=client)
            calls[f"ModelClient, {name}"] = through_the_client(api_base, given)
        yield calls


async def measure(call: Call, *, stream: bool, at_once: int) -> tuple[float, float, float]:
    """(p99 ms, p50 ms, calls a second) of the round with the lowest p99."""
    times: list[float] = []

    async def work(n: int) -> None:
        for _ in range(n):
            start = time.perf_counter()
            await call(stream)
            times.append((time.perf_counter() - start) * 1_000)

    await asyncio.gather(*(work(3) for _ in range(at_once)))
    rounds = []
    for _ in range(N_ROUNDS):
        times.clear()
        start = time.perf_counter()
        await asyncio.gather(*(work(N_CALLS // N_ROUNDS // at_once) for _ in range(at_once)))
        rate = len(times) / (time.perf_counter() - start)
        cuts = statistics.quantiles(times, n=100)
        rounds.append((cuts[98], cuts[49], rate))
    return min(rounds)


@pytest.mark.benchmark
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("at_once", [1, 32])
def test_transports(at_once: int, stream: bool, api_base: str, report: Any) -> None:
    kind = "stream of 20 pieces" if stream else "whole reply"

    async def run() -> dict[str, tuple[float, float, float]]:
        async with contenders(api_base) as calls:
            return {
                name: await measure(call, stream=stream, at_once=at_once)
                for name, call in calls.items()
            }

    figures = uvloop.run(run())
    for name, (p99, p50, rate) in figures.items():
        row = (name, f"{p50:.2f}", f"{p99:.2f}", f"{rate:,.0f}")
        report.add(f"Transport: {kind}, {at_once} at once", HEADER, row)
    others = [name for name in figures if name.startswith(("aiohttp", "httpx"))]
    assert figures[OURS][1] <= 1.1 * min(figures[name][1] for name in others)  # streams come close
