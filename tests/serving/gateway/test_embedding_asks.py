"""A request for embeddings is checked as far as the gateway has to understand it."""

from __future__ import annotations

from typing import Any

import pytest

from serving.errors import ApiError
from serving.gateway.embedding_asks import (
    EmbeddingAsk,
    EncoderAsk,
    read_embedding_ask,
    read_encoder_ask,
)


def ask(given: Any = "Hi?", headers: dict[str, str] | None = None, **more: Any) -> EmbeddingAsk:
    body = {"model": "embed", "input": given, **more}
    return read_embedding_ask(body, headers or {}, user_header="x-sluice-user")


def encoder_ask(given: Any = "Hi?", **more: Any) -> EncoderAsk:
    return read_encoder_ask(ask(given, **more), max_inputs=4)


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("Hi?", ("Hi?",)),
        (["Hi?", "Ho?"], ("Hi?", "Ho?")),
        ([1, 2], ([1, 2],)),
        ([[1, 2], [3]], ([1, 2], [3])),
        (["Hi?", [3]], ("Hi?", [3])),
    ],
)
def test_inputs_of_every_kind(given: Any, inputs: Any) -> None:
    found = ask(given, own_field={"a": 1}, user="u")
    assert found.inputs == inputs
    assert found.body == {"input": given, "own_field": {"a": 1}, "user": "u"}
    assert (found.model, found.user) == ("embed", "u")


def test_the_header_names_the_user_before_the_body() -> None:
    assert ask(headers={"x-sluice-user": " h "}, user="u").user == "h"
    assert ask().user == ""


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ("", "input"),
        ([], "input"),
        (None, "input"),
        (7, "input"),
        ({"text": "Hi?"}, "input"),
        (["Hi?", ""], "input[1]"),
        (["Hi?", None], "input[1]"),
        (["Hi?", []], "input[1]"),
        ([[1], [True]], "input[1]"),
        ([[1], [1.5]], "input[1]"),
        (["Hi?"] * 2049, "input"),
    ],
)
def test_inputs_that_are_none_are_refused(given: Any, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        ask(given)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "Hi?"}, "model"),
        ({"model": 7, "input": "Hi?"}, "model"),
        ({"model": "m" * 257, "input": "Hi?"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": "Hi?", "user": 7}, "user"),
        ({"model": "m", "input": "Hi?", "user": "a\x00b"}, "user"),
        ({"model": "m", "input": "Hi?", "api_base": "http://elsewhere"}, "api_base"),
        ({"model": "m", "input": "Hi?", "api_key": "k"}, "api_key"),
    ],
)
def test_the_field_at_fault_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_embedding_ask(body, {}, user_header="x-sluice-user")
    assert (caught.value.status, caught.value.param) == (400, param)
    assert "elsewhere" not in caught.value.message


def test_what_the_encoder_is_asked() -> None:
    assert encoder_ask() == EncoderAsk(texts=("Hi?",), as_base64=False, dimensions=None)
    found = encoder_ask(["a", "b"], encoding_format="base64", dimensions=256, user="u", own=None)
    assert found == EncoderAsk(texts=("a", "b"), as_base64=True, dimensions=256)


@pytest.mark.parametrize(
    ("given", "more", "param"),
    [
        ([1, 2], {}, "input"),
        (["a", "b", "c", "d", "e"], {}, "input"),
        (["a", " \n"], {}, "input[1]"),
        ("a", {"encoding_format": "hex"}, "encoding_format"),
        ("a", {"encoding_format": ["float"]}, "encoding_format"),
        ("a", {"dimensions": "256"}, "dimensions"),
        ("a", {"dimensions": True}, "dimensions"),
        ("a", {"own": 1}, "own"),
    ],
)
def test_what_the_encoder_cannot_do_is_refused(
    given: Any, more: dict[str, Any], param: str
) -> None:
    with pytest.raises(ApiError) as caught:
        encoder_ask(given, **more)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_token_ids_are_refused_with_the_way_out() -> None:
    with pytest.raises(ApiError, match="a vocabulary of its own; send text"):
        encoder_ask([1, 2])
