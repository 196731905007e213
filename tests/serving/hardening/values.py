"""JSON values that nobody expects, and ways to put them where others are expected."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

__all__ = ["ANYTHING", "JUNK", "TEXT", "nested", "places", "spoilt", "swaps"]

TEXT = st.text(max_size=40) | st.sampled_from(
    [
        *("", " ", "Hello?", "What is 17 + 25?", "\x00", "\ud83d", "\udc00x", "\ufeff", "\r\n"),
        *("é" * 700, "data: [DONE]\n\n", "\u2028", "{" * 70, "event: error", "%s%n{0}"),
    ]
)
_NUMBER = st.sampled_from(
    [0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, 10**400, -(10**30), 0.1, -0.0, 1e308, 5e-324]
) | st.sampled_from([math.nan, math.inf, -math.inf])
_SCALAR = st.none() | st.booleans() | st.integers() | _NUMBER | TEXT
ANYTHING = st.recursive(
    _SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
"""Any JSON value; of floats also those that JSON has no form for."""


WRONG = (None, True, 7, -0.5, "", "x", [], [[1]], {}, {"a": [1]}, ["x"])
"""One of each kind; a list cannot be looked up in a table."""
_LISTS = WRONG.index([[1]])


def nested(depth: int) -> Any:
    """Lists and objects within each other."""
    value: Any = 0
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


JUNK = ANYTHING | st.sampled_from([40, 70, 300]).map(nested) | st.just("x" * 30_000)
"""The same, and what is deep or long."""


_NAMES = (
    *("id", "object", "created", "model", "choices", "usage", "error", "index", "delta", "message"),
    *("role", "content", "type", "text", "tool_calls", "function", "function_call", "refusal"),
    *("finish_reason", "logprobs", "stop_reason", "stop_sequence", "reasoning_content", "name"),
    *("thinking", "thinking_blocks", "anthropic_content", "audio", "annotations", "service_tier"),
    *(
        "prompt_tokens",
        "input_tokens",
        "prompt_tokens_details",
        "input",
        "partial_json",
        "citations",
    ),
)


@st.composite
def spoilt(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> Any:
    """A value of `values` in which one to three things are replaced, missing, or there twice."""
    value = deepcopy(draw(values))
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(value))
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        how = draw(st.sampled_from(("replace", "replace", "drop", "double", "wrap", "add")))
        if how == "replace":
            holder[key] = deepcopy(draw(JUNK))
        elif how == "drop":
            del holder[key]
        elif how == "wrap":
            holder[key] = draw(st.sampled_from(([holder[key]], {"type": holder[key]})))
        elif how == "add" and isinstance(holder, dict):
            holder[draw(st.sampled_from(_NAMES))] = draw(JUNK)
        elif isinstance(holder, list):
            holder.insert(key, deepcopy(holder[key]))
        else:
            holder[f"{key}_"] = deepcopy(holder[key])
    return value


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (object or list, key or index) within a value; not too deep."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(6):
        below = []
        for node in level:
            keys = node if isinstance(node, dict) else range(len(node))
            yield from ((node, key) for key in keys)
            below += [node[key] for key in keys if isinstance(node[key], dict | list) and node[key]]
        level = below


def swaps(value: Any, *, every: bool) -> Iterator[tuple[Any, str]]:
    """`value` with something else in one of its places, or nothing, and where that is: all of
    WRONG in each place, or a list and one of the others in turn."""
    for number in range(len(list(places(value)))):
        one = number % (len(WRONG) + 1)  # the last stands for nothing
        for which in range(len(WRONG) + 1) if every else sorted({_LISTS, one}):
            changed, holder, key = _copied(value, number)
            if which == len(WRONG):
                del holder[key]
                yield changed, f"{key}: nothing"
            else:
                holder[key] = deepcopy(WRONG[which])
                yield changed, f"{key}: {WRONG[which]!r}"


def _copied(value: Any, number: int) -> tuple[Any, Any, Any]:
    """A copy of `value`, and its place of that number."""
    copied = deepcopy(value)
    return copied, *list(places(copied))[number]
