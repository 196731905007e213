"""Connections are kept, closed and given up as they should be, and none is left behind."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from typing import Any

import pytest
import trustme
from yarl import URL

from router.providers import httptools_pool
from router.providers.http import TransportError
from router.providers.httptools_sender import HttptoolsSender
from tests.upstream import Upstream

from .scripted import HEADERS, OK, asking_raw, read_request, saying

LARGE = bytes(2**25)


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


async def test_the_request_is_what_was_given() -> None:
    seen: list[bytes] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(OK)

    async with asking_raw(keep) as asked:
        await asked.ask(b"{}")
        headers = {"Host": "other", "Content-Length": "7", "X-One": "1"}
        reply = await asked.sender.post(
            asked.url, headers=headers, body=b"", proxy=None, connect_s=5
        )
        await reply.aclose()
        with pytest.raises(ValueError, match="line break") as caught:
            await asked.sender.post(
                asked.url, headers={"x": "secret\r\ny: z"}, body=b"", proxy=None, connect_s=5
            )
        assert "secret" not in str(caught.value)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /v1/chat/completions?v=1 HTTP/1.1",
        b"host: 127.0.0.1:%d" % (asked.url.port or 0),
        b"accept-encoding: identity",
        b"content-type: application/json",
        b"authorization: Bearer k",
        b"content-length: 2",
    ]
    assert body == b"{}"
    assert seen[1].split(b"\r\n")[1:] == [
        *(b"host: other", b"accept-encoding: identity", b"x-one: 1", b"content-length: 0"),
        *(b"", b""),
    ]


async def test_the_connection_used_last_is_used_next() -> None:
    async with asking_raw(saying(OK)) as asked:
        first, second = await asyncio.gather(asked.post(), asked.post())
        assert asked.connections == 2
        await first.aclose()
        await second.aclose()
        for _ in range(5):
            await asked.ask()
        assert asked.connections == 2


@pytest.mark.parametrize("parting", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_a_connection_that_was_closed_while_idle_is_not_used(parting: bytes) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await asyncio.sleep(0.01)
        writer.write(parting)

    async with asking_raw(once) as asked:
        for _ in range(3):
            assert await asked.ask() == b"ok"
            assert await asked.all_closed()
            await asyncio.sleep(0.01)  # until the client has heard of it too
        assert asked.connections == 3


async def test_what_may_have_been_processed_is_not_sent_again() -> None:
    requests = 0

    async def one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_request(reader)
        requests += 1
        writer.write(OK)
        await read_request(reader)
        requests += 1

    async with asking_raw(one_answer) as asked:
        await asked.ask()
        with pytest.raises(TransportError) as caught:
            await asked.ask()
        assert caught.value.kind == "disconnected"
        assert (requests, asked.connections) == (2, 1)


async def test_idle_connections_are_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httptools_pool, "_KEEP_ALIVE_S", 0.1)
    async with asking_raw(saying(OK)) as asked:
        await asyncio.gather(asked.ask(), asked.ask())
        start = time.perf_counter()
        while len(asked.open) == 2 or time.perf_counter() - start < 0.2:
            await asked.ask()
            await asyncio.sleep(0.01)
        assert len(asked.open) == 1, "what is in use stays"
        assert await asked.all_closed()
        assert await asked.ask() == b"ok"


@pytest.mark.parametrize("half", [False, True], ids=["answers", "answers and shuts its side"])
async def test_an_answer_before_the_request_was_sent(half: bool) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        if half:
            writer.write_eof()
        await asyncio.sleep(0.2)

    async with asking_raw(refuse) as asked:
        reply = await asked.post(LARGE)
        assert reply.status == 413
        assert await reply.read() == b"no"
        await reply.aclose()
        assert await asked.all_closed(), "it cannot serve again"


async def test_a_server_that_reads_no_further_and_hangs_up() -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2**16)

    async with asking_raw(leave) as asked:
        with pytest.raises(TransportError) as caught:
            await asked.post(LARGE)
        assert caught.value.kind == "disconnected"


async def test_a_side_that_is_shut_without_an_answer() -> None:
    async def shut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write_eof()
        await reader.read()

    async with asking_raw(shut) as asked:
        with pytest.raises(TransportError) as caught:
            await asked.post()
        assert caught.value.kind == "disconnected"
        assert await asked.all_closed()


async def test_a_large_body_holds_up_nobody() -> None:
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - start)

    with Upstream() as upstream:  # in a thread of its own
        sender = HttptoolsSender()
        watching = asyncio.create_task(watch())
        url = URL(upstream.url) / "chat/completions"
        body = b'{"x": "' + b"x" * 2**25 + b'"}'
        reply = await sender.post(url, headers=HEADERS, body=body, proxy=None, connect_s=5)
        watching.cancel()
        assert reply.status == 200
        await reply.aclose()
        await sender.aclose()
        assert len(upstream.requests[0].body["x"]) == 2**25
    assert longest < 0.25


@pytest.mark.parametrize("when", ["connecting", "sending", "waiting", "reading"])
async def test_cancelling_leaves_no_connection(when: str) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if when == "reading":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")
        await asyncio.sleep(0.1) if when == "sending" else await reader.read(3)
        while when != "sending" and await reader.read(2**16):
            pass

    async with asking_raw(stall) as asked:
        if when == "connecting":
            asked.url = asked.url.with_scheme("https")  # the handshake is never answered
        task = asyncio.create_task(asked.ask(LARGE if when == "sending" else b"{}"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asked.all_closed()


async def test_cancelling_once_all_has_come_harms_no_other_call() -> None:
    async with asking_raw(saying(OK)) as asked:
        first = asyncio.create_task(asked.ask())
        while not asked.sender._pool._free:  # in the turn before `first` hears of its reply
            await asyncio.sleep(0)
        first.cancel()
        assert await asked.ask() == b"ok"
        assert first.done()
        assert asked.connections == 1


async def test_closing_before_the_end_closes_the_connection() -> None:
    async with asking_raw(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")) as asked:
        reply = await asked.post()
        await reply.aclose()
        assert await reply.read() == b""
        assert await asked.all_closed()


async def test_closing_the_sender_ends_calls_under_way() -> None:
    async with asking_raw(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")) as asked:
        reply = await asked.post()
        assert await reply.read() == b"part"
        reading = asyncio.create_task(reply.read())
        await asyncio.sleep(0)
        await asked.sender.aclose()
        with pytest.raises(TransportError):
            await reading
        with pytest.raises(TransportError):
            await asked.post()
        assert await asked.all_closed()


async def test_a_thousand_calls_at_once() -> None:
    with Upstream() as upstream:
        sender = HttptoolsSender()
        url = URL(upstream.url) / "chat/completions"

        async def ask() -> bytes:
            reply = await sender.post(
                url, headers=HEADERS, body=b'{"stream":false}', proxy=None, connect_s=30
            )
            return await reply.read()

        for _ in range(2):
            replies = await asyncio.gather(*(ask() for _ in range(1_000)))
            assert all(b"Hello." in reply for reply in replies)
        await sender.aclose()
        assert await upstream.all_closed(within_s=10)


async def test_tls_by_name_and_the_name_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    served, trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("models.example").configure_cert(served)
    authority.configure_trust(trusted)
    names: list[Any] = []
    served.sni_callback = lambda _, name, __: names.append(name)
    monkeypatch.setattr(
        httptools_pool, "_resolve", lambda _, port: socket.getaddrinfo("127.0.0.1", port)
    )
    with Upstream(tls=served) as upstream:
        sender = HttptoolsSender(trusted)
        port = URL(upstream.url).port

        async def ask(host: str, body: bytes) -> bytes:
            url = URL(f"https://{host}:{port}/v1/chat/completions")
            reply = await sender.post(url, headers=HEADERS, body=body, proxy=None, connect_s=5)
            return await reply.read()

        for body in (b"{}", b'{"x": "' + b"x" * 2**22 + b'"}'):
            assert b"Hello." in await ask("models.example", body)
        assert upstream.open_connections == 1
        with pytest.raises(TransportError) as caught:
            await ask("models.other", b"{}")
        assert caught.value.kind == "certificate"
        assert "Hostname mismatch" in caught.value.detail
        await sender.aclose()
        assert await upstream.all_closed()
    assert names == ["models.example", "models.other"]


async def test_a_name_is_looked_up_once_for_calls_that_come_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked_for: list[str] = []

    def resolve(host: str, port: int) -> Any:
        asked_for.append(host)
        return socket.getaddrinfo("127.0.0.1", port)

    monkeypatch.setattr(httptools_pool, "_resolve", resolve)
    async with asking_raw(saying(OK)) as asked:
        asked.url = asked.url.with_host("models.example")
        assert await asyncio.gather(*(asked.ask() for _ in range(20))) == [b"ok"] * 20
    assert asked_for == ["models.example"]


async def test_what_goes_through_a_proxy_is_aiohttps() -> None:
    with Upstream() as proxy:
        sender = HttptoolsSender()
        reply = await sender.post(
            URL("http://models.invalid/v1/chat/completions"),
            headers=HEADERS,
            body=b"{}",
            proxy=proxy.origin,
            connect_s=5,
        )
        assert b"Hello." in await reply.read()
        await reply.aclose()
        await sender.aclose()
        assert await proxy.all_closed()
    assert proxy.requests[0].path == "http://models.invalid/v1/chat/completions"
