"""Requests that are wrong on the wire: heads, lengths and chunks that lie, and bodies that end
early. Whoever sends them is told so or hung up on, in time, and nobody else notices."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.engine import Engine
from tests.serving.hardening.examples import examples
from tests.serving.hardening.hardened_gateway import (
    HardenedClient,
    hardened_gateway,
    play_provider,
)
from tests.serving.hardening.judging import check_reply
from tests.serving.hardening.raw_client import head, send_raw
from tests.upstream import Upstream

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
GOOD = json.dumps(
    {"model": "drafts", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi?"}]}
).encode()
STREAMED = GOOD[:-1] + b', "stream": true}'
KIND = b"content-type: application/json"
WHOLE = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
CHUNKED = b"transfer-encoding: chunked"


def length(size: int) -> bytes:
    return b"content-length: %d" % size


@pytest.fixture(scope="module")
def gateway(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HardenedClient]:
    folder = tmp_path_factory.mktemp("raw")
    with (
        Upstream(play_provider()) as upstream,
        hardened_gateway(engine, upstream, folder) as client,
    ):
        yield client
        assert client.chat("drafts").status_code == 200
        client.check_nothing_is_left()


# Header values: anything at all but what ends a line.
ODD = st.binary(max_size=30).map(lambda value: value.translate(None, b"\r\n"))
VALUES = ODD | st.sampled_from(
    [
        *(b"", b" ", b"0.5", b"1", b"1.0000", b"0.", b".5", b"-1", b"1e5", b"nan", b"0" * 99),
        *("٣".encode(), b"0.98", b"ann", b"u" * 256, b"u" * 300, b"Bearer", b"Bearer  "),
        *(b"Bearer sk-slc-x", b"Basic eDp4", b"no-cache", b"no-store, max-age=0", b",", b"\x00"),
        *(b"00-zz-zz-01", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", b"\xff"),
    ]
)
NAMES = st.sampled_from(
    [
        *(b"x-sluice-user", b"x-sluice-target-quality", b"x-sluice-conversation", b"x-api-key"),
        *(b"authorization", b"cache-control", b"traceparent", b"tracestate", b"baggage"),
        *(b"x-request-id", b"anthropic-version", b"anthropic-beta", b"idempotency-key", b"host"),
        *(b"accept", b"accept-encoding", b"cookie", b"origin", b"forwarded", b"user-agent"),
        *(b"range", b"if-none-match", b"connection", b"te", b"upgrade", b"expect", b"trailer"),
        *(b"x-sluice-cost-usd", b"content-type", b"", b"a b", b"x\x00", "é".encode()),
    ]
)


@examples(150)
@given(
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    body=st.sampled_from([GOOD, STREAMED]),
    path=st.sampled_from([CHAT, MESSAGES]),
)
def test_odd_headers(
    gateway: HardenedClient, headers: list[tuple[bytes, bytes]], body: bytes, path: str
) -> None:
    lines = [b"%b: %b" % header for header in headers]
    data = head(path, KIND, length(len(body)), *lines) + body
    check(send_raw(gateway.live.address, [data]), path)


@examples(150)
@given(data=st.data())
def test_requests_with_flaws(gateway: HardenedClient, data: st.DataObject) -> None:
    """A good request in which some bytes are others, missing, or too many, in pieces."""
    path = data.draw(st.sampled_from([CHAT, MESSAGES]))
    whole = bytearray(
        data.draw(
            st.sampled_from(
                [
                    head(path, KIND, length(len(GOOD))) + GOOD,
                    head(path, KIND, length(len(STREAMED))) + STREAMED,
                    head(path, KIND, CHUNKED) + WHOLE,
                ]
            )
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        until = min(len(whole), at + data.draw(st.integers(0, 3)))
        whole[at:until] = data.draw(st.binary(max_size=3) | st.sampled_from([b"\r\n", b"0", b":"]))
    cut = data.draw(st.integers(0, len(whole)))
    pieces = [bytes(whole[:cut]), bytes(whole[cut:])]
    # What is cut short would be waited for as long as it may take.
    check(send_raw(gateway.live.address, pieces, leave_after_s=0.1), path)


@pytest.mark.parametrize(
    ("lines", "body", "expected"),
    [
        ([length(len(GOOD) - 5)], GOOD, {400}),  # and the rest is no request
        ([length(0)], GOOD, {400}),
        ([b"content-length: -1"], GOOD, {400}),
        ([b"content-length: 0x10"], GOOD, {400}),
        ([b"content-length: +10"], GOOD, {400}),
        ([b"content-length: 1e3"], GOOD, {400}),
        ([b"content-length: "], GOOD, {400}),
        ([b"content-length: 99999999999999999999999"], GOOD, {400}),
        ([length(len(GOOD)), length(5)], GOOD, {400}),
        ([b"content-length: %d, 5" % len(GOOD)], GOOD, {400}),
        ([length(len(GOOD)), CHUNKED], GOOD, {400}),  # how requests are smuggled
        ([CHUNKED, length(len(GOOD))], WHOLE, {400}),
        ([b"transfer-encoding: gzip, chunked"], WHOLE, {200, 400, 415, 501}),
        ([b"transfer-encoding: chunked, identity"], WHOLE, {400}),
        ([b"transfer-encoding: chunked, chunked"], WHOLE, {200, 400}),
        ([b"transfer-encoding : chunked"], WHOLE, {400}),
        ([b"transfer-encoding: xchunked"], WHOLE, {400}),
        ([CHUNKED], WHOLE, {200}),
        ([CHUNKED], b"zz\r\n" + WHOLE, {400}),
        ([CHUNKED], b"-5\r\n" + WHOLE, {400}),
        ([CHUNKED], b"ffffffffffffffffff\r\n" + WHOLE, {400}),
        ([CHUNKED], WHOLE.replace(b"\r\n", b"\n"), {200, 400}),
        ([CHUNKED], b'%x;a=b;c="d"\r\n%b\r\n0\r\nx: y\r\n\r\n' % (len(GOOD), GOOD), {200}),
        ([CHUNKED], WHOLE.replace(b"\r\n", b";%b\r\n" % (b"x" * 50_000), 1), {200, 400, 431}),
        ([CHUNKED], WHOLE[:-5] + b"0\r\n" + b"x: y\r\n" * 20_000 + b"\r\n", {200, 400, 431}),
        ([CHUNKED], b"0\r\n\r\n", {400}),
        ([CHUNKED], b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD) + b"0\r\n\r\n", {200}),
        ([b"x: " + b"y" * 40_000, length(len(GOOD))], GOOD, {431}),
        ([b"x%d: y" % number for number in range(5_000)], b"", {400, 431}),
        ([b" folded: x", length(len(GOOD))], GOOD, {200, 400}),
        ([b"no colon", length(len(GOOD))], GOOD, {400}),
        ([b"expect: 100-continue", length(len(GOOD))], GOOD, {200}),
        ([b"upgrade: h2c", b"connection: upgrade", length(len(GOOD))], GOOD, {200}),
        ([b"upgrade: websocket", b"connection: upgrade", length(len(GOOD))], GOOD, {200}),
        ([b"content-encoding: gzip", length(len(GOOD))], GOOD, {415}),
    ],
)
def test_lengths_and_chunks_that_lie(
    gateway: HardenedClient, lines: list[bytes], body: bytes, expected: set[int]
) -> None:
    data = head(CHAT, KIND, *lines) + body
    reply = send_raw(gateway.live.address, [data])
    assert reply is not None
    assert reply.status_code in expected, reply.text
    if b"expect: 100-continue" not in lines:
        check(reply, CHAT)


@pytest.mark.parametrize(
    "first",
    [
        *(b"GET", b"", b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/0.9\r\n\r\n"),
        *(b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\x00/ HTTP/1.1\r\n"),
        *(b"GET http://elsewhere/v1/models HTTP/1.1\r\nhost: y\r\nconnection: close\r\n\r\n",),
        *(b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n", b"\xff" * 500),
        *(b"GET /%s HTTP/1.1\r\nhost: x\r\n\r\n" % (b"a" * 70_000),),
        *(b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",),
        *(b"POST /v1/models HTTP/1.1\r\nhost: \r\nhost: b\r\nconnection: close\r\n\r\n",),
        *(b"GET //evil.example/%2e%2e HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",),
    ],
)
def test_what_is_hardly_http(gateway: HardenedClient, first: bytes) -> None:
    reply = send_raw(gateway.live.address, [first], leave_after_s=0.1)
    assert reply is None or 200 <= reply.status_code < 500


@pytest.mark.parametrize(("path", "body"), [(CHAT, GOOD[:20]), (CHAT, b"5\r\n"), (MESSAGES, b"")])
def test_a_body_that_does_not_come_is_not_waited_for(
    gateway: HardenedClient, path: str, body: bytes
) -> None:
    framing = CHUNKED if body.endswith(b"\r\n") else length(len(GOOD))
    start = time.monotonic()
    reply = send_raw(gateway.live.address, [head(path, KIND, framing) + body])
    assert 0.8 < time.monotonic() - start < 8
    assert reply is not None
    assert reply.status_code == 408
    check(reply, path)


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(
    gateway: HardenedClient,
) -> None:
    for cut in range(0, len(GOOD), 7):
        data = head(CHAT, KIND, length(len(GOOD))) + GOOD[:cut]
        reply = send_raw(gateway.live.address, [data], leave_after_s=0.0)
        assert reply is None or reply.status_code == 400
    gateway.check_nothing_is_left()


def test_a_body_that_was_not_waited_for_does_not_count_for_the_next_request(
    gateway: HardenedClient,
) -> None:
    """Its end may be read in one piece with what was sent after the answer."""
    first, second = (
        b"\r\n".join([b"POST /v1/messages HTTP/1.1", b"host: x", kind, length(size), b"", b""])
        for kind, size in ((b"content-type: text/plain", 50_000), (KIND, len(GOOD)))
    )
    with socket.create_connection(gateway.live.address, timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(first)
        assert client.recv(65_536).startswith(b"HTTP/1.1 415")
        client.sendall(b"x" * 50_000 + second)
        time.sleep(0.1)
        client.sendall(GOOD)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")


def check(reply: httpx.Response | None, path: str) -> None:
    """What is no chat request any more may be refused by others, but as an error all the same."""
    if reply is None:
        return
    if reply.status_code in (404, 405):
        assert reply.json()["error"]["code"] in (
            "not_found",
            "method_not_allowed",
            "model_not_found",
        )
        return
    check_reply(reply, "openai" if path == CHAT else "anthropic")
