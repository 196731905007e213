"""OpenAI's stream retold as Anthropic's events, one content block after the other.

OpenAI may send pieces of several tool calls in turn; Anthropic's clients take one block at a
time. So one block is open, and what belongs to later ones waits until it is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..wire import WireError
from .content import Json
from .reply import anthropic_usage, message_id, to_stop_reason
from .tools import read_arguments

__all__ = ["AnthropicEvents"]


@dataclass
class _Block:
    """A content block under way; `text` is its JSON so far, or what waits to be told of a text."""

    kind: str  # text, thinking, tool_use
    text: str = ""
    index: Any = None  # OpenAI's, of a call
    id: str | None = None
    name: str | None = None
    closed: bool = False

    @property
    def startable(self) -> bool:
        return self.kind != "tool_use" or self.name is not None

    @property
    def complete(self) -> bool:
        """Whether nothing can follow: of a call only a whole JSON object is."""
        return self.kind != "tool_use" or (
            bool(self.text) and read_arguments(self.text) is not None
        )

    def start(self) -> Json:
        if self.kind == "tool_use":
            return {"type": "tool_use", "id": self.id, "name": self.name or "", "input": {}}
        if self.kind == "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        return {"type": "text", "text": ""}

    def delta(self, text: str) -> Json:
        if self.kind == "tool_use":
            return {"type": "input_json_delta", "partial_json": text}
        return {"type": f"{self.kind}_delta", self.kind: text}


class AnthropicEvents:
    """Reads the chunks of one stream; only the first choice is told.

    Reasoning becomes thinking with an empty signature. Where the provider speaks Anthropic itself,
    its own events (`Delta.native`) say more than these.
    """

    def __init__(self) -> None:
        self._id: str | None = None
        self._count = 0
        self._current: _Block | None = None
        self._waiting: list[_Block] = []
        self._calls: list[_Block] = []
        self._choice: Mapping[str, Any] = {}
        self._usage: Mapping[str, Any] | None = None
        self._refused = False

    def feed(self, chunk: Mapping[str, Any]) -> list[Json]:
        """The events that one chunk comes to; raises WireError on arguments after a call's end."""
        events: list[Json] = []
        if self._id is None:
            events.append(self._start(chunk))
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta") or {}
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            events += self._add_text("thinking", reasoning)
            events += self._add_text("text", delta.get("content"))
            events += self._add_text("text", delta.get("refusal"))
            self._refused |= bool(delta.get("refusal"))
            for call in delta.get("tool_calls") or ():
                events += self._add_call(call)
            if choice.get("finish_reason"):
                self._choice = choice
        return events

    def finish(self) -> list[Json]:
        """The events that end the message; nothing when it never began."""
        if self._id is None:
            return []
        events: list[Json] = []
        while self._waiting:
            events += self._open_next()
        events += self._close()
        stop_reason, stop_sequence = to_stop_reason(
            self._choice, called=bool(self._calls), refused=self._refused
        )
        events.append(
            {
                "type": "message_delta",
                "delta": {"stop_reason": stop_reason, "stop_sequence": stop_sequence},
                "usage": anthropic_usage(self._usage),
            }
        )
        events.append({"type": "message_stop"})
        return events

    def _start(self, chunk: Mapping[str, Any]) -> Json:
        self._id = message_id(chunk.get("id"))
        message: Json = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": chunk.get("model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": anthropic_usage(chunk.get("usage")),
        }
        return {"type": "message_start", "message": message}

    def _add_text(self, kind: str, text: Any) -> list[Json]:
        if not isinstance(text, str) or not text:
            return []
        last = self._waiting[-1] if self._waiting else self._current
        if last is None or last.kind != kind:
            self._waiting.append(_Block(kind, text))
            return self._advance()
        return self._add(last, text)

    def _add_call(self, call: Mapping[str, Any]) -> list[Json]:
        function = call.get("function") or {}
        block = self._find(call)
        if block is None:
            number = len(self._calls)
            block = _Block("tool_use", index=call.get("index"), id=call.get("id") or None)
            block.id = block.id or f"toolu_{self._id}_{number}"
            self._calls.append(block)
            self._waiting.append(block)
        block.name = block.name or function.get("name")
        return self._add(block, function.get("arguments") or "")

    def _find(self, call: Mapping[str, Any]) -> _Block | None:
        """The call that a delta goes on with: a known id, or its index without another id."""
        given = call.get("id") or None
        same_index = [block for block in self._calls if block.index == call.get("index")]
        for block in same_index:
            if given == block.id:
                return block
        return same_index[-1] if same_index and given is None else None

    def _add(self, block: _Block, text: str) -> list[Json]:
        if block.closed and text.strip():
            raise WireError("a tool call's arguments went on after they were complete")
        if block is not self._current or block.kind == "tool_use":
            block.text += text  # what has been told of a text is not needed any more
        if block is not self._current or not text:
            return self._advance()
        return [self._delta(block, text), *self._advance()]

    def _advance(self) -> list[Json]:
        """Open what waits, as far as what is before it is complete."""
        events: list[Json] = []
        while (
            self._waiting
            and self._waiting[0].startable
            and (self._current is None or self._current.complete)
        ):
            events += self._open_next()
        return events

    def _open_next(self) -> list[Json]:
        events = self._close()
        block = self._current = self._waiting.pop(0)
        events.append(
            {"type": "content_block_start", "index": self._count, "content_block": block.start()}
        )
        if block.text:
            events.append(self._delta(block, block.text))
        return events

    def _close(self) -> list[Json]:
        if self._current is None:
            return []
        self._current.closed, self._current = True, None
        self._count += 1
        return [{"type": "content_block_stop", "index": self._count - 1}]

    def _delta(self, block: _Block, text: str) -> Json:
        return {"type": "content_block_delta", "index": self._count, "delta": block.delta(text)}
