"""What a client may send before it is a request: how much, how slowly, how wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from serving.operations.draining_server import DrainingServer
from tests.serving.operations.live_server import connect, echo, read_all, serve

GET = b"GET / HTTP/1.1\r\nhost: a\r\n"
LAST_GET = GET + b"connection: close\r\n\r\n"
Running = tuple[DrainingServer, int]


@pytest.fixture(scope="module")
def refused() -> list[int]:
    return []


@pytest.fixture(scope="module")
def running(refused: list[int]) -> Iterator[Running]:
    with serve(echo, refused=refused) as found:
        yield found


@pytest.fixture
def port(running: Running) -> int:
    return running[1]


def error_of(answer: bytes, status: int) -> dict[str, Any]:
    """The error within a whole answer that closes the connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0].startswith(b"http/1.1 %d " % status), answer
    assert b"connection: close" in lines
    assert b"content-type: application/json" in lines
    assert b"content-length: %d" % len(body) in lines
    error: dict[str, Any] = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return error


def ask(port: int, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """What is answered to `pieces` until the server closes."""
    with connect(port) as client:
        for piece in pieces:
            client.sendall(piece)
            time.sleep(pause_s)
        return read_all(client)


def test_a_head_within_the_limit_is_taken(port: int) -> None:
    padding = b"x: " + b"a" * 3900 + b"\r\n"
    answer = ask(port, GET, padding, b"connection: close\r\n\r\n", pause_s=0.01)
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        GET + b"x: " + b"a" * 5000 + b"\r\n\r\n",
        GET + b"x: a\r\n" * 1000 + b"\r\n",
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n",
        GET + b"x: " + b"a" * 5000,  # which has no end
    ],
)
@pytest.mark.parametrize("size", [1 << 20, 100])
def test_a_larger_head_is_a_431(port: int, refused: list[int], head: bytes, size: int) -> None:
    pieces = [head[start : start + size] for start in range(0, len(head), size)]
    refused.clear()
    error = error_of(ask(port, *pieces, pause_s=0.0005), 431)
    assert error["code"] == "headers_too_large"
    assert "4096 bytes" in error["message"]
    assert refused == [431]


def test_a_client_that_sends_on_still_reads_its_431(port: int) -> None:
    with connect(port) as client:
        client.sendall(GET)
        for _ in range(30):
            client.sendall(b"x: " + b"a" * 50_000 + b"\r\n")
        error_of(read_all(client), 431)


def test_a_client_that_never_stops_is_cut_off(port: int) -> None:
    with connect(port) as client:
        client.sendall(GET)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 500_000_000:
                client.sendall(b"a" * 65_536)
                sent += 65_536
        assert sent < 100_000_000


def test_a_large_body_is_no_large_head(port: int) -> None:
    body = b"a" * 2_000_000
    head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    assert ask(port, head + body).endswith(b"\r\n\r\n2000000")


def test_a_body_in_small_chunks_is_no_large_head(port: int) -> None:
    head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    chunks = [b"1\r\na\r\n" * 100] * 50
    assert ask(port, head, *chunks, b"0\r\n\r\n").endswith(b"\r\n\r\n5000")


@pytest.mark.parametrize("rest", [b"0\r\nx: ", b"1;x="])
def test_trailers_and_chunk_extensions_have_the_same_limit(port: int, rest: bytes) -> None:
    head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
    error_of(ask(port, head, rest, *[b"a" * 1000] * 6, pause_s=0.005), 431)


def test_trailers_are_no_headers(port: int) -> None:
    head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    assert ask(port, head, b"2\r\nab\r\n0\r\nx-admin: yes\r\n\r\n").endswith(b"\r\n\r\n2")


def test_requests_that_follow_each_other_are_each_counted_by_themselves(port: int) -> None:
    head = GET + b"x: " + b"a" * 3000 + b"\r\n\r\n"
    with connect(port) as client:
        for _ in range(5):
            client.sendall(head[:2000])
            time.sleep(0.01)
            client.sendall(head[2000:])
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
    answer = ask(port, head * 5 + LAST_GET)  # pipelined
    assert answer.count(b"HTTP/1.1 200") == 6


@pytest.mark.parametrize(
    "wrong",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    ],
)
def test_what_is_no_request_is_a_400(port: int, refused: list[int], wrong: bytes) -> None:
    refused.clear()
    error = error_of(ask(port, wrong), 400)
    assert error["code"] == "malformed_request"
    assert refused == [400]


def test_a_broken_body_is_a_400_too(port: int) -> None:
    head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
    error_of(ask(port, head, b"5\r\nhello\r\nxyz\r\n", pause_s=0.05), 400)


