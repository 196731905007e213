"""Providers that are broken in every way: the client gets an answer that can be read, or an error;
either is recorded once and paid once; and the next request does not notice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.chat import Dialect
from router.engine import Engine
from tests.behaviours import Behaviour, Received, Script, drip, hang, send_events, send_json
from tests.serving.hardening.broken_replies import SCRIPTS, Scripts
from tests.serving.hardening.broken_rig import HASTY_S, Rig, open_rig
from tests.serving.hardening.examples import FUZZ, examples
from tests.serving.hardening.reply_samples import REPLIES, STREAMS
from tests.serving.hardening.values import swaps

MODELS = {"openai": "small", "anthropic": "claude-small"}
CASCADES = {"openai": "drafts", "anthropic": "claude-drafts"}
# Cascades and models that ask all models that were asked before, so that no circuit opens.
ALL_ASKED = {"openai": ("doubts",), "anthropic": ("claude-small", "large")}


@pytest.fixture(scope="module")
def rig(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with open_rig(engine, tmp_path_factory.mktemp("broken")) as rig:
        yield rig


@examples(60)
@given(data=st.data(), streamed=st.booleans(), routed=st.booleans())
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("speaks", ["openai", "anthropic"])
def test_a_provider_that_breaks_anyhow(
    rig: Rig, speaks: str, dialect: Dialect, data: st.DataObject, streamed: bool, routed: bool
) -> None:
    script: Scripts = data.draw(SCRIPTS[speaks])
    rig.upstream.then(script)
    name = (CASCADES if routed else MODELS)[speaks]
    rig.check_broken(dialect, name, streamed=streamed)
    rig.check_good(*ALL_ASKED[speaks])


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("speaks", ["openai", "anthropic"])
def test_every_kind_of_value_in_every_place_of_a_reply(
    rig: Rig, speaks: str, dialect: Dialect
) -> None:
    for sample in REPLIES[speaks]:
        for changed, where in swaps(sample, every=FUZZ > 1):
            rig.upstream.then(send_json(changed))
            with rig.noting(where):
                rig.check_broken(dialect, MODELS[speaks], streamed=False)
                rig.check_good(MODELS[speaks])
    rig.tell_faults()


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("speaks", ["openai", "anthropic"])
def test_every_kind_of_value_in_every_place_of_a_stream(
    rig: Rig, speaks: str, dialect: Dialect
) -> None:
    events = STREAMS[speaks]
    names = [MODELS[speaks], CASCADES[speaks]]
    for number, sample in enumerate(events):
        for changed, where in swaps(sample, every=FUZZ > 1):
            sent = [*events[:number], changed, *events[number + 1 :]]
            names.reverse()
            rig.upstream.then(send_events(*sent, done=speaks == "openai"))
            with rig.noting(f"{number} of {names[0]} with {where}"):
                rig.check_broken(dialect, names[0], streamed=True)
                rig.check_good(*ALL_ASKED[speaks])
    rig.tell_faults()


# -- time and size -----------------------------------------------------------------------------


def for_ever(piece: bytes, *, first: bytes = b"") -> Behaviour:
    """A stream that says the same every few milliseconds, for longer than anybody waits."""
    pieces: list[bytes | float] = [first or piece]
    for _ in range(2_000):
        pieces += [0.005, piece]
    script = Script(content_type="text/event-stream", pieces=pieces)
    return lambda _: script


def line(event: object) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def silent_after(first: bytes) -> Behaviour:
    script = Script(content_type="text/event-stream", pieces=(first, inf))
    return lambda _: script


SAYS_A = line({"choices": [{"index": 0, "delta": {"content": "a"}}]})
SAYS_NOTHING = line({"choices": [{"index": 0, "delta": {}}]})
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
BEGINS = line(STREAMS["anthropic"][0])


@pytest.mark.parametrize(
    ("name", "behaviour", "result"),
    [
        ("hasty", hang(), "upstream_timeout"),
        ("hasty", for_ever(b": ping\n\n"), "upstream_timeout"),
        ("hasty", for_ever(b": ping"), "upstream_timeout"),  # one endless line
        ("hasty", for_ever(b"\n"), "upstream_timeout"),
        ("hasty", for_ever(SAYS_NOTHING), "upstream_timeout"),
        ("hasty", for_ever(SAYS_A), "broken"),
        ("hasty", silent_after(SAYS_A), "broken"),
        ("hasty", drip(send_events(STREAMS["openai"][1]), pause_s=0.05), "upstream_timeout"),
        ("claude-hasty", for_ever(PING), "upstream_timeout"),
        ("claude-hasty", for_ever(PING, first=BEGINS), "upstream_timeout"),
        ("claude-hasty", silent_after(BEGINS), "upstream_timeout"),
    ],
)
def test_a_stream_without_end_is_given_up(
    rig: Rig, name: str, behaviour: Behaviour, result: str
) -> None:
    dialects: tuple[Dialect, ...] = ("openai", "anthropic")
    # One is as good as the other: the provider's stream is read before it is told.
    for dialect in dialects if FUZZ > 1 else dialects[len(result) % 2 :][:1]:
        rig.upstream.then(behaviour)
        start = time.monotonic()
        found = rig.check_broken(dialect, name, streamed=True)
        assert found == result
        assert time.monotonic() - start < HASTY_S + 5
        rig.check_good(name)


def large(size: int) -> Behaviour:
    def behave(request: Received) -> Script:
        if request.streams:
            text = b'data: {"choices": [{"delta": {"content": "' + b"x" * size
            return Script(content_type="text/event-stream", pieces=(text,))
        return Script(pieces=(b'{"choices": [{"message": {"content": "' + b"x" * size,))

    return behave


@pytest.mark.parametrize(("size", "streamed"), [(17 * 2**20, True), (65 * 2**20, False)])
def test_a_reply_without_measure_is_given_up(rig: Rig, size: int, streamed: bool) -> None:
    rig.upstream.then(large(size))
    assert rig.check_broken("openai", "small", streamed=streamed) == "upstream_failed"
    rig.check_good("small")
