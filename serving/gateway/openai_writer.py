"""Answers as OpenAI's clients read them: a chat.completion, or the chunks of one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from router.chat import Completion, Delta

from ..errors import ApiError
from .error_bodies import describe_error
from .openai_deltas import CallDeltas, message_deltas
from .pieces import comment, data_line

__all__ = ["OpenAIWriter", "openai_body"]

Json = dict[str, Any]

_DONE: Final = b"data: [DONE]\n\n"
_OWN: Final = ("object", "choices", "usage")  # a chunk has its own
_PLAIN: Final = frozenset({"index", "delta", "logprobs", "finish_reason"})
_PLAIN_CHUNK: Final = frozenset(
    {
        *("id", "object", "created", "model", "choices", "usage"),
        *("metadata", "obfuscation", "service_tier", "system_fingerprint"),
    }
)
_MOST_CHOICES: Final = 128  # OpenAI's bound for `n`


def openai_body(completion: Completion) -> Json:
    """The chat.completion of an answer; what tells it from others is never empty."""
    reply = completion.reply
    return {**reply, **_head(reply, completion.model or "")}


class OpenAIWriter:
    """The chunks of one answer. `params` are the request's: usage is told to who asked for it.

    A choice's finish reason says that it is complete, so it waits for `end`.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        options = params.get("stream_options")
        self._wants_usage = isinstance(options, Mapping) and bool(options.get("include_usage"))
        self._head: Json = {}
        self._shared: Json = {}  # what all chunks of a whole answer say beside the head
        self._begun: dict[int, CallDeltas] = {}
        self._ended: set[int] = set()
        self._held: list[Json] = []

    def live(self, delta: Delta) -> bytes:
        """The chunk of `delta`, b"" where there is nothing for the client in it."""
        chunk = delta.chunk
        if not self._head:
            self._head = _head(chunk)
        choices = chunk.get("choices")
        if not choices:  # usage, which waits, or something of the provider's own
            tells = not chunk.get("usage") and not chunk.keys() <= _PLAIN_CHUNK
            return data_line(self._chunk(chunk, [])) if tells else b""
        told: list[Mapping[str, Any]] = []
        ends: list[Json] = []
        for choice in choices:
            self._take(choice, told, ends)
        if ends:
            self._held.append(self._chunk(chunk, ends))
        return data_line(self._chunk(chunk, told)) if told else b""

    def whole(self, completion: Completion) -> bytes:
        """All chunks but the last ones of an answer that was held back."""
        reply = openai_body(completion)
        self._head = _head(reply)
        self._shared = {name: value for name, value in reply.items() if name not in _OWN}
        lines: list[bytes] = []
        for choice in reply["choices"]:
            deltas = message_deltas(choice["message"], choice.get("logprobs"))
            for delta, logprobs in deltas:
                told = _choice(choice["index"], delta, logprobs)
                lines.append(data_line(self._chunk(self._shared, [told])))
        return b"".join(lines)

    def end(self, completion: Completion, trailer: Mapping[str, str]) -> bytes:
        """Finish reasons, usage if it was asked for, and [DONE]; `trailer` as a comment before."""
        reply = openai_body(completion)
        self._head = self._head or _head(reply)
        lines = [comment("sluice", trailer), *map(data_line, self._held)]
        for choice in reply["choices"]:
            if choice["index"] not in self._ended:
                end = _end(choice, choice["finish_reason"])
                lines.append(data_line(self._chunk(self._shared, [end])))
        usage = reply.get("usage")
        if self._wants_usage and usage:
            lines.append(data_line({**self._chunk(self._shared, []), "usage": usage}))
        return b"".join([*lines, _DONE])

    def failure(self, error: ApiError) -> bytes:
        """An error after the stream began; nothing may follow."""
        return data_line(describe_error(error, "openai"))

    def _take(
        self, choice: Mapping[str, Any], told: list[Mapping[str, Any]], ends: list[Json]
    ) -> None:
        """Part a choice of a chunk into what can be told now and what ends it."""
        index, delta = choice["index"], choice.get("delta") or {}
        calls = self._begun.get(index)
        if calls is None:
            calls = self._begin(index, told)
            delta = {"role": "assistant", **delta}
        elif "role" in delta:  # clients would join it to the first
            delta = {name: value for name, value in delta.items() if name != "role"}
        if delta.get("tool_calls"):
            delta = {**delta, "tool_calls": calls.mend(delta["tool_calls"])}
        logprobs, reason = choice.get("logprobs"), choice.get("finish_reason")
        if reason:
            if index not in self._ended:
                self._ended.add(index)
                ends.append(_end(choice, reason))
            if delta or logprobs:
                told.append(_choice(index, delta, logprobs))
        elif delta or logprobs or not choice.keys() <= _PLAIN:
            told.append({**choice, "delta": delta})

    def _begin(self, index: int, told: list[Mapping[str, Any]]) -> CallDeltas:
        """Clients append the choices that they see: those before come first."""
        for earlier in range(min(index, _MOST_CHOICES)):
            if earlier not in self._begun:
                self._begun[earlier] = CallDeltas()
                told.append(_choice(earlier, {"role": "assistant", "content": ""}, None))
        self._begun[index] = calls = CallDeltas()
        return calls

    def _chunk(self, like: Mapping[str, Any], choices: Sequence[Mapping[str, Any]]) -> Json:
        chunk = {**like, **self._head, "object": "chat.completion.chunk", "choices": choices}
        if self._wants_usage:
            chunk["usage"] = None
        else:
            chunk.pop("usage", None)
        return chunk


def _head(body: Mapping[str, Any], model: str = "") -> Json:
    """What all chunks of an answer have in common; made up where the provider says nothing that
    could be it."""
    found, name, created = body.get("id"), body.get("model"), body.get("created")
    return {
        "id": found if found and isinstance(found, str) else f"chatcmpl-{secrets.token_hex(12)}",
        "created": created if created and isinstance(created, int) else int(time.time()),
        "model": name if name and isinstance(name, str) else model,
    }


def _choice(index: int, delta: Json, logprobs: Any) -> Json:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}


def _end(choice: Mapping[str, Any], reason: str) -> Json:
    """What a choice says at its end, and no part of its message."""
    rest = {name: value for name, value in choice.items() if name not in ("delta", "message")}
    return {**rest, "delta": {}, "logprobs": None, "finish_reason": reason}
