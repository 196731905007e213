"""Server-sent events are the same however the network cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.providers.server_events import EventDecoder, ServerEvent
from router.providers.wire import WireError


def decode(*chunks: bytes) -> list[ServerEvent]:
    decoder = EventDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n\ndata: two\n\n", [("message", "one"), ("message", "two")]),
        (b"data: one\r\rdata: two\r\r", [("message", "one"), ("message", "two")]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", [("message", "one"), ("message", "two")]),
        (b"data:no space\ndata:  two\n\n", [("message", "no space\n two")]),
        (b"event: stop\ndata: {}\n\ndata: {}\n\n", [("stop", "{}"), ("message", "{}")]),
        (b": comment\n\n:\n\ndata: x\n\n", [("message", "x")]),
        (b"event: nothing\n\ndata: x\n\n", [("message", "x")]),
        (b"data\n\n", [("message", "")]),
        (b"data:\ndata\n\n", [("message", "\n")]),
        (b"id: 7\nretry: 10\nunknown: 1\nunknown\ndata: x\n\n", [("message", "x")]),
        (b"\xef\xbb\xbfdata: x\n\n", [("message", "x")]),
        (b"data: \xef\xbb\xbfx\n\n", [("message", "\ufeffx")]),
        (b"data: x\x0by\x85\xe2\x80\xa8z\n\n", [("message", "x\x0by\ufffd\u2028z")]),
        ("data: \u00e9\U0001f600\n\n".encode(), [("message", "\u00e9\U0001f600")]),
        (b"data: a:b: c\n\n", [("message", "a:b: c")]),
        (b"data: cut off\n", []),
        (b"data: cut off", []),
        (b"", []),
    ],
)
def test_the_standard(stream: bytes, events: list[tuple[str, str]]) -> None:
    assert [(one.event, one.data) for one in decode(stream)] == events


LINES = st.sampled_from(
    ["data: a", "data:", "data", "data: \u00e9\u4e16\U0001f600", "event: x", ": c", "", "", "id: 1"]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(st.lists(st.tuples(LINES, ENDS)), st.lists(st.integers(0, 60)), st.booleans())
def test_any_cut_gives_the_same_events(
    lines: list[tuple[str, bytes]], sizes: list[int], with_bom: bool
) -> None:
    stream = b"\xef\xbb\xbf" * with_bom + b"".join(line.encode() + end for line, end in lines)
    chunks, at = [], 0
    for size in sizes:
        chunks.append(stream[at : at + size])
        at += size
    chunks.append(stream[at:])
    assert decode(*chunks) == decode(stream)
    assert decode(*(bytes([byte]) for byte in stream)) == decode(stream)


def test_an_event_is_out_as_soon_as_it_ends() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: x\r\n\r") == [ServerEvent("message", "x")]
    assert decoder.feed(b"\ndata: y\n\n") == [ServerEvent("message", "y")]


@pytest.mark.parametrize(
    "chunk", [b"x" * 10, b"data: " + b"x" * 10, b"data: xxxxx\n", b":" + b"c" * 10]
)
def test_an_event_has_a_limit(chunk: bytes) -> None:
    decoder = EventDecoder(max_bytes=100)
    with pytest.raises(WireError) as caught:
        list(map(decoder.feed, [chunk] * 30))
    assert caught.value.cause == "too_large"


def test_many_small_events_have_none() -> None:
    decoder = EventDecoder(max_bytes=100)
    for _ in range(1_000):
        assert decoder.feed(b": c\nda") == []
        assert decoder.feed(b"ta: xxxxx\n\n") == [ServerEvent("message", "xxxxx")]
