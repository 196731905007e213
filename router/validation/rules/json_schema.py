"""A bounded JSON Schema check, for `response_format` and tool arguments.

It implements the assertions of draft 2020-12 that structured outputs use (and the older spellings
of `items` and `exclusiveMinimum`). It is our own because the schema comes from outside: here the
number of steps, the nesting and the work of a `pattern` are bounded, no reference leaves the
document, and nothing is compiled to Python. What it does not check it says in `unchecked`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from .patterns import search_bounded

__all__ = ["MAX_STEPS", "SchemaFinding", "check_schema"]

MAX_STEPS = 600  # (value, schema) pairs looked at before the check stops
_MAX_DEPTH = 40
_IGNORED = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef")


@dataclass(frozen=True, kw_only=True)
class SchemaFinding:
    """`error` is "" when nothing contradicts the schema; `unchecked` names, sorted, what was
    skipped ("pattern", "$ref to http...", "step limit")."""

    error: str
    unchecked: tuple[str, ...]


def check_schema(value: Any, schema: Any) -> SchemaFinding:
    """Check a parsed JSON value against a JSON Schema in at most MAX_STEPS steps; never raises."""
    walk = _Walk(schema)
    error = walk.check(value, schema, "$", 0)
    return SchemaFinding(error=error, unchecked=tuple(sorted(walk.unchecked)))


class _Walk:
    """One check; methods return an error message, "" when there is none."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.steps = 0
        self.unchecked: set[str] = set()

    def check(self, value: Any, schema: Any, path: str, depth: int) -> str:
        self.steps += 1
        if self.steps > MAX_STEPS or depth > _MAX_DEPTH:
            self.unchecked.add("step limit")
            return ""
        if schema is False:
            return f"{path[:80]}: nothing is allowed here"
        if not isinstance(schema, Mapping):
            return ""
        for keyword in _IGNORED:
            if keyword in schema:
                self.unchecked.add(keyword)
        found = self._own(value, schema, path) or self._combined(value, schema, path, depth)
        if found:
            return found
        if isinstance(value, dict):
            return self._object(value, schema, path, depth)
        if isinstance(value, list):
            return self._array(value, schema, path, depth)
        return ""

    def _own(self, value: Any, schema: Mapping[str, Any], path: str) -> str:
        expected = schema.get("type")
        if expected is not None:
            names = expected if isinstance(expected, list) else [expected]
            if not any(_is_type(value, name) for name in names[:16]):
                wanted = " or ".join(str(name)[:20] for name in names[:4])
                return f"{path[:80]}: expected {wanted}, found {_type_name(value)}"
        if "const" in schema and not _same(value, schema["const"]):
            return f"{path[:80]}: not the constant that the schema names"
        allowed = schema.get("enum")
        if isinstance(allowed, list) and not self._listed(value, allowed):
            return f"{path[:80]}: not one of the {len(allowed)} values allowed"
        if isinstance(value, str):
            return self._string(value, schema, path)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _number(value, schema, path)
        return ""

    def _listed(self, value: Any, allowed: list[Any]) -> bool:
        self.steps += len(allowed) // 16
        return any(_same(value, one) for one in allowed)

    def _string(self, value: str, schema: Mapping[str, Any], path: str) -> str:
        low, high = schema.get("minLength"), schema.get("maxLength")
        if _is_number(low) and len(value) < low:
            return f"{path[:80]}: shorter than {low} characters"
        if _is_number(high) and len(value) > high:
            return f"{path[:80]}: longer than {high} characters"
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            self.steps += 4
            matched = search_bounded(pattern, value)
            if matched is None:
                self.unchecked.add("pattern")
            elif not matched:
                return f"{path[:80]}: does not match its pattern"
        return ""

    def _combined(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            target = self._resolve(reference)
            found = "" if target is None else self.check(value, target, path, depth + 1)
            if found:
                return found
        for part in _schemas(schema.get("allOf")):
            if found := self.check(value, part, path, depth + 1):
                return found
        for keyword in ("anyOf", "oneOf"):
            if found := self._choice(value, schema, keyword, path, depth):
                return found
        if "not" in schema and self._holds(value, schema["not"], path, depth) is True:
            return f"{path[:80]}: matches what 'not' forbids"
        if "if" in schema:
            holds = self._holds(value, schema["if"], path, depth)
            branch = None if holds is None else schema.get("then" if holds else "else")
            if branch is not None:
                return self.check(value, branch, path, depth + 1)
        return ""

    def _choice(
        self, value: Any, schema: Mapping[str, Any], keyword: str, path: str, depth: int
    ) -> str:
        parts = _schemas(schema.get(keyword))
        if not parts:
            return ""
        matching = 0
        for part in parts:
            holds = self._holds(value, part, path, depth)
            if holds is None:
                return ""  # undecided: the reason is in `unchecked`
            matching += holds
            if matching and keyword == "anyOf":
                return ""
        if matching == 1:
            return ""
        return f"{path[:80]}: matches {matching} of the {len(parts)} schemas of {keyword}"

    def _holds(self, value: Any, schema: Any, path: str, depth: int) -> bool | None:
        """Whether the schema holds; None when something in it could not be checked."""
        before, self.unchecked = self.unchecked, set()
        found = self.check(value, schema, path, depth + 1)
        undecided = bool(self.unchecked) and not found
        self.unchecked |= before
        return None if undecided else not found

    def _resolve(self, reference: str) -> Any:
        if reference == "#":
            return self.root
        if not reference.startswith("#/") or len(reference) > 200:
            self.unchecked.add("$ref outside the schema")
            return None
        target = self.root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, Mapping) and name in target:
                target = target[name]
            else:
                self.unchecked.add("$ref to nothing")
                return None
        return target

    def _object(
        self, value: dict[str, Any], schema: Mapping[str, Any], path: str, depth: int
    ) -> str:
        for name in _strings(schema.get("required")):
            if name not in value:
                return f"{path[:80]}: '{name[:40]}' is missing"
        low, high = schema.get("minProperties"), schema.get("maxProperties")
        if _is_number(low) and len(value) < low:
            return f"{path[:80]}: fewer than {low} properties"
        if _is_number(high) and len(value) > high:
            return f"{path[:80]}: more than {high} properties"
        properties = schema.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        patterns = schema.get("patternProperties")
        patterned = patterns if isinstance(patterns, Mapping) else {}
        rest = schema.get("additionalProperties")
        names = schema.get("propertyNames")
        for name, item in value.items():
            where = f"{path[:80]}.{name[:40]}"
            if names is not None and (found := self.check(name, names, where, depth + 1)):
                return found
            covered: bool | None = name in known
            if covered and (found := self.check(item, known[name], where, depth + 1)):
                return found
            for pattern, part in list(patterned.items())[:8]:
                self.steps += 4
                matched = search_bounded(str(pattern), name)
                if matched is None:
                    self.unchecked.add("pattern")
                    covered = covered or None
                elif matched:
                    covered = True
                    if found := self.check(item, part, where, depth + 1):
                        return found
            if covered is False and rest is not None:
                if rest is False:
                    return f"{path[:80]}: '{name[:40]}' is not a known property"
                if found := self.check(item, rest, where, depth + 1):
                    return found
        return ""

    def _array(self, value: list[Any], schema: Mapping[str, Any], path: str, depth: int) -> str:
        low, high = schema.get("minItems"), schema.get("maxItems")
        if _is_number(low) and len(value) < low:
            return f"{path[:80]}: fewer than {low} items"
        if _is_number(high) and len(value) > high:
            return f"{path[:80]}: more than {high} items"
        if schema.get("uniqueItems") is True:
            self.steps += len(value) // 8
            if self.steps > MAX_STEPS:
                self.unchecked.add("step limit")
            elif len({json.dumps(item, sort_keys=True) for item in value}) < len(value):
                return f"{path[:80]}: items are not unique"
        items = schema.get("items")
        first = items if isinstance(items, list) else schema.get("prefixItems")
        prefix = _schemas(first)
        rest = schema.get("additionalItems") if isinstance(items, list) else items
        for index, item in enumerate(value):
            part = prefix[index] if index < len(prefix) else rest
            if part is None:
                break
            if found := self.check(item, part, f"{path[:80]}[{index}]", depth + 1):
                return found
            if self.steps > MAX_STEPS:
                break
        return self._contains(value, schema, path, depth)

    def _contains(self, value: list[Any], schema: Mapping[str, Any], path: str, depth: int) -> str:
        if "contains" not in schema:
            return ""
        holds = [self._holds(item, schema["contains"], path, depth) for item in value[:MAX_STEPS]]
        if None in holds:
            return ""
        count = sum(map(bool, holds))
        low, high = schema.get("minContains", 1), schema.get("maxContains")
        if (_is_number(low) and count < low) or (_is_number(high) and count > high):
            return f"{path[:80]}: {count} items match 'contains'"
        return ""


