"""Providers whose HTTP is broken: nothing of one answer is ever taken for a part of the next."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config import TimeoutConfig
from router.engine import Engine
from tests.agents import model
from tests.serving.hardening.broken_rig import Rig
from tests.serving.hardening.examples import examples
from tests.serving.hardening.hardened_gateway import hardened_gateway
from tests.serving.hardening.raw_upstream import Piece, RawUpstream, completion, whole
from tests.upstream import Upstream

SAID = "All is well again."
BODY = completion("The broken one.")
POISON = whole(completion("Poison."))
OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"content-type: application/json\r\n"
STREAM = b"content-type: text/event-stream\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)
LENGTH = b"content-length: %d\r\n" % len(BODY)
TOTAL_S = 0.6


class _RawRig(Rig):
    """The same with a provider of bytes."""

    raw: RawUpstream

    def check_raw(self, pieces: Sequence[Piece]) -> str:
        self.raw.next_pieces = pieces
        start = time.monotonic()
        result = self.check_broken("openai", "raw", streamed=False)
        assert time.monotonic() - start < TOTAL_S + 3
        self.raw.next_pieces = None
        for _ in range(2):
            reply = self.ask("openai", "raw", streamed=False)
            assert reply.status_code == 200, reply.text
            assert reply.json()["choices"][0]["message"]["content"] == SAID
        return result


@pytest.fixture(scope="module")
def rig(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_RawRig]:
    folder = tmp_path_factory.mktemp("raw")
    with Upstream() as upstream, RawUpstream(SAID) as raw:
        timeout = TimeoutConfig(connect_s=1, first_token_s=TOTAL_S, total_s=TOTAL_S)
        # A connection that the provider has closed meanwhile is found out by using it.
        models = (model("raw", raw.url, timeout=timeout, max_retries=1),)
        with hardened_gateway(engine, upstream, folder, models=models) as gateway:
            rig = _RawRig(gateway, upstream)
            rig.raw = raw
            yield rig
            gateway.check_nothing_is_left()


def bomb() -> bytes:
    """80 MB of blanks before an answer, in some 80 kB."""
    return gzip.compress(b" " * (80 * 2**20) + BODY)


ALL_THERE: list[Sequence[Piece]] = [
    (OK, JSON, CHUNKED, b"\r\n", CHUNK, b"0\r\n\r\n"),
    (OK, JSON, CHUNKED, b"\r\n", CHUNK.replace(b"\r\n", b";x=y\r\n", 1), b"0\r\n\r\n"),
    (OK, JSON, CHUNKED, b"\r\n", CHUNK, b"0\r\nx: y\r\n\r\n"),
    (b"HTTP/1.0 200 OK\r\n", JSON, b"\r\n", BODY, "close"),
    (OK, JSON, b"connection: close\r\n\r\n", BODY, "close"),
    (b"HTTP/1.1 100 Continue\r\n\r\n", whole(BODY)),
    (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", whole(BODY)),
    (whole(gzip.compress(BODY), b"content-encoding: gzip"),),
    (whole(zlib.compress(BODY), b"content-encoding: deflate"),),
    tuple(bytes([byte]) for byte in whole(BODY)),
    # These go on beyond their end: the next answer must not begin with that.
    (whole(BODY) + POISON,),
    (whole(BODY) + b"garbage",),
    (OK, JSON, CHUNKED, b"\r\n", CHUNK, b"0\r\n\r\n", POISON),
]


@pytest.mark.parametrize("pieces", ALL_THERE)
def test_answers_that_are_whole_in_spite_of_all(rig: _RawRig, pieces: Sequence[Piece]) -> None:
    assert rig.check_raw(pieces) == "answer"


NOT_ALL_THERE: list[Sequence[Piece]] = [
    (whole(b"", status=b"204 No Content") + POISON,),
    (whole(BODY, status=b"304 Not Modified") + POISON,),
    (whole(BODY, status=b"500 Oh") + POISON,),
    ("close",),
    ("reset",),
    (OK, "close"),
    (OK, JSON, LENGTH, b"\r\n", BODY[:20], "close"),
    (OK, JSON, LENGTH, b"\r\n", BODY[:20], "reset"),
    (OK, JSON, CHUNKED, b"\r\n", CHUNK, "close"),
    (OK, JSON, CHUNKED, b"\r\n", CHUNK[:20], "close"),
    (OK, JSON, CHUNKED, b"\r\n", b"zz\r\n", CHUNK),
    (OK, JSON, CHUNKED, b"\r\n", b"-1\r\n", CHUNK),
    (OK, JSON, CHUNKED, b"\r\n", b"f" * 40, b"\r\n", CHUNK),
    (OK, JSON, b"content-length: -5\r\n\r\n", BODY, "close"),
    (OK, JSON, b"content-length: 9999999999999999999999\r\n\r\n", BODY, "close"),
    (OK, JSON, LENGTH, b"content-length: 5\r\n\r\n", BODY),
    (OK, JSON, LENGTH, CHUNKED, b"\r\n", CHUNK, b"0\r\n\r\n", POISON),
    (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", POISON),
    (b"HTTP/1.1 999 x\r\n", LENGTH, b"\r\n", BODY),
    (b"HTTP/1.1 2000 x\r\n", LENGTH, b"\r\n", BODY),
    (b"HTTP/9.9 200 OK\r\n", JSON, LENGTH, b"\r\n", BODY),
    (b"SSH-2.0-OpenSSH_9.6\r\n", "close"),
    (b"\x16\x03\x01\x02\x00" * 20, "close"),
    (b"<html>no</html>", "close"),
    (OK, b"no colon\r\n\r\n", "close"),
    (OK, b"x: \x00\r\n", JSON, LENGTH, b"\r\n", BODY),
    (OK, b" folded: x\r\n", JSON, LENGTH, b"\r\n", BODY),
    (OK, b"x: ", b"y" * 3_000_000, "close"),
    (OK, b"x: y\r\n" * 300_000, "close"),
    (b"HTTP/1.1 307 No\r\nlocation: http://127.0.0.1:9/\r\n", LENGTH, b"\r\n", BODY),
    (whole(BODY, b"content-encoding: gzip"),),
    (whole(gzip.compress(BODY)[:30], b"content-encoding: gzip"),),
    (whole(BODY, b"content-encoding: x-unheard-of"),),
    (whole(bomb(), b"content-encoding: gzip"),),
]
SILENT: list[Sequence[Piece]] = [
    (30.0,),
    (OK, 30.0),
    (OK, JSON, LENGTH, b"\r\n", BODY[:20], 30.0),
    (OK, JSON, CHUNKED, b"\r\n", CHUNK, 30.0),
    (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, 30.0),
    tuple(piece for _ in range(300) for piece in (b"HTTP/1.1 100 C\r\n\r\n", 0.02)),
    (OK, *(piece for _ in range(300) for piece in (b"x: y\r\n", 0.02))),
]


@pytest.mark.parametrize("pieces", [*NOT_ALL_THERE, *SILENT])
def test_answers_that_are_not_whole(rig: _RawRig, pieces: Sequence[Piece]) -> None:
    rig.check_raw(pieces)  # asked again, where that makes sense: so it may be an answer


def test_what_comes_unasked_is_nobodys_answer(rig: _RawRig) -> None:
    rig.raw.next_pieces = (whole(BODY), 0.05, POISON)
    assert rig.check_broken("openai", "raw", streamed=False) == "answer"
    time.sleep(0.3)
    reply = rig.ask("openai", "raw", streamed=False)
    assert reply.json()["choices"][0]["message"]["content"] == SAID


@examples(100)
@given(data=st.data())
def test_answers_with_flaws(rig: _RawRig, data: st.DataObject) -> None:
    """A good answer in which some bytes are others, missing, or too many."""
    good = (whole(BODY), b"".join((OK, JSON, CHUNKED, b"\r\n", CHUNK, b"0\r\n\r\n")))
    bad = bytearray(data.draw(st.sampled_from(good)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(bad) - 1)))
        until = min(len(bad), at + data.draw(st.integers(0, 3)))
        bad[at:until] = data.draw(st.binary(max_size=3) | st.sampled_from([b"\r\n", b"0", b"1"]))
    rig.check_raw((bytes(bad), "close"))
