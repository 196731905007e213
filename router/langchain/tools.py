"""Tools and schemas as LangChain takes them, in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import (
    convert_to_openai_function,
    convert_to_openai_tool,
)

from ..config import nearest
from ..errors import InputError

__all__ = ["ToolChoice", "ToolLike", "to_response_format", "to_tool", "to_tool_choice"]

ToolLike = dict[str, Any] | type | Callable[..., Any] | BaseTool
ToolChoice = str | bool | dict[str, Any] | None

_WORDS: Final = {"any": "required", "required": "required", "auto": "auto", "none": "none"}


def to_tool(tool: ToolLike, where: str, *, strict: bool | None) -> dict[str, Any]:
    """OpenAI's tool of anything that LangChain takes as one; a provider's own tool passes as it is.

    Raises InputError naming what is none.
    """
    if isinstance(tool, dict) and _is_a_providers_own(tool):
        return tool
    try:
        found = dict(convert_to_openai_tool(tool, strict=strict))
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError(
            f"'{where}' is no tool: expected a function, a class, a BaseTool or a named schema",
            param=where,
        ) from exc
    extras = tool.extras if isinstance(tool, BaseTool) else None
    if isinstance(tool, dict) and "cache_control" in tool:
        extras = {"cache_control": tool["cache_control"]}
    return {**(extras or {}), **found}


def to_tool_choice(choice: ToolChoice, names: Sequence[str]) -> str | dict[str, Any] | None:
    """OpenAI's tool_choice of LangChain's: a tool's name, "any" (True, "required"), "auto",
    "none", or a choice in OpenAI's or Anthropic's shape; None for none.

    Raises InputError for a name that none of the tools has.
    """
    if choice is None or choice is False:
        return None
    if choice is True:
        return "required"
    if isinstance(choice, dict):
        kind, name = choice.get("type"), choice.get("name")
        if kind == "tool":
            return _function(str(name))
        return _WORDS.get(str(kind), choice) if choice.keys() == {"type"} else choice
    if choice in names:
        return _function(choice)
    if choice in _WORDS:
        return _WORDS[choice]
    known = ", ".join((*names, "any", "auto", "none"))
    raise InputError(
        f"'tool_choice' is {choice!r}, expected one of {known}{nearest(choice, names)}",
        param="tool_choice",
    )


def to_response_format(schema: Any, *, strict: bool | None = None) -> dict[str, Any]:
    """OpenAI's response_format that demands `schema`: a class, a JSON schema with a title, or what
    OpenAI itself takes.

    Raises InputError for a schema without a name.
    """
    if isinstance(schema, Mapping):
        if schema.get("type") in ("json_schema", "json_object", "text"):
            return dict(schema)
        if "name" in schema and "schema" in schema:
            return {"type": "json_schema", "json_schema": dict(schema)}
    try:
        wanted = dict(convert_to_openai_function(schema, strict=strict))
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError(
            "'schema' cannot be asked for: expected a class, or a JSON schema with a title",
            param="schema",
        ) from exc
    wanted["schema"] = wanted.pop("parameters", {"type": "object", "properties": {}})
    return {"type": "json_schema", "json_schema": wanted}


def _is_a_providers_own(tool: dict[str, Any]) -> bool:
    """Such as Anthropic's web search: it has a type of its own and no schema."""
    described = tool.keys() & {"function", "parameters", "input_schema", "properties", "toolSpec"}
    return isinstance(tool.get("type"), str) and tool["type"] != "function" and not described


def _function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}
