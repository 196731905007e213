"""Replies in every form that HTTP/1.1 knows, and in many that it does not."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib

import pytest

from router.providers.http import TransportError

from .scripted import OK, Asked, asking_raw, read_request, rest_of, saying

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.mark.parametrize(
    ("reply", "body", "kept"),
    [
        (OK, b"ok", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"", True),
        (CHUNKED + b"1\r\no\r\n1;why=not\r\nk\r\n0\r\n\r\n", b"ok", True),
        (CHUNKED + b"2\r\nok\r\n0\r\nx-sum: 7\r\nx-more: 8\r\n\r\n", b"ok", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" + OK, b"ok", True),
        (b"HTTP/1.1 200\ncontent-length: 2\n\nok", b"ok", True),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
        (OK + b"garbage", b"ok", False),
        (OK + OK, b"ok", False),
    ],
)
async def test_a_reply_is_read_to_its_end_and_no_further(
    reply: bytes, body: bytes, kept: bool
) -> None:
    async with asking_raw(saying(reply)) as asked:
        for _ in range(3):
            assert await asked.ask() == body
        assert asked.connections == (1 if kept else 3)


async def test_a_reply_may_last_until_the_connection_ends() -> None:
    reply = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nall of it"
    async with asking_raw(saying(reply, close=True)) as asked:
        assert await asked.ask() == b"all of it"
        assert await asked.ask() == b"all of it"
        assert asked.connections == 2


async def test_headers_are_found_in_either_case_and_the_first_of_a_name_counts() -> None:
    head = b"HTTP/1.1 418 No\r\nX-One: 1\r\nx-one: 2\r\nContent-Length: 0\r\n"
    async with asking_raw(saying(head + b"X-Name: J\xfcrg\r\n\r\n")) as asked:
        reply = await asked.post()
        assert reply.status == 418
        assert reply.headers["x-one"] == reply.headers["X-ONE"] == "1"
        assert reply.headers.get("x-two") is None
        assert set(reply.headers) == {"x-one", "content-length", "x-name"}
        await reply.aclose()


@pytest.mark.parametrize("reply", [OK, CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\nx: y\r\n\r\n"])
async def test_every_byte_may_come_alone(reply: bytes) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for index in range(len(reply)):
                writer.write(reply[index : index + 1])
                await asyncio.sleep(0)

    async with asking_raw(drip) as asked:
        assert [await asked.ask() for _ in range(3)] == [b"ok"] * 3
        assert asked.connections == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"", "disconnected"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "disconnected"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "disconnected"),
        (b"220 mail.example.com\r\n\r\n", "not_http"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "not_http"),
        (b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 2**20, "not_http"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 2**18, "not_http"),
    ],
)
async def test_what_is_no_head_is_told_apart(reply: bytes, kind: str) -> None:
    async with asking_raw(saying(reply, close=True)) as asked:
        with pytest.raises(TransportError) as caught:
            await asked.post()
        assert caught.value.kind == kind


@pytest.mark.parametrize(
    "rest",
    [
        b"5\r\nfirst\r\n",
        b"5\r\nfirst\r\nnonsense\r\n",
        b"5\r\nfirst\r\n0\r\nx-long: " + b"x" * 2**20,
        b"5\r\nfirst\r\n1;" + b"x" * 2**20,
    ],
    ids=["cut", "no chunk", "endless trailer", "endless extension"],
)
async def test_a_body_that_breaks_gives_what_came_and_then_an_error(rest: bytes) -> None:
    async with asking_raw(saying(CHUNKED + rest, close=True)) as asked:
        reply = await asked.post()
        assert await reply.read() == b"first"
        for _ in range(2):
            with pytest.raises(TransportError) as caught:
                await reply.read()
            assert caught.value.kind == "disconnected"
        await reply.aclose()


async def test_a_reply_that_switches_protocols_is_only_a_status() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nPRI"
    async with asking_raw(saying(head)) as asked:
        reply = await asked.post()
        assert reply.status == 101
        assert await rest_of(reply) == b""
        assert await asked.all_closed()


async def test_parts_are_given_as_they_come() -> None:
    more = asyncio.Event()

    async def pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CHUNKED)
        for piece in (b"one", b"two"):
            writer.write(b"3\r\n%b\r\n" % piece)
            await more.wait()
            more.clear()
        writer.write(b"0\r\n\r\n")
        await read_request(reader)

    async with asking_raw(pieces) as asked:
        reply = await asked.post()
        assert await reply.read() == b"one"
        more.set()
        assert await reply.read() == b"two"
        more.set()
        assert await reply.read() == b""
        assert await reply.read() == b""
        await reply.aclose()


async def test_a_slow_reader_holds_up_the_server_and_not_the_memory() -> None:
    size, sent = 2**26, 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        piece = bytes(2**16)
        while sent < size:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
        await read_request(reader)

    async with asking_raw(flood) as asked:
        tracemalloc.start()
        reply = await asked.post()
        await asyncio.sleep(0.3)
        _, peak = tracemalloc.get_traced_memory()
        assert peak < 2**21
        assert sent < size / 2, "the rest waits for a reader"
        assert len(await rest_of(reply)) == size
        tracemalloc.stop()
        await reply.aclose()
        assert len(asked.open) == 1, "and it may serve again"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
async def test_a_body_that_nobody_wanted_compressed_is_unpacked(pack: object) -> None:
    assert callable(pack)
    name = b"gzip" if pack is gzip.compress else b"Deflate"
    text = bytes(2**22) + b"the end"
    packed = pack(text)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n"
    whole = head % (name, len(packed)) + packed
    async with asking_raw(saying(whole)) as asked:
        reply = await asked.post()
        pieces = []
        while piece := await reply.read():
            pieces.append(piece)
        assert max(map(len, pieces)) <= 2**18, "what unpacks to a lot is given bit by bit"
        assert b"".join(pieces) == text
        await reply.aclose()
        assert await asked.ask() == text
        assert asked.connections == 1


@pytest.mark.parametrize("packed", [b"not packed", gzip.compress(b"x" * 999)[:-9]])
async def test_a_compressed_body_that_breaks_is_an_error(packed: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
    async with asking_raw(saying(head % len(packed) + packed)) as asked:
        assert await kind_of(asked) == "disconnected"


async def kind_of(asked: Asked) -> str:
    with pytest.raises(TransportError) as caught:
        await asked.ask()
    return caught.value.kind
