"""Queries as callers send them: what is read, and which field an error names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import InputError
from router.types import ROLES, Query


def test_a_prompt_is_one_user_message() -> None:
    query = Query.from_prompt("why?", tools=[{"name": "count"}])
    assert query.text == "why?"
    assert [one.role for one in query.messages] == ["user"]
    assert query.tools == ({"name": "count"},)


def test_the_text_is_that_of_the_last_user_message() -> None:
    query = Query.from_messages(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "first"},
            {"role": "user", "content": "second"},
            {"role": "assistant", "content": None, "tool_calls": []},
        ]
    )
    assert query.text == "second"
    assert query.messages[-1].content == ""


def test_without_a_user_the_last_message_is_what_there_is() -> None:
    assert Query.from_messages([{"role": "system", "content": "alone"}]).text == "alone"


def test_text_parts_are_joined_and_others_left_out() -> None:
    parts = [
        "plain",
        {"type": "text", "text": "one"},
        {"type": "image_url", "image_url": {"url": "data:"}},
        {"type": "text", "text": ""},
        {"type": "text", "text": "two"},
    ]
    assert Query.from_messages([{"role": "user", "content": parts}]).text == "plain\none\ntwo"


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ("hello", "messages"),
        (None, "messages"),
        ({"role": "user", "content": "x"}, "messages"),
        (["hello"], "messages[0]"),
        ([{"role": "user", "content": "x"}, None], "messages[1]"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "robot", "content": "x"}], "messages[0].role"),
        ([{"role": ["user"], "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": 7}], "messages[0].content"),
        ([{"role": "user", "content": {"text": "x"}}], "messages[0].content"),
        ([{"role": "user", "content": [7]}], "messages[0].content[0]"),
        ([{"role": "user", "content": ["a", None]}], "messages[0].content[1]"),
        ([{"role": "user", "content": [{"text": 7}]}], "messages[0].content"),
    ],
)
def test_errors_name_the_field_in_the_callers_words(messages: Any, param: str) -> None:
    with pytest.raises(InputError) as caught:
        Query.from_messages(messages)
    assert caught.value.param == param
    assert param in str(caught.value)


@pytest.mark.parametrize("prompt", [None, 7, ["x"], b"x", {"text": "x"}])
def test_a_prompt_that_is_no_text_is_refused(prompt: Any) -> None:
    with pytest.raises(InputError, match=type(prompt).__name__) as caught:
        Query.from_prompt(prompt)
    assert caught.value.param == "prompt"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(ROLES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "text", "type"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_or_refused_with_a_field(messages: Any) -> None:
    param: str | None = "messages"
    text: object = ""
    try:
        text = Query.from_messages(messages).text
    except InputError as error:
        param = error.param
    assert param is not None
    assert param.startswith("messages")
    assert isinstance(text, str)
