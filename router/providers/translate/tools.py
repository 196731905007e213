"""Tools in both dialects: their definitions, the choice among them, and calls of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...errors import InputError
from .content import Json, list_at, object_at, sort_out

__all__ = [
    "read_arguments",
    "to_openai_choice",
    "to_openai_tools",
    "to_tool_call",
    "to_tool_choice",
    "to_tool_use",
    "to_tools",
]

_NO_PARAMETERS = {"type": "object", "properties": {}}


def to_tools(tools: Any) -> list[Json]:
    """Anthropic tools of OpenAI's; ones already in Anthropic's shape pass through untouched.

    Raises InputError naming a tool that is neither a function nor Anthropic's own.
    """
    return [
        _tool(object_at(tool, f"tools[{index}]"), f"tools[{index}]")
        for index, tool in enumerate(list_at(tools, "tools"))
    ]


def to_openai_tools(tools: Any) -> list[Json]:
    """OpenAI tools of Anthropic's; a provider's own tools (no input_schema) pass untouched."""
    return [
        _openai_tool(object_at(tool, f"tools[{index}]"))
        for index, tool in enumerate(list_at(tools, "tools"))
    ]


def to_tool_choice(choice: Any, parallel: Any, *, has_tools: bool) -> Json | None:
    """Anthropic's tool_choice of OpenAI's tool_choice and parallel_tool_calls, None for neither.

    Raises InputError for a choice that Anthropic has no word for.
    """
    words = {"auto": "auto", "none": "none", "required": "any"}
    if choice is None:
        if parallel is None or not has_tools:
            return None
        found: Json = {"type": "auto"}
    elif isinstance(choice, str) and choice in words:
        found = {"type": words[choice]}
    elif isinstance(choice, Mapping) and choice.get("type") == "function":
        function = object_at(choice.get("function"), "tool_choice.function")
        found = {"type": "tool", "name": function.get("name")}
    else:
        raise InputError(
            "'tool_choice' must be auto, none, required or a named function; Anthropic has no "
            "other choice",
            param="tool_choice",
        )
    if parallel is not None and found["type"] != "none":
        found["disable_parallel_tool_use"] = not parallel
    return found


def to_openai_choice(choice: Any) -> tuple[str | Json, bool | None]:
    """OpenAI's (tool_choice, parallel_tool_calls or None) of Anthropic's tool_choice."""
    choice = object_at(choice, "tool_choice")
    disabled = choice.get("disable_parallel_tool_use")
    parallel = None if disabled is None else not disabled
    words = {"auto": "auto", "none": "none", "any": "required"}
    kind = choice.get("type")
    if isinstance(kind, str) and kind in words:
        return words[kind], parallel
    if kind == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}, parallel
    raise InputError("'tool_choice.type' must be auto, any, tool or none", param="tool_choice.type")


def to_tool_use(call: Any, where: str, *, truncated: bool = False) -> Json:
    """Anthropic's tool_use block of an OpenAI tool call; raises InputError naming what is wrong.

    Arguments that are no JSON object are wrong, unless the answer was `truncated`: the block then
    keeps them as `partial_json`.
    """
    call = object_at(call, where)
    if call.get("type", "function") != "function":
        raise InputError(f"'{where}' must be a function call for Anthropic", param=where)
    function = object_at(call.get("function"), f"{where}.function")
    arguments_at = f"{where}.function.arguments"
    arguments = function.get("arguments")
    tool_input = read_arguments(arguments)
    if tool_input is None and not truncated:
        raise InputError(f"'{arguments_at}' must be a JSON object", param=arguments_at)
    block = {
        "type": "tool_use",
        "id": call.get("id"),
        "name": function.get("name"),
        "input": tool_input or {},
        **sort_out(call, "id", "type", "function", "index"),
    }
    if tool_input is None:
        block["partial_json"] = arguments
    return block


def to_tool_call(block: Mapping[str, Any]) -> Json:
    """OpenAI's tool call of a tool_use block.

    `partial_json` is the text of an input that broke off, kept by the stream that read it.
    """
    partial = block.get("partial_json")
    arguments = (
        partial if partial is not None else json.dumps(block.get("input", {}), ensure_ascii=False)
    )
    return {
        "id": block.get("id"),
        "type": "function",
        "function": {"name": block.get("name"), "arguments": arguments},
        **sort_out(block, "type", "id", "name", "input", "partial_json"),
    }


def read_arguments(arguments: Any) -> Json | None:
    """The object in a call's arguments, empty for none at all; None where they are not one."""
    if arguments is None or arguments == "":
        return {}
    if isinstance(arguments, Mapping):
        return dict(arguments)  # as Ollama writes them
    try:
        parsed = json.loads(arguments, parse_constant=_refuse_constant)
    except (TypeError, ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _tool(tool: Mapping[str, Any], where: str) -> Json:
    if tool.get("type") != "function":
        if "custom" in tool:
            raise InputError(f"'{where}' is a custom tool, unknown to Anthropic", param=where)
        return dict(tool)
    function = object_at(tool.get("function"), f"{where}.function")
    schema = function.get("parameters")
    return {
        **sort_out(function, "parameters"),
        "input_schema": _NO_PARAMETERS if schema is None else schema,
        **sort_out(tool, "type", "function"),
    }


def _openai_tool(tool: Mapping[str, Any]) -> Json:
    if "input_schema" not in tool:
        return dict(tool)
    function = {
        "name": tool.get("name"),
        **{name: tool[name] for name in ("description", "strict") if tool.get(name) is not None},
        "parameters": tool["input_schema"],
    }
    rest = sort_out(tool, "type", "name", "description", "strict", "input_schema")
    return {"type": "function", "function": function, **rest}
