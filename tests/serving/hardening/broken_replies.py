"""What a broken provider sends: replies that are nearly right, and all that is not a reply."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from tests.behaviours import Received, Script, answer, answer_anthropic
from tests.serving.hardening.values import ANYTHING, JUNK, spoilt

__all__ = ["SCRIPTS", "Scripts"]

Scripts = Callable[[Received], Script]
"""A provider's behaviour for both kinds of requests: whole and streamed."""

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
USE = {"id": "t1", "name": "f", "input": {"a": 1}}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
COUNT = st.sampled_from(
    [0, 1, 12, -1, -(10**12), 10**9, 10**30, 1.5, 1e300, "12", "", True, None, [], {}, [12]]
)
COUNTED = (
    *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens"),
    *("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(COUNTED, COUNT),
        "prompt_tokens_details": st.dictionaries(
            st.sampled_from(["cached_tokens", "audio_tokens", "cache_write_tokens"]), COUNT
        )
        | ANYTHING,
        "completion_tokens_details": st.dictionaries(st.just("reasoning_tokens"), COUNT) | ANYTHING,
        "cache_creation": st.dictionaries(st.just("ephemeral_1h_input_tokens"), COUNT) | ANYTHING,
    },
)


def _said(speaks: str, *, streamed: bool, **how: Any) -> Script:
    """What a provider that is well sends."""
    body = {"model": "m", "stream": streamed, "stream_options": {"include_usage": True}}
    body["logprobs"] = True
    request = Received(path=PATHS[speaks], headers={}, body=body)
    if speaks == "openai":
        behaviour = answer(how["text"], tool_calls=how["calls"], logprobs=(-0.1, -2.0))
    else:
        behaviour = answer_anthropic(how["text"], tool_uses=[USE] if how["calls"] else ())
    return behaviour(request)


HOWS = st.sampled_from(
    [
        {"text": "Paris is the capital of France.", "calls": ()},
        {"text": "12", "calls": ()},
        {"text": None, "calls": (CALL,)},
        {"text": "Let me see.", "calls": (CALL,)},
    ]
)


# -- whole replies -----------------------------------------------------------------------------


def _bodies(speaks: str) -> st.SearchStrategy[bytes]:
    """Whole replies in JSON: spoilt, with usage that lies, or no reply at all."""
    good = HOWS.map(lambda how: _json_of(_said(speaks, streamed=False, **how)))
    lying = st.builds(lambda body, usage: {**body, "usage": usage}, good, USAGES | JUNK)
    errors = st.sampled_from(
        [
            {"error": {"message": "no", "type": "server_error", "code": "x"}},
            {"error": "no"},
            {"error": {"code": 429}},
            {"error": {"code": "9" * 5000}},
            {"error": {"message": ["x"], "code": {"a": 1}, "type": 5}},
            [{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}],
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            {"choices": []},
            {"content": []},
        ]
    )
    values = st.one_of(spoilt(good), spoilt(good), lying, spoilt(lying), errors, ANYTHING)
    texts = values.map(lambda value: json.dumps(value).encode())
    cut = st.builds(lambda text, end: text[:end], texts, st.integers(0, 300))
    deep = good.map(lambda value: json.dumps({**value, "deep": 0}).encode()).map(_deepen)
    return st.one_of(*[texts] * 4, cut, deep, st.binary(max_size=50), _wrong_bytes(texts))


def _deepen(text: bytes) -> bytes:
    """Something that is nested as deeply as can be read."""
    return text.replace(b'"deep": 0', b'"deep": ' + b'{"a": ' * 900 + b"1" + b"}" * 900)


