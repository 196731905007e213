"""Drafts that must be machine-readable: JSON answers and tool calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ...types import Draft, Query
from .json_schema import check_schema

__all__ = ["MAX_JSON_CHARS", "StructureFinding", "check_json", "check_tool_calls", "expects_json"]

MAX_JSON_CHARS = 32_768  # a longer document has only its ends looked at
_MAX_CALLS = 16
_NONE = "\0"  # no tool has such a name


@dataclass(frozen=True, kw_only=True)
class StructureFinding:
    """`ok` is None when there was nothing to judge or it was too long to judge; `unclosed` says
    that a JSON text stops before its end; `detail` is the first fault, or what was not checked."""

    ok: bool | None
    unclosed: bool = False
    detail: str = ""


_NOTHING = StructureFinding(ok=None)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def expects_json(query: Query) -> bool:
    """Whether the query's response_format asks for JSON."""
    wanted = query.response_format
    return bool(wanted) and str(wanted.get("type", ""))[:5] == "json_" if wanted else False


def check_json(query: Query, text: str) -> StructureFinding:
    """Whether `text` is one JSON document that satisfies the query's response_format.

    Reads OpenAI's {"type": "json_object"} and {"type": "json_schema", "json_schema": {"schema"}}
    and the flat {"type": "json_schema", "schema"}. A document longer than MAX_JSON_CHARS is not
    parsed: `ok` is None unless its ends already contradict it.
    """
    wanted = query.response_format
    if wanted is None or not expects_json(query):
        return _NOTHING
    if len(text) > MAX_JSON_CHARS:
        opening, ending = text[:64].lstrip()[:1], text[-64:].rstrip()[-1:]
        if opening + ending in ("{}", "[]"):
            return StructureFinding(ok=None, detail=f"not parsed: {len(text)} characters")
        unclosed = opening in ("{", "[")
        return StructureFinding(ok=False, unclosed=unclosed, detail="not a JSON document")
    parsed, error = _parse(text)
    if error:
        stripped = text.strip()
        unclosed = stripped[:1] in ("{", "[") and not stripped.endswith(("}", "]"))
        fenced = " (wrapped in a code fence)" if stripped.startswith("```") else ""
        return StructureFinding(ok=False, unclosed=unclosed, detail=error + fenced)
    schema = _response_schema(wanted)
    if schema is None:
        if isinstance(parsed, dict) or wanted.get("type") != "json_object":
            return StructureFinding(ok=True)
        return StructureFinding(ok=False, detail="JSON, but not an object")
    return _against(parsed, schema)


def check_tool_calls(query: Query, draft: Draft) -> StructureFinding:
    """Whether every tool call of the draft names an offered tool and fits its schema, and whether
    it calls what the query's tool_choice demands.

    Reads calls and tools in OpenAI's shape (arguments are a JSON string; a custom tool takes any
    text) and Anthropic's (input is an object). At most 16 calls are read.
    """
    demanded = _demanded(query.tool_choice)
    if not draft.tool_calls:
        if demanded is None or demanded == _NONE:
            return _NOTHING
        return StructureFinding(ok=False, detail="no tool is called, and one has to be")
    if demanded == _NONE:
        return StructureFinding(ok=False, detail="a tool is called, and none may be")
    if demanded and any(_name(call) != demanded for call in draft.tool_calls[:_MAX_CALLS]):
        return StructureFinding(ok=False, detail=f"another tool than '{demanded[:60]}' is called")
    tools = _offered(query)
    detail = ""
    for call in draft.tool_calls[:_MAX_CALLS]:
        finding = _check_call(call, tools)
        if finding.ok is False:
            return finding
        detail = detail or finding.detail
    return StructureFinding(ok=True, detail=detail)


def _check_call(call: Any, tools: Mapping[str, Any]) -> StructureFinding:
    custom = call.get("custom") if isinstance(call, Mapping) else None
    source, name = _described(call), _name(call)
    if not name:
        return StructureFinding(ok=False, detail="a tool call without a name")
    if name not in tools:
        return StructureFinding(ok=False, detail=f"'{name[:60]}' is not an offered tool")
    if custom is not None:
        return StructureFinding(ok=True)
    given = source.get("input") if "input" in source else source.get("arguments", "{}")
    if isinstance(given, str):
        if len(given) > MAX_JSON_CHARS:
            return StructureFinding(
                ok=True, detail=f"'{name[:60]}': arguments not parsed, too long"
            )
        given, error = _parse(given or "{}")
        if error:
            return StructureFinding(ok=False, detail=f"'{name[:60]}': {error}")
    if not isinstance(given, Mapping):
        return StructureFinding(ok=False, detail=f"'{name[:60]}': arguments are not an object")
    schema = tools[name]
    if not isinstance(schema, Mapping):
        return StructureFinding(ok=True)
    finding = _against(given if isinstance(given, dict) else dict(given), schema)
    if not finding.detail:
        return finding
    return StructureFinding(ok=finding.ok, detail=f"'{name[:60]}': {finding.detail}")


def _demanded(choice: Any) -> str | None:
    """The tool that has to be called, "" for any of them, _NONE for no tool at all, None where the
    model is free."""
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    if kind in ("required", "any"):
        return ""
    if kind == "none":
        return _NONE
    return _name(choice) if kind in ("function", "custom", "tool") else None


def _name(tool: Any) -> str:
    source = _described(tool)
    name = source.get("name") if isinstance(source, Mapping) else None
    return name if isinstance(name, str) else ""


def _described(tool: Any) -> Any:
    """What describes a tool or a call: OpenAI has it one level down, Anthropic does not."""
    if not isinstance(tool, Mapping):
        return tool
    inner = tool.get("function", tool.get("custom"))
    return inner if isinstance(inner, Mapping) else tool


def _offered(query: Query) -> dict[str, Any]:
    tools: dict[str, Any] = {}
    for tool in query.tools[:512]:
        if not isinstance(tool, Mapping):
            continue
        source = _described(tool)
        name = source.get("name")
        if isinstance(name, str):
            tools[name] = source.get("parameters", source.get("input_schema"))
    return tools


def _response_schema(wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wrapped = wanted.get("json_schema")
    source = wrapped if isinstance(wrapped, Mapping) else wanted
    schema = source.get("schema")
    return schema if isinstance(schema, Mapping) else None


def _against(value: Any, schema: Mapping[str, Any]) -> StructureFinding:
    finding = check_schema(value, schema)
    if finding.error:
        return StructureFinding(ok=False, detail=finding.error)
    detail = f"not checked: {', '.join(finding.unchecked)}" if finding.unchecked else ""
    return StructureFinding(ok=True, detail=detail)


def _parse(text: str) -> tuple[Any, str]:
    """The value and "", or None and what is wrong."""
    try:
        return _DECODER.decode(text), ""
    except RecursionError:
        return None, "JSON nested too deeply"
    except ValueError as error:
        return None, f"not JSON: {str(error)[:80]}"
