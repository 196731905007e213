"""Checks of structure: JSON, JSON schemas and tool calls, and the patterns that schemas bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.types import Check, Draft, Query
from router.validation.checks import check_draft
from router.validation.rules.json_schema import check_schema
from router.validation.rules.patterns import search_bounded

JSON = Query.from_prompt("Give me JSON", response_format={"type": "json_object"})
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0}, "tag": {"enum": ["a", "b"]}},
    "required": ["n"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "count", "parameters": SCHEMA}}
ANTHROPIC_TOOL = {"name": "count", "input_schema": SCHEMA}


def found(text: str, query: Query | None = None, **draft: Any) -> Mapping[str, Check]:
    asked = query or Query.from_prompt("How many apples does Janet have in the end?")
    return {check.name: check for check in check_draft(asked, Draft(text=text, **draft))}


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ('{"a": 1}', True),
        ("[1]", False),
        ("a", False),
        ('{"a": NaN}', False),
        ('```json\n{"a": 1}\n```', False),
        ("[" * 5000, False),
    ],
)
def test_a_json_object_is_held_to_its_word(text: str, passed: bool) -> None:
    assert found(text, JSON)["format_json"].passed is passed


def test_json_is_held_to_its_schema() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    query = Query.from_prompt("x", response_format=wanted)
    assert found('{"n": 1}', query)["format_json"].passed is True
    assert found('{"n": "1"}', query)["format_json"].detail == "$.n: expected integer, found string"
    assert "missing" in found("{}", query)["format_json"].detail
    assert found('{"n": 1, "z": 2}', query)["format_json"].passed is False


def test_a_json_document_too_long_to_parse_is_reported_as_not_parsed() -> None:
    check = found('{"a": "' + "x" * 50_000 + '"}', JSON)["format_json"]
    assert check.passed is None
    assert "not parsed" in check.detail


@pytest.mark.parametrize("tool", [TOOL, ANTHROPIC_TOOL])
@pytest.mark.parametrize(
    ("name", "arguments", "passed"),
    [
        ("count", '{"n": 1}', True),
        ("count", '{"n": -1}', False),
        ("count", '{"n": 1', False),
        ("count", "[1]", False),
        ("other", '{"n": 1}', False),
    ],
)
def test_tool_calls_must_fit(tool: Any, name: str, arguments: str, passed: bool) -> None:
    query = Query.from_prompt("x", tools=[tool])
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}
    assert found("", query, tool_calls=(call,))["tool_calls"].passed is passed


@pytest.mark.parametrize("call", [{}, {"function": None}, {"name": 5}, {"function": {"name": ""}}])
def test_malformed_tool_calls_fail_without_a_crash(call: Any) -> None:
    assert found("", tool_calls=(call,))["tool_calls"].passed is False


def test_hostile_schemas_are_bounded_and_say_what_was_not_checked() -> None:
    loop = {"$ref": "#"}
    assert check_schema({"a": 1}, loop).unchecked == ("step limit",)
    remote = {"$ref": "http://127.0.0.1:1/schema.json"}
    assert check_schema(1, remote).unchecked == ("$ref outside the schema",)
    bomb = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}
    assert "step limit" in check_schema([1], bomb).unchecked
    slow = {"type": "string", "pattern": "^(a+)+$"}
    assert check_schema("a" * 40 + "b", slow).unchecked == ("pattern",)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|a)*b", "a*a*a*a*a*b", "(?=a)b", r"(a)\1", "(" * 200, "a?" * 60 + "a" * 60, "[a"],
)
def test_patterns_that_may_hang_are_not_run(pattern: str) -> None:
    assert search_bounded(pattern, "a" * 5000) is None


def test_plain_patterns_are_run() -> None:
    assert search_bounded(r"^\d{4}-\d{2}-\d{2}$", "2024-01-31") is True
    assert search_bounded("^[a-z]+$", "abc1") is False


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "n"]), inner, max_size=3)
    ),
    max_leaves=6,
)
SIMPLE = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["object", "array", "string", "integer", "number", "null"]),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "minimum": st.integers(-2, 2),
        "minLength": st.integers(0, 2),
        "required": st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
        "maxItems": st.integers(0, 3),
        "uniqueItems": st.booleans(),
    },
)
SCHEMAS = st.recursive(
    SIMPLE | st.booleans(),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from(["a", "b", "n"]), inner, max_size=2),
            "additionalProperties": inner,
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "contains": inner,
        },
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(VALUES, SCHEMAS)
def test_the_schema_check_agrees_with_the_reference(value: Any, schema: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    finding = check_schema(value, schema)
    assert not finding.unchecked
    expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (finding.error == "") is expected