def _wrong_bytes(texts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Some bytes replaced, so that UTF-8 and JSON break."""

    def replace(text: bytes, at: int, by: bytes) -> bytes:
        at %= len(text) + 1
        return text[:at] + by + text[at + len(by) :]

    return st.builds(replace, texts, st.integers(0, 10**6), st.binary(min_size=1, max_size=4))


def _json_of(script: Script) -> Any:
    [piece] = script.pieces
    assert isinstance(piece, bytes)
    return json.loads(piece)


# -- streams -----------------------------------------------------------------------------------

NOISE = st.sampled_from(
    [
        *(b": ping\n\n", b"\n", b"\n\n\n", b"\r\n\r\n", b"data\n\n", b"data:\n\n", b"data: \n\n"),
        *(b"event: error\n\n", b"id: 7\n\n", b"retry: 10\n\n", b"data: {}\n\n", b"data: []\n\n"),
        *(
            b"data: null\n\n",
            b"data: 1\n\n",
            b'data: "x"\n\n',
            b"data: [DONE]\n\n",
            b"\xef\xbb\xbf",
        ),
        *(b"data: {\n\n", b"data: {\ndata: }\n\n", b"event: ping\ndata: {}\n\n", b"\x00\n\n"),
        *(
            b"\xef\xbb\xbf",
            b"\xff\xfe\n\n",
            b"data: \xc3\n\n",
            b"data : {}\n\n",
            b"event: \xff\ndata: {}\n\n",
        ),
        b'data: {"error": {"message": "no", "code": "server_error"}}\n\n',
        b'data: {"error": "no"}\n\n',
        b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error"}}\n\n',
        b'event: message_stop\ndata: {"type": "message_stop"}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": "' + b"x" * 70_000 + b'"}}]}\n\n',
        b": " + b"x" * 70_000 + b"\n\n",
    ]
)


@st.composite
def _streams(draw: st.DrawFn, speaks: str) -> bytes:
    """The events of a stream, of which some are spoilt, missing, moved or doubled, with noise."""
    script = _said(speaks, streamed=True, **draw(HOWS))
    events = [piece for piece in script.pieces if isinstance(piece, bytes)]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(events) - 1)))
        how = draw(st.sampled_from(("spoil", "spoil", "spoil", "usage", "noise", "drop", "twice")))
        if how == "noise":
            events.insert(at, draw(NOISE | st.binary(max_size=20)))
        elif events and how == "drop":
            del events[at]
        elif events and how == "twice":
            events.insert(draw(st.integers(0, len(events))), events[at])
        elif events:
            events[at] = _spoil(draw, events[at], usage=how == "usage")
    whole = b"".join(events)
    if draw(st.integers(0, 9)) == 0:
        whole = whole.replace(b"\n", draw(st.sampled_from([b"\r\n", b"\r"])))
    if draw(st.integers(0, 4)) == 0:
        whole = whole[: draw(st.integers(0, len(whole)))]
    return whole


def _spoil(draw: st.DrawFn, event: bytes, *, usage: bool) -> bytes:
    """One event with something else in its data."""
    before, _, data = event.partition(b"data: ")
    try:
        value = json.loads(data)
    except ValueError:
        return draw(NOISE)
    if not isinstance(value, dict):
        return draw(NOISE)
    if usage:
        value["usage"] = draw(USAGES | JUNK)
        if isinstance(value.get("message"), dict):
            value["message"]["usage"] = draw(USAGES)
    else:
        value = draw(spoilt(st.just(deepcopy(value))))
    return before + b"data: " + json.dumps(value).encode() + b"\n\n"


# -- both ----------------------------------------------------------------------------------------

STATUSES = st.sampled_from(
    [*(200,) * 14, 201, 206, 301, 400, 401, 404, 408, 413, 422, 429, 500, 503, 529, 599]
)
KINDS = st.sampled_from(
    [
        *("",) * 14,
        *("text/html", "text/plain", "application/octet-stream", "x", ";", "text/event-stream"),
        *("application/json", "application/problem+json", "application/json; charset=latin-1"),
    ]
)
RETRY_AFTER = st.sampled_from(
    ["", "", "0", "-5", "1e9", "nan", "soon", "9" * 300, f"Mon, 01 Jan 2024 00:00:00 +{'9' * 25}"]
)


@st.composite
def _scripts(draw: st.DrawFn, speaks: str) -> Scripts:
    whole = draw(_bodies(speaks))
    stream = draw(_streams(speaks))
    status, kind, retry_after = draw(STATUSES), draw(KINDS), draw(RETRY_AFTER)
    swapped = draw(st.integers(0, 9)) == 0
    end = draw(st.sampled_from(("whole", "whole", "whole", "cut")))
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=3)))

    def behave(request: Received) -> Script:
        streams = request.streams is not swapped
        usual = "text/event-stream" if streams else "application/json"
        pieces = [whole]
        if streams:
            marks = [0, *cuts, len(stream)]
            pieces = [stream[a:b] for a, b in pairwise(marks) if a < b]
        return Script(
            status=status,
            content_type=kind or usual,
            headers={"retry-after": retry_after} if retry_after else {},
            pieces=tuple(pieces) or (b"",),
            end="cut" if end == "cut" else "whole",
        )

    return behave


SCRIPTS = {speaks: _scripts(speaks) for speaks in PATHS}
"""Broken behaviours of providers that speak OpenAI's format, or Anthropic's."""
