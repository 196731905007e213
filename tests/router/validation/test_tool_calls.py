"""Tool calls as answers that can be compared: what makes two drafts' calls the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.types import Draft, Query
from router.validation.agreement import compare_answers
from router.validation.rules.structured import check_tool_calls
from router.validation.tool_calls import read_calls


def openai(name: str, arguments: Any, call_id: str = "c1") -> dict[str, Any]:
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": written}}


def anthropic(name: str, given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": given}


def agree(one: list[Any], two: list[Any]) -> bool:
    answers = [read_calls(Draft(text="", tool_calls=tuple(calls))) for calls in (one, two)]
    assert answers[0] is not None
    assert answers[1] is not None
    found = compare_answers(*answers)
    assert found.same is compare_answers(*reversed(answers)).same
    return found.same


def test_a_draft_without_calls_has_none_to_compare() -> None:
    assert read_calls(Draft(text="It is warm.")) is None


def test_ids_and_the_order_of_calls_and_of_arguments_do_not_matter() -> None:
    one = [openai("weather", {"city": "Rome", "days": 2}, "a"), openai("tides", {}, "b")]
    two = [openai("tides", {}, "x"), openai("weather", '{"days":2,   "city":"Rome"}', "y")]
    assert agree(one, two)


def test_the_dialect_does_not_matter() -> None:
    assert agree([openai("weather", {"city": "Rome"})], [anthropic("weather", {"city": "Rome"})])


@pytest.mark.parametrize(
    "other",
    [
        [openai("climate", {"city": "Rome"})],
        [openai("weather", {"city": "Oslo"})],
        [openai("weather", {"city": "rome"})],
        [openai("weather", {"city": "Rome", "days": 1})],
        [openai("weather", {})],
        [openai("weather", {"city": ["Rome"]})],
        [openai("weather", {"city": "Rome"})] * 2,
        [openai("weather", {"city": "Rome"}), openai("tides", {})],
    ],
    ids=["name", "value", "case", "more", "none", "type", "twice", "another beside"],
)
def test_what_makes_another_call(other: list[dict[str, Any]]) -> None:
    assert not agree([openai("weather", {"city": "Rome"})], other)


def test_the_order_within_a_list_matters() -> None:
    assert not agree([openai("add", {"of": [1, 2]})], [openai("add", {"of": [2, 1]})])


@pytest.mark.parametrize("nothing", ["", "{}", " {} "])
def test_no_arguments_are_no_arguments_however_written(nothing: str) -> None:
    assert agree([openai("tides", nothing)], [anthropic("tides", {})])


def test_arguments_that_are_no_json_are_compared_as_they_stand() -> None:
    assert agree([openai("f", '{"a": 1')], [openai("f", '{"a": 1')])
    assert not agree([openai("f", '{"a": 1')], [openai("f", '{"a":1')])


def test_very_long_arguments_are_compared_as_they_stand() -> None:
    long = json.dumps({"text": "x" * 40_000})
    assert agree([openai("f", long)], [openai("f", long)])
    assert not agree([openai("f", long)], [openai("f", long + " ")])


def test_arguments_nested_too_deeply_agree_with_nothing() -> None:
    deep: Any = 1
    for _ in range(3000):
        deep = {"a": deep}
    assert not agree([anthropic("f", deep)], [anthropic("f", deep)])
    written = '{"a":' * 3000 + "1" + "}" * 3000
    assert not agree([openai("f", written)], [openai("f", {})])


@pytest.mark.parametrize(
    "call",
    [{}, {"function": None}, {"function": {"name": 7}}, {"type": "function", "function": []}],
)
def test_a_call_without_a_name_is_read_all_the_same(call: dict[str, Any]) -> None:
    assert read_calls(Draft(text="", tool_calls=(call,))) is not None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_ARGUMENTS = st.dictionaries(st.text(), _JSON, max_size=4)


@given(st.lists(st.tuples(st.text(min_size=1), _ARGUMENTS), min_size=1, max_size=4), st.data())
def test_shuffled_and_rewritten_calls_agree(
    calls: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(calls))
    one = [openai(name, arguments) for name, arguments in calls]
    two = [
        openai(name, json.dumps(arguments, indent=2, sort_keys=True), call_id=str(index))
        if index % 2
        else anthropic(name, arguments)
        for index, (name, arguments) in enumerate(shuffled)
    ]
    assert agree(one, two)


def test_a_custom_tool_takes_any_text_and_only_what_was_offered() -> None:
    tools = [{"type": "custom", "custom": {"name": "sql", "description": "Runs a query."}}]
    query = Query.from_prompt("How many users are there?", tools=tools)

    def call(name: str) -> Draft:
        called = {"id": "c", "type": "custom", "custom": {"name": name, "input": "SELECT 1"}}
        return Draft(text="", tool_calls=(called,))

    assert check_tool_calls(query, call("sql")).ok is True
    assert check_tool_calls(query, call("rm")).ok is False
    first, other = read_calls(call("sql")), read_calls(call("sql"))
    assert first is not None
    assert first == other


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
TIME = {"type": "function", "function": {"name": "time", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("choice", "called", "ok"),
    [
        (None, None, None),
        ("auto", None, None),
        ("none", None, None),
        ("none", "weather", False),
        ("required", None, False),
        ("required", "time", True),
        ({"type": "any"}, None, False),
        ({"type": "auto"}, None, None),
        ({"type": "function", "function": {"name": "weather"}}, "weather", True),
        ({"type": "function", "function": {"name": "weather"}}, "time", False),
        ({"type": "function", "function": {"name": "weather"}}, None, False),
        ({"type": "tool", "name": "weather"}, "time", False),
        ({"type": "tool", "name": "time"}, "time", True),
    ],
)
def test_what_tool_choice_demands_is_called(choice: Any, called: str | None, ok: Any) -> None:
    messages = [{"role": "user", "content": "How warm is it?"}]
    query = Query.from_messages(messages, tools=[WEATHER, TIME], tool_choice=choice)
    calls = () if called is None else (openai(called, "{}"),)
    finding = check_tool_calls(query, Draft(text="" if calls else "Warm.", tool_calls=calls))
    assert finding.ok is ok
