"""What a request asks is read from body and headers, and what is wrong is named."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from router.chat import Dialect
from router.errors import InputError
from serving.errors import ApiError
from serving.gateway.asks import Ask, read_ask

HELLO = [{"role": "user", "content": "Hello"}]


def ask(dialect: Dialect = "openai", headers: dict[str, str] | None = None, **body: Any) -> Ask:
    given = {"model": "auto", "messages": HELLO, **body}
    return read_ask(given, headers or {}, dialect, user_header="x-sluice-user")


def test_unknown_fields_are_kept_for_the_provider() -> None:
    found = ask(temperature=0.2, something_new={"a": 1}, stream=True)
    assert found.streamed
    assert dict(found.request.params) == {"temperature": 0.2, "something_new": {"a": 1}}
    assert (found.model, found.user, found.conversation) == ("auto", "", None)


def test_null_means_not_given() -> None:
    found = ask(stream=None, user=None, temperature=None)
    assert not found.streamed
    assert found.user == ""
    assert "temperature" not in found.request.params


def test_the_user_is_the_bodys_or_the_headers() -> None:
    assert ask(user="ann").user == "ann"
    assert ask(user="ann", headers={"x-sluice-user": "bob"}).user == "bob"
    assert ask("anthropic", metadata={"user_id": "cleo"}, max_tokens=5).user == "cleo"
    assert ask("anthropic", user="ann", max_tokens=5).user == ""  # not a field of Anthropic's


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"model": "m" * 300}, "model"),
        ({"messages": "hi"}, "messages"),
        ({"stream": "yes"}, "stream"),
        ({"user": 7}, "user"),
        ({"user": "u" * 300}, "user"),
        ({"user": "a\x00b"}, "user"),
        ({"api_base": "http://evil.test"}, "api_base"),
        ({"base_url": "http://evil.test"}, "base_url"),
        ({"api_key": "sk-mine"}, "api_key"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        ask(**body)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("name", ["model", "messages"])
def test_a_missing_field_is_named(name: str) -> None:
    body: dict[str, Any] = {"model": "auto", "messages": HELLO}
    del body[name]
    with pytest.raises(ApiError) as caught:
        read_ask(body, {}, "openai", user_header="x-sluice-user")
    assert (caught.value.code, caught.value.param) == ("missing_field", name)


def test_a_message_without_a_known_role_is_named() -> None:
    with pytest.raises(InputError, match=r"messages\[0\]\.role"):
        ask(messages=[{"role": "wizard", "content": "Hello"}])


@pytest.mark.parametrize("said", ["0.97", "1", "1.0", "0", ".5"])
def test_a_target_quality_may_be_asked_for(said: str) -> None:
    assert ask(headers={"x-sluice-target-quality": said}).target_quality == float(said)


@given(said=st.text(max_size=8).filter(lambda said: not said.strip(".01")[:1].isdigit()))
def test_what_is_no_number_from_0_to_1_is_refused(said: str) -> None:
    assume(said not in ("0", "1") and not re.fullmatch(r"0?\.[01]+|1\.0*", said))
    with pytest.raises(ApiError) as caught:
        ask(headers={"x-sluice-target-quality": said})
    assert caught.value.param == "x-sluice-target-quality"


@pytest.mark.parametrize(
    ("said", "refuses"),
    [("no-store", True), ("max-age=0, No-Cache", True), ("max-age=5", False), ("", False)],
)
def test_cache_control_is_heeded(said: str, refuses: bool) -> None:
    assert ask(headers={"cache-control": said}).no_cache is refuses