def _number(value: float, schema: Mapping[str, Any], path: str) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    over, under = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if over is True:
        over = low
    if under is True:
        under = high
    if _is_number(low) and value < low:
        return f"{path[:80]}: below the minimum {low}"
    if _is_number(high) and value > high:
        return f"{path[:80]}: above the maximum {high}"
    if _is_number(over) and value <= over:
        return f"{path[:80]}: not above {over}"
    if _is_number(under) and value >= under:
        return f"{path[:80]}: not below {under}"
    step = schema.get("multipleOf")
    if _is_number(step) and step > 0:
        try:
            ratio = value / step
        except OverflowError:
            return ""
        if math.isfinite(ratio) and abs(ratio - round(ratio)) > 1e-9 * max(1.0, abs(ratio)):
            return f"{path[:80]}: not a multiple of {step}"
    return ""


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _schemas(value: Any) -> list[Any]:
    return value[:256] if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [name for name in value[:512] if isinstance(name, str)]


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "array" if isinstance(value, list) else "object"


def _is_type(value: Any, name: Any) -> bool:
    found = _type_name(value)
    if name == "number":
        return found in ("integer", "number")
    if name == "integer":
        return found == "integer" or (found == "number" and float(value).is_integer())
    return bool(found == name)


def _same(a: Any, b: Any) -> bool:
    """JSON equality: 1 is 1.0 but not true, at any depth."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return bool(a == b)
