"""LangChain's messages as OpenAI's, which is what a request is made of.

langchain-core has a converter of its own, which is asked here for the blocks of other providers'
formats. It is not used for whole messages: it leaves out tool calls that could not be parsed and
fields such as `cache_control`, joins texts with newlines, and its errors quote what they refuse.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_openai_messages,
)

from ..errors import InputError
from ..providers.translate.content import Json, list_at, object_at, simplify, sort_out, to_part
from ..providers.translate.messages import THINKING_TYPES
from ..providers.translate.openai_body import with_images_apart

__all__ = ["KEPT_FIELDS", "to_openai_messages"]

# Of an answer, in OpenAI's shape: what has to come back with the next turn as it was.
KEPT_FIELDS: Final = ("thinking_blocks", "anthropic_content")
_OF_LANGCHAIN: Final = ("id", "index", "extras", "annotations")  # on a text block
_OF_CALLS: Final = ("id", "type", "function", "index")
# What of an assistant's content is said; the rest is what its provider did on the way.
_SAID: Final = ("text", "refusal", "image", "image_url", "audio", "file", "non_standard")
# The blocks of LangChain's and of other providers' formats, those without a type aside.
_CONVERTED: Final = (
    "audio",
    "document",
    "file",
    "guard_content",
    "image",
    "json",
    "media",
    "video",
)


def to_openai_messages(messages: Sequence[BaseMessage]) -> list[Json]:
    """OpenAI's messages of LangChain's; artifacts of tools stay here.

    Raises InputError naming a message or block that OpenAI's format has no counterpart for.
    """
    found: list[Json] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if isinstance(message, AIMessage):
            found.append(_assistant_message(message, where))
        elif isinstance(message, HumanMessage):
            found.extend(_user_messages(message, where))
        else:
            content = _content(message.content, f"{where}.content")
            found.append({**_head(message, where), "content": content})
    return with_images_apart(found)


def _head(message: BaseMessage, where: str) -> Json:
    """Everything but the content of a message that is neither the assistant's nor the user's."""
    named = {"name": message.name} if message.name else {}
    if isinstance(message, ToolMessage):
        return {"role": "tool", "tool_call_id": message.tool_call_id, **named}
    if isinstance(message, SystemMessage):
        return {"role": message.additional_kwargs.get("__openai_role__", "system"), **named}
    if isinstance(message, FunctionMessage):
        return {"role": "function", **named}
    if isinstance(message, ChatMessage):
        return {"role": message.role, **named}
    raise InputError(f"'{where}' is a {type(message).__name__}, which no model reads", param=where)


def _user_messages(message: HumanMessage, where: str) -> list[Json]:
    """The user's message, and before it Anthropic's tool results, each as a message of its own."""
    named = {"name": message.name} if message.name else {}
    if isinstance(message.content, str):
        return [{"role": "user", "content": message.content, **named}]
    found: list[Json] = []
    parts: list[Json] = []
    for index, block in enumerate(message.content):
        spot = f"{where}.content[{index}]"
        if isinstance(block, Mapping) and block.get("type") == "tool_result":
            result = _content(block.get("content") or "", f"{spot}.content")
            call = block.get("tool_use_id")
            found.append({"role": "tool", "tool_call_id": call, "content": result})
        else:
            parts.append(_part(block, spot))
    if parts or not found:
        found.append({"role": "user", "content": simplify(parts), **named})
    return found


def _assistant_message(message: AIMessage, where: str) -> Json:
    kept = message.additional_kwargs
    content = _assistant_content(message.content, f"{where}.content")
    found: Json = {"role": "assistant", "content": content}
    if message.name:
        found["name"] = message.name
    if calls := _tool_calls(message):
        found["tool_calls"] = calls
    elif kept.get("function_call"):
        found["function_call"] = kept["function_call"]
    if kept.get("refusal") and not content:
        found["refusal"] = kept["refusal"]
    if isinstance(kept.get("audio"), Mapping) and kept["audio"].get("id"):
        found["audio"] = {"id": kept["audio"]["id"]}  # all that OpenAI takes back
    found.update({name: kept[name] for name in KEPT_FIELDS if kept.get(name)})
    if "thinking_blocks" not in found and (thinking := _signed_thinking(message)):
        found["thinking_blocks"] = thinking
    if not content and found.keys() - {"role", "content", "name"}:
        found["content"] = None
    return found


def _assistant_content(content: str | list[str | dict[str, Any]], where: str) -> str | list[Json]:
    """Its texts as one, unless something else stands among them."""
    if isinstance(content, str):
        return content
    parts = [
        _part(block, f"{where}[{index}]")
        for index, block in enumerate(content)
        if isinstance(block, str) or block.get("type") in _SAID
    ]
    if all(part.keys() == {"type", "text"} for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _tool_calls(message: AIMessage) -> list[Json]:
    """All calls of an assistant: those understood, those not, and those of Anthropic's blocks."""
    raw = {call.get("id"): call for call in message.additional_kwargs.get("tool_calls") or ()}
    calls = [(call["id"], call["name"], _dump(call["args"])) for call in message.tool_calls]
    calls += [
        (call["id"], call["name"] or "", call["args"] or "") for call in message.invalid_tool_calls
    ]
    known = {call_id for call_id, _, _ in calls}
    for block in message.content:
        if isinstance(block, str) or block.get("type") != "tool_use" or block.get("id") in known:
            continue
        calls.append((block.get("id"), str(block.get("name")), _dump(block.get("input") or {})))
    return [
        {
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
            **sort_out(raw.get(call_id, {}), *_OF_CALLS),
        }
        for call_id, name, arguments in calls
    ]