def test_noise_gets_no_answer_but_refusals(port: int) -> None:
    chance = random.Random(3)
    for _ in range(200):
        wrong = bytearray(b"POST /v1 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
        for _ in range(chance.randint(1, 8)):
            wrong[chance.randrange(len(wrong))] = chance.randrange(256)
        with connect(port) as client:
            client.sendall(wrong)
            client.shutdown(socket.SHUT_WR)
            answer = read_all(client)
        assert answer == b"" or answer.split(b" ", 2)[1] in (b"200", b"400", b"431"), answer


OFFERS = {
    "java": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEA\r\n",
    "websocket": b"connection: keep-alive, upgrade\r\nupgrade: websocket\r\n",
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_to_upgrade_is_ignored(port: int, offer: bytes) -> None:
    post = b"POST /a?b HTTP/1.1\r\n" + offer + b"content-length: 3\r\n\r\nabc"
    with connect(port) as client:
        for _ in range(2):
            client.sendall(post)
            assert client.recv(65536).endswith(b"\r\n\r\n3")
        for byte in post:
            client.sendall(bytes([byte]))
        assert client.recv(65536).endswith(b"\r\n\r\n3")
    answer = ask(port, GET + offer + b"\r\n" + post * 3 + LAST_GET)
    assert answer.count(b"HTTP/1.1 200") == 5


@pytest.mark.parametrize("offer", [b"", OFFERS["java"]])
def test_requests_that_wait_for_no_answer_have_a_limit(port: int, offer: bytes) -> None:
    answer = ask(port, (GET + offer + b"\r\n") * 2000)
    assert 5 < answer.count(b"HTTP/1.1 200") < 100
    assert answer.count(b"HTTP/1.1") == answer.count(b"HTTP/1.1 200")


def test_a_slow_head_is_a_408_however_it_trickles(refused: list[int]) -> None:
    with serve(echo, head_timeout_s=0.5, refused=refused) as (_, port):
        refused.clear()
        began = time.monotonic()
        with connect(port) as client:
            client.settimeout(0.05)
            answer = b""
            for byte in GET * 20:
                client.sendall(bytes([byte]))
                try:
                    answer = client.recv(65536)
                    break
                except TimeoutError:
                    pass
            client.settimeout(5)
            error = error_of(answer + read_all(client), 408)
        assert error["code"] == "request_timeout"
        assert 0.4 < time.monotonic() - began < 3
        assert refused == [408]


@pytest.mark.parametrize("pieces", [(), (GET + b"\r\n", b"\r\n")], ids=["never", "no more"])
def test_a_connection_that_begins_no_request_is_closed(pieces: tuple[bytes, ...]) -> None:
    with serve(echo, head_timeout_s=0.3) as (_, port):
        began = time.monotonic()
        answer = ask(port, *pieces, pause_s=0.05)
        assert time.monotonic() - began < 3
        assert answer.count(b"HTTP/1.1") == answer.count(b"HTTP/1.1 200")


async def early(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers before the body is there."""
    if scope["type"] == "lifespan":
        await echo(scope, receive, send)
        return
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"ok"})


def test_a_body_that_nobody_reads_cannot_hold_a_connection() -> None:
    with serve(early, head_timeout_s=0.3) as (_, port), connect(port) as client:
        client.sendall(b"POST / HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n")
        assert client.recv(65536).endswith(b"ok")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 5:
                client.sendall(b"a")
                time.sleep(0.02)
        assert time.monotonic() - began < 3


def test_a_body_read_late_does_not_spoil_the_next_request() -> None:
    with serve(early) as (_, port), connect(port) as client:
        client.sendall(b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n")
        assert client.recv(65536).endswith(b"ok")
        client.sendall(b"0123456789" + GET + b"\r\n")
        assert client.recv(65536).endswith(b"ok")


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Streams for a while."""
    if scope["type"] == "lifespan":
        await echo(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(5):
        await send({"type": "http.response.body", "body": b"piece\n", "more_body": True})
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("second", [b"nonsense\r\n\r\n", GET + b"x: " + b"a" * 6000, GET])
def test_a_bad_second_request_leaves_the_first_answer_whole(second: bytes) -> None:
    with serve(slow, head_timeout_s=0.2) as (_, port):
        answer = ask(port, GET + b"\r\n" + second)
        assert answer.count(b"HTTP/1.1") == 1
        assert answer.count(b"piece\n") == 5
        assert answer.endswith(b"0\r\n\r\n")
        whole = ask(port, GET + b"\r\n" + GET + b"\r\n" + second)
        assert whole.count(b"HTTP/1.1 200") == 2
        assert whole.endswith(b"0\r\n\r\n")


def test_no_connection_is_left(running: Running) -> None:
    server, _ = running
    deadline = time.monotonic() + 5
    while server.server_state.connections and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not server.server_state.connections
    assert not server.server_state.tasks
