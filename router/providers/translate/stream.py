"""Anthropic's stream of a message, put together and retold as OpenAI's chunks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ..wire import WireError
from .content import Json, sort_out
from .reply import check_block, openai_reply
from .tools import read_arguments

__all__ = ["OpenAIChunks", "error_cause"]

_CAUSES: Final = {
    "api_error": "server",
    "authentication_error": "auth",
    "billing_error": "auth",
    "invalid_request_error": "bad_request",
    "not_found_error": "not_found",
    "overloaded_error": "server",
    "permission_error": "auth",
    "rate_limit_error": "rate_limit",
    "request_too_large": "bad_request",
    "timeout_error": "timeout",
}
_KINDS: Final = (
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
)
# What a piece of text adds to: the block's field, and OpenAI's.
_TEXTS: Final = {
    "text_delta": ("text", "content"),
    "thinking_delta": ("thinking", "reasoning_content"),
}


def error_cause(kind: Any) -> str:
    """The cause that stands for the type of an Anthropic error."""
    return _CAUSES.get(kind, "unknown") if isinstance(kind, str) else "unknown"


class OpenAIChunks:
    """Reads the events of one message in order; `created` is seconds since 1970.

    Thinking streams as `reasoning_content`. What OpenAI's deltas cannot say (`thinking_blocks`,
    `anthropic_content`) comes whole on the chunk with the finish reason. The usage chunk is last.
    """

    def __init__(self, *, created: int) -> None:
        self._created = created
        self._message: Json | None = None
        self._open: dict[int, list[str]] = {}  # text or JSON so far, by index of an open block
        self._calls: dict[int, int] = {}  # OpenAI's index of a call, by index of its block
        self.done = False

    def feed(self, event: Mapping[str, Any]) -> list[Json]:
        """The chunks that one event comes to, none for events that only Anthropic has.

        Raises WireError for an error event, with its cause, and for one that makes no sense.
        """
        kind = event.get("type")
        if kind == "error":
            raise _error(event)
        if kind == "message_start":
            return self._start(event)
        if kind not in _KINDS:
            return []  # ping, and what Anthropic may add: its clients have to skip unknown events
        if self._message is None or self.done:
            raise WireError(f"'{kind}' outside of a message")
        if kind == "message_delta":
            _update(self._message, event)
            return []
        if kind == "message_stop":
            return self._stop()
        index = event.get("index")
        if kind == "content_block_start":
            return self._start_block(index, event.get("content_block"), self._message["content"])
        if not isinstance(index, int) or index not in self._open:
            raise WireError(f"'{kind}' for a block that is not open")
        block = self._message["content"][index]
        if kind == "content_block_delta":
            return self._extend_block(index, block, event.get("delta"))
        return self._stop_block(index, block)

    def message(self) -> Json:
        """The native message; raises WireError when the stream has not come to its end."""
        if self._message is None or not self.done:
            raise WireError("the stream ended before message_stop", cause="disconnected")
        return self._message

    def reply(self) -> Json:
        """OpenAI's chat.completion of the message; raises WireError as `message` does."""
        return openai_reply(self.message(), created=self._created)

    def chunk(self, delta: Mapping[str, Any], **choice: Any) -> Json:
        """A chunk of this stream with one choice."""
        message = self._message or {}
        return {
            "id": message.get("id") or "",
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": message.get("model") or "",
            "choices": [
                {
                    "index": 0,
                    "delta": dict(delta),
                    "logprobs": None,
                    "finish_reason": None,
                    **choice,
                }
            ],
        }

    def _start(self, event: Mapping[str, Any]) -> list[Json]:
        message = event.get("message")
        if self._message is not None:
            raise WireError("'message_start' twice in one stream")
        if not isinstance(message, Mapping):
            raise WireError("'message_start' without a message")
        self._message = {**message, "content": []}
        return [self.chunk({"role": "assistant", "content": ""})]

    def _start_block(self, index: Any, block: Any, content: list[Json]) -> list[Json]:
        check_block(block, "content_block")
        if index != len(content):
            raise WireError("'content_block_start' out of order")
        content.append(dict(block))
        self._open[index] = []
        if block["type"] == "tool_use":
            self._calls[index] = len(self._calls)
            function = {"name": block.get("name"), "arguments": ""}
            call = {"id": block.get("id"), "type": "function", "function": function}
            return [self._call_chunk(index, call)]
        for name, openai_name in _TEXTS.values():
            if block["type"] == name and block[name]:
                return [self.chunk({openai_name: block[name]})]
        return []

    def _extend_block(self, index: int, block: Json, delta: Any) -> list[Json]:
        kind = delta.get("type") if isinstance(delta, Mapping) else None
        if isinstance(kind, str) and kind in _TEXTS:
            name, openai_name = _TEXTS[kind]
            piece = _text(delta, name)
            self._open[index].append(piece)
            return [self.chunk({openai_name: piece})]
        if kind == "input_json_delta":
            piece = _text(delta, "partial_json")
            self._open[index].append(piece)
            if index in self._calls and piece:
                return [self._call_chunk(index, {"function": {"arguments": piece}})]
        elif kind == "signature_delta":
            block["signature"] = _text(delta, "signature")
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]
        elif kind is None:
            raise WireError("'content_block_delta' without a delta")
        return []

    def _stop_block(self, index: int, block: Json) -> list[Json]:
        text = "".join(self._open.pop(index))
        if block["type"] in ("text", "thinking"):
            block[block["type"]] += text
        elif text:
            parsed = read_arguments(text)
            block["input"] = {} if parsed is None else parsed
            if parsed is None:
                block["partial_json"] = text  # it broke off; `openai_reply` says whether it may
        elif index in self._calls:
            whole = json.dumps(block["input"], ensure_ascii=False)
            return [self._call_chunk(index, {"function": {"arguments": whole}})]
        return []

    def _stop(self) -> list[Json]:
        if self._open:
            raise WireError("'message_stop' with a block that is still open")
        self.done = True
        reply = self.reply()
        choice = reply["choices"][0]
        message = choice.pop("message")
        rest = {n: message[n] for n in ("thinking_blocks", "anthropic_content") if n in message}
        chunks = [self.chunk(rest, **choice)]
        if "usage" in reply:
            chunks.append({**self.chunk({}), "choices": [], "usage": reply["usage"]})
        return chunks

    def _call_chunk(self, index: int, call: Mapping[str, Any]) -> Json:
        return self.chunk({"tool_calls": [{"index": self._calls[index], **call}]})


def _update(message: Json, event: Mapping[str, Any]) -> None:
    """What a message_delta says anew; its counts are totals so far."""
    delta, usage = event.get("delta"), event.get("usage")
    if not isinstance(delta, Mapping):
        raise WireError("'message_delta' without a delta")
    message.update(sort_out(delta))
    if isinstance(usage, Mapping) and isinstance(message.get("usage"), Mapping):
        message["usage"] = {**message["usage"], **sort_out(usage)}


def _text(delta: Mapping[str, Any], name: str) -> str:
    text = delta.get(name)
    if not isinstance(text, str):
        raise WireError(f"'delta.{name}' is not a string")
    return text


def _error(event: Mapping[str, Any]) -> WireError:
    error = event.get("error")
    kind = error.get("type") if isinstance(error, Mapping) else None
    told = kind if kind in _CAUSES else "an error"
    return WireError(f"the provider reported {told} in its stream", cause=error_cause(kind))
