"""Conversations in both dialects: OpenAI's flat list of messages, Anthropic's turns.

What only Anthropic can say stays on OpenAI's assistant message in two fields of its own:
`thinking_blocks`, signed thinking that has to be sent back as it came, and, where the order or
kind of the blocks would be lost, `anthropic_content`, all of them as they were. Both are used
again on the way back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...errors import InputError
from .content import (
    Json,
    list_at,
    object_at,
    simplify,
    sort_out,
    to_blocks,
    to_part,
    to_parts,
)
from .tools import to_tool_call, to_tool_use

__all__ = [
    "THINKING_TYPES",
    "assistant_blocks",
    "assistant_message",
    "to_openai_messages",
    "to_turns",
]

THINKING_TYPES: Final = ("thinking", "redacted_thinking")
_ASSISTANT_FIELDS: Final = (
    "role",
    "content",
    "tool_calls",
    "thinking_blocks",
    "anthropic_content",
    "refusal",
    "name",
    "annotations",
    "parsed",  # the content once more, as OpenAI's client read it
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "function_call",
    "audio",
    "provider_annotations",
    "provider_content",
)
# Of these Anthropic has none, or takes only what it has signed itself.
_UNSAYABLE: Final = (
    "annotations",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "provider_annotations",  # as they were before `openai_fields` mended them
    "provider_content",
)


def to_turns(
    messages: Sequence[Mapping[str, Any]], dropped: list[str]
) -> tuple[str | list[Json], list[Json]]:
    """Anthropic's (system, messages) of an OpenAI conversation.

    System and developer messages go to the front wherever they stood, as they do in Anthropic's
    own OpenAI endpoint; neighbours of one role become one turn; messages without content go.
    Raises InputError naming the field that Anthropic cannot take.
    """
    system: list[Json] = []
    turns: list[Json] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = message.get("role")
        if message.get("name") is not None and role != "tool":
            dropped.append(f"{where}.name")
        if role in ("system", "developer"):
            system.extend(to_blocks(message.get("content"), f"{where}.content", dropped))
        elif role == "assistant":
            blocks = assistant_blocks(message, where, dropped)
            _append(turns, "assistant", blocks, sort_out(message, *_ASSISTANT_FIELDS))
        elif role == "tool":
            _append(turns, "user", [_tool_result(message, where, dropped)], {})
        elif role == "user":
            blocks = to_blocks(message.get("content"), f"{where}.content", dropped)
            _append(turns, "user", blocks, sort_out(message, "role", "content", "name"))
        else:
            raise InputError(
                f"'{where}.role' must be system, developer, user, assistant or tool for Anthropic",
                param=f"{where}.role",
            )
    if not turns:
        raise InputError("'messages' must hold a message with content", param="messages")
    return simplify(system), turns


def to_openai_messages(system: Any, messages: Sequence[Mapping[str, Any]]) -> list[Json]:
    """An OpenAI conversation of Anthropic's system prompt and turns.

    Raises InputError naming the block that OpenAI has no part for.
    """
    found: list[Json] = []
    if system:
        found.append({"role": "system", "content": simplify(to_parts(system, "system"))})
    for index, message in enumerate(messages):
        where = f"messages[{index}].content"
        role, content = message.get("role"), message.get("content")
        rest = sort_out(message, "role", "content")
        if isinstance(content, str) or content is None:
            found.append({"role": role, "content": content or "", **rest})
        elif role == "assistant":
            blocks = [object_at(block, where) for block in list_at(content, where)]
            found.append({**assistant_message(blocks), **rest})
        else:
            found.extend(_user_messages(str(role), list_at(content, where), where, rest))
    return found


def assistant_message(blocks: Sequence[Mapping[str, Any]], *, joined: bool = False) -> Json:
    """OpenAI's assistant message of Anthropic's blocks; `joined`: its texts as one string."""
    texts = [dict(block) for block in blocks if block.get("type") == "text"]
    calls = [to_tool_call(block) for block in blocks if block.get("type") == "tool_use"]
    thinking = [dict(block) for block in blocks if block.get("type") in THINKING_TYPES]
    content = _text(texts) if joined else simplify(texts)
    message: Json = {"role": "assistant", "content": content or None}
    if calls:
        message["tool_calls"] = calls
    if thinking:
        message["thinking_blocks"] = thinking
    if assistant_blocks(message, "message", [], truncated=True) != list(blocks):
        message["anthropic_content"] = [dict(block) for block in blocks]
    return message


def assistant_blocks(
    message: Mapping[str, Any], where: str, dropped: list[str], *, truncated: bool = False
) -> list[Json]:
    """Anthropic's blocks of an OpenAI assistant message; raises InputError naming the field.

    `truncated`: it broke off, so the arguments of its calls need not be whole.
    """
    for name in ("function_call", "audio"):
        if message.get(name) is not None:
            raise InputError(f"'{where}.{name}' is unknown to Anthropic", param=f"{where}.{name}")
    calls = list_at(message.get("tool_calls") or [], f"{where}.tool_calls")
    native = message.get("anthropic_content")
    if native is not None and _tells_the_same(message, calls, list_at(native, where)):
        return [dict(block) for block in native]
    thinking = message.get("thinking_blocks") or []
    dropped.extend(
        f"{where}.{name}"
        for name in _UNSAYABLE
        if message.get(name) and not (thinking and name == "reasoning_content")
    )
    return [
        *(
            dict(object_at(block, f"{where}.thinking_blocks[{number}]"))
            for number, block in enumerate(list_at(thinking, f"{where}.thinking_blocks"))
        ),
        *to_blocks(message.get("content"), f"{where}.content", dropped),
        *to_blocks(message.get("refusal"), f"{where}.refusal", dropped),
        *(
            to_tool_use(call, f"{where}.tool_calls[{number}]", truncated=truncated)
            for number, call in enumerate(calls)
        ),
    ]


def _tells_the_same(
    message: Mapping[str, Any], calls: Sequence[Any], native: Sequence[Any]
) -> bool:
    """Whether a message still says what its kept blocks say, or has been edited since."""
    blocks = [object_at(block, "anthropic_content") for block in native]
    content = message.get("content")
    if isinstance(content, str) or content is None:
        content = [{"text": content or ""}]
    same_text = _text(content) == _text(blocks)
    ids = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
    return same_text and ids == [object_at(call, "tool_calls").get("id") for call in calls]


def _text(parts: Sequence[Any]) -> str:
    """The texts in parts or blocks, joined."""
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))


def _tool_result(message: Mapping[str, Any], where: str, dropped: list[str]) -> Json:
    content = message.get("content")
    if not isinstance(content, str):
        content = to_blocks(content, f"{where}.content", dropped)
    return {
        "type": "tool_result",
        "tool_use_id": message.get("tool_call_id"),
        "content": content,
        **sort_out(message, "role", "tool_call_id", "content", "name"),
    }


def _user_messages(
    role: str, blocks: Sequence[Any], where: str, rest: Mapping[str, Any]
) -> list[Json]:
    """Tool results first, each a message of its own, then what else the turn holds."""
    results: list[Json] = []
    others: list[Any] = []
    for index, item in enumerate(blocks):
        block = object_at(item, f"{where}[{index}]")
        if block.get("type") != "tool_result":
            others.append(to_part(block, f"{where}[{index}]"))
            continue
        parts = to_parts(block.get("content"), f"{where}[{index}].content")
        results.append(
            {
                "role": "tool",
                "tool_call_id": block.get("tool_use_id"),
                "content": simplify(parts),
                **sort_out(block, "type", "tool_use_id", "content"),
            }
        )
    if others:
        results.append({"role": role, "content": simplify(others), **rest})
    return results


def _append(turns: list[Json], role: str, blocks: list[Json], rest: Json) -> None:
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        before = turns[-1]["content"]
        if isinstance(before, str):
            before = [{"type": "text", "text": before}]
        turns[-1].update(rest, content=[*before, *blocks])
        return
    turns.append({"role": role, "content": simplify(blocks), **rest})