def _signed_thinking(message: AIMessage) -> list[Json]:
    """Anthropic's thinking in content, as far as Anthropic takes it back."""
    return [
        sort_out(block, "index")
        for block in message.content
        if isinstance(block, dict)
        and block.get("type") in THINKING_TYPES
        and (block.get("signature") or block.get("data"))
    ]


def _content(content: Any, where: str) -> str | list[Json]:
    if isinstance(content, str):
        return content
    blocks = enumerate(list_at(content, where))
    return simplify([_part(block, f"{where}[{index}]") for index, block in blocks])


def _part(block: Any, where: str) -> Json:
    """OpenAI's part of one block of whatever format."""
    if isinstance(block, str):
        return {"type": "text", "text": block}
    block = object_at(block, where)
    extras = block.get("extras") or {}
    kind = block.get("type")
    if kind == "non_standard":
        return _part(block.get("value"), f"{where}.value")
    if kind in ("text", "text-plain") and isinstance(block.get("text"), str):
        if kind == "text-plain" or "source_type" in block:
            return {"type": "text", "text": block["text"]}
        return {**sort_out(block, *_OF_LANGCHAIN), **extras}
    part = _data_part(block, where)
    cache_control = block.get("cache_control") or extras.get("cache_control")
    return part if cache_control is None else {**part, "cache_control": cache_control}


def _data_part(block: Mapping[str, Any], where: str) -> Json:
    kind = block.get("type")
    if (kind is not None and kind not in _CONVERTED) or (kind == "file" and "file" in block):
        return dict(block)  # OpenAI's own, or one that only a provider knows
    if "source" in block and kind in ("image", "document"):
        return to_part(block, where)
    if kind == "file":
        if "url" in block:
            return {"type": "file", "file": {"file_data": block["url"]}}
        if "file_id" in block:
            return {"type": "file", "file": {"file_id": block["file_id"]}}
        block = {"filename": _filename(block), **block}
    if block.get("mime_type") == "audio/mpeg":
        block = {**block, "mime_type": "audio/mp3"}  # the format's name at OpenAI
    try:
        found = convert_to_openai_messages(HumanMessage([dict(block)]), text_format="block")
    except (KeyError, TypeError, ValueError):
        # Not `from exc`: the foreign error quotes the content.
        raise InputError(
            f"'{where}' of type {kind!r} cannot be said in OpenAI's format", param=where
        ) from None
    (part,) = object_at(found, where)["content"]
    return dict(part)


def _filename(block: Mapping[str, Any]) -> str:
    """OpenAI wants one; what the caller says wins."""
    said = block.get("extras") or block.get("metadata") or {}
    ending = str(block.get("mime_type", "")).rpartition("/")[2] or "bin"
    return str(said.get("filename") or f"document.{ending}")


def _dump(arguments: Any) -> str:
    return json.dumps(arguments, ensure_ascii=False)
