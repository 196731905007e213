"""Random requests to the chat endpoints: answered or refused, whole, in time, never with a 5xx."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.chat import Dialect
from router.engine import Engine
from tests.serving.hardening.chat_bodies import ANTHROPIC_BODIES, OPENAI_BODIES
from tests.serving.hardening.chat_samples import (
    ANTHROPIC_FIELDS,
    ANTHROPIC_MESSAGES,
    OPENAI_FIELDS,
    OPENAI_MESSAGES,
    SMALLEST,
)
from tests.serving.hardening.examples import FUZZ, examples
from tests.serving.hardening.hardened_gateway import (
    HardenedClient,
    hardened_gateway,
    play_provider,
)
from tests.serving.hardening.judging import check_reply
from tests.serving.hardening.values import TEXT, swaps
from tests.upstream import Upstream

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
JSON = "application/json"
GOOD = {"model": "drafts", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi?"}]}


@pytest.fixture(scope="module")
def gateway(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HardenedClient]:
    folder = tmp_path_factory.mktemp("bodies")
    with (
        Upstream(play_provider()) as upstream,
        hardened_gateway(engine, upstream, folder) as client,
    ):
        yield client
        assert client.chat("drafts").status_code == 200
        client.check_nothing_is_left()
        found = Counter(row["status"] for row in client.rows())
        assert found["ok"] > 100, found  # or hardly anything got as far as a model


@examples(250)
@given(body=OPENAI_BODIES)
def test_openai_bodies(gateway: HardenedClient, body: Any) -> None:
    check_reply(post(gateway, CHAT, body), "openai")


@examples(250)
@given(body=ANTHROPIC_BODIES)
def test_anthropic_bodies(gateway: HardenedClient, body: Any) -> None:
    check_reply(post(gateway, MESSAGES, body), "anthropic")


@pytest.mark.parametrize("model", ["small", "claude-small"])
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_every_kind_of_value_in_every_place(
    gateway: HardenedClient, dialect: Dialect, model: str
) -> None:
    """One field at a time, so that no refusal hides another."""
    is_openai = dialect == "openai"
    messages, fields = (
        (OPENAI_MESSAGES, OPENAI_FIELDS) if is_openai else (ANTHROPIC_MESSAGES, ANTHROPIC_FIELDS)
    )
    path = CHAT if is_openai else MESSAGES
    faults = []
    for sample in samples(messages, fields):
        base = {**SMALLEST, "model": model}
        for changed, where in swaps(sample, every=FUZZ > 1):
            reply = post(gateway, path, {**base, **changed})
            try:
                check_reply(reply, dialect)
            except AssertionError as exc:
                faults.append(f"{[*sample]} with {where}: {exc}")
    assert not faults, faults


def samples(
    messages: Sequence[dict[str, Any]], fields: Mapping[str, Sequence[Any]]
) -> Iterator[dict[str, Any]]:
    for message in messages:
        yield {"messages": [message, *SMALLEST["messages"]]}
    for name, values in fields.items():
        for value in values:
            yield {name: value}


def post(gateway: HardenedClient, path: str, body: Any) -> Any:
    # Lone surrogates go out as escapes, and NaN as a bare word.
    return gateway.http.post(path, content=json.dumps(body), headers={"content-type": JSON})


BYTES = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda encoding, text: json.dumps({**GOOD, "x": text}, ensure_ascii=False).encode(
            encoding, "surrogatepass" if encoding.startswith("utf") else "replace"
        ),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "cp037"]),
        TEXT,
    ),
    st.builds(
        lambda cut, more: json.dumps(GOOD).encode()[:cut] + more,
        st.integers(0, 90),
        st.sampled_from([b"", b"}", b"\x00", b"]", b"// x", b"\xff", b'"']) | st.binary(max_size=9),
    ),
    # Keys that are there twice: the last one counts, as everywhere.
    st.builds(
        lambda first: b'{"model": %b, "messages": %b, ' % first + json.dumps(GOOD).encode()[1:],
        st.tuples(*[st.sampled_from([b"1", b"null", b'"small"', b"{}"])] * 2),
    ),
    st.sampled_from(
        [b"[" * 100_000, b'{"a":' * 50_000, b"9" * 9_999, b'{"model": "\\ud800', b"\xef\xbb\xbf{}"]
    ),
)
CONTENT_TYPES = st.sampled_from(
    [
        *(JSON, JSON, "Application/JSON", f"{JSON}; charset=utf-8", f"{JSON};", f"{JSON};charset="),
        *(f"{JSON}; charset=utf-16", f"{JSON}, {JSON}", "text/json", "text/plain", "", "*/*", ";"),
        *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "\xff"),
    ]
)


@examples(80)
@given(body=BYTES, kind=CONTENT_TYPES, encoding=st.sampled_from(["", "", "gzip", "identity", "x"]))
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_bodies_that_are_hardly_json(
    gateway: HardenedClient, path: str, body: bytes, kind: str, encoding: str
) -> None:
    headers = {"content-type": kind, "content-encoding": encoding}
    sent = {name: value.encode("latin-1") for name, value in headers.items() if value}
    reply = gateway.http.post(path, content=body, headers=sent)
    check_reply(reply, "openai" if path == CHAT else "anthropic")
