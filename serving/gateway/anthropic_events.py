"""A whole message of Anthropic's as the events that its clients build it from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .pieces import cut, to_json

__all__ = ["message_events"]

Json = dict[str, Any]

_CALLS: Final = ("tool_use", "server_tool_use")  # clients take their input in pieces
# Said at the end of a message, not at its start.
_OF_THE_END: Final = ("stop_details", "container", "context_management")


def message_events(message: Mapping[str, Any]) -> tuple[list[Json], list[Json]]:
    """(the events of a message up to the end of its content, those that end it)."""
    usage = message.get("usage") or {}
    begun = {name: value for name, value in message.items() if name not in _OF_THE_END}
    begun |= {"content": [], "stop_reason": None, "stop_sequence": None}
    begun["usage"] = {**usage, "output_tokens": 0}
    events: list[Json] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(message["content"]):
        events += _block_events(index, block)
    reasons = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    rest = {name: message[name] for name in _OF_THE_END[:2] if message.get(name) is not None}
    end: Json = {"type": "message_delta", "delta": {**reasons, **rest}, "usage": dict(usage)}
    if message.get("context_management") is not None:
        end["context_management"] = message["context_management"]
    return events, [end, {"type": "message_stop"}]


def _block_events(index: int, block: Mapping[str, Any]) -> Iterator[Json]:
    empty, deltas = _parted(block)
    yield {"type": "content_block_start", "index": index, "content_block": empty}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _parted(block: Mapping[str, Any]) -> tuple[Json, list[Json]]:
    """(a block as it starts, the deltas that make it whole); kinds without deltas start whole."""
    kind = block.get("type")
    if kind == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in cut(block["text"])]
        cited = block.get("citations")
        deltas += [{"type": "citations_delta", "citation": one} for one in cited or ()]
        return {**block, "text": "", **({} if cited is None else {"citations": []})}, deltas
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": one} for one in cut(block["thinking"])]
        if block.get("signature"):
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {**block, "thinking": "", "signature": ""}, deltas
    if kind in _CALLS:
        # `partial_json`: an input that broke off at the limit, as far as it came.
        text = block.get("partial_json") or to_json(block.get("input") or {}).decode()
        start = {name: value for name, value in block.items() if name != "partial_json"}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in cut(text)]
        return {**start, "input": {}}, deltas
    return dict(block), []
