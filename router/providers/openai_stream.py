"""Reads a stream of OpenAI's chat.completion.chunk, and puts the whole completion together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ..chat import Delta
from .openai_fields import mend_call_delta, mend_choice, mend_delta, mend_head, mend_usage
from .openai_reply import raise_error, read_completion
from .wire import Reply, WireError

__all__ = ["OpenAIReader", "whole_delta"]

_OF_A_CHUNK = ("choices", "object", "obfuscation")  # not the completion's


class OpenAIReader:
    """One stream. Chunks are passed on as they came, save that they are mended to parse as
    OpenAI's and that tool calls which share an index by mistake get one each."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._done = False

    @property
    def done(self) -> bool:
        """Whether `[DONE]` has come."""
        return self._done

    def feed(self, event: str, data: str) -> Sequence[Delta]:
        """The delta of one event, if it has one; raises WireError."""
        if self._done or not data.strip():
            return ()
        if data.strip() == "[DONE]":
            self._done = True
            return ()
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError as exc:
            raise WireError("an event of the stream is not JSON") from exc
        if not isinstance(chunk, dict):
            raise WireError("an event of the stream is not an object")
        raise_error(chunk)
        if event == "error":
            raise WireError("the stream ended in an error of the provider's", cause="server")
        return (self._read(chunk),)

    def reply(self) -> Reply:
        """The whole completion; raises WireError when the stream ended early or said nothing."""
        unfinished = not self._choices or any(
            choice.finish_reason is None for choice in self._choices.values()
        )
        if unfinished and not self._done:
            raise WireError("the stream ended before the answer did", cause="disconnected")
        choices = [self._choices[index].whole(index) for index in sorted(self._choices)]
        return Reply(reply=read_completion({**self._head, "choices": choices}))

    def _read(self, chunk: dict[str, Any]) -> Delta:
        choices = chunk.setdefault("choices", [])
        if not isinstance(choices, list):
            raise WireError("'choices' of a chunk is not a list")
        mend_head(chunk, "chat.completion.chunk")
        mend_usage(chunk)
        for name, value in chunk.items():
            first_counts = name in ("id", "created", "model") and self._head.get(name)
            if name not in _OF_A_CHUNK and value is not None and not first_counts:
                self._head[name] = value
        content = ""
        calls: tuple[Mapping[str, Any], ...] = ()
        for position, choice in enumerate(choices):
            if not isinstance(choice, dict):
                raise WireError("a choice of a chunk is not an object")
            raise_error(choice)
            mend_choice(choice, position)
            if choice["finish_reason"] == "error":
                raise WireError("the answer ended in an error of the provider's", cause="server")
            index = choice["index"]
            if index not in self._choices:
                self._choices[index] = _Choice()
            self._choices[index].add(choice)
            if index == 0:
                content = choice["delta"].get("content") or ""
                calls = tuple(choice["delta"].get("tool_calls") or ())
        return Delta(content=content, tool_calls=calls, chunk=chunk)


def whole_delta(whole: Reply) -> Delta:
    """A whole completion as the one delta of a stream."""
    choices = []
    for choice in whole.reply["choices"]:
        delta = dict(choice["message"])
        if calls := delta.get("tool_calls"):
            delta["tool_calls"] = [{"index": at, **call} for at, call in enumerate(calls)]
        rest = {name: value for name, value in choice.items() if name != "message"}
        choices.append({**rest, "delta": delta})
    first = choices[0]["delta"]
    return Delta(
        content=first["content"] or "",
        tool_calls=tuple(first.get("tool_calls") or ()),
        chunk={**whole.reply, "object": "chat.completion.chunk", "choices": choices},
    )


class _Choice:
    """What has come of one choice."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._texts: dict[str, list[str]] = {}  # pieces, joined once at the end
        self._others: dict[str, Any] = {}
        self._logprobs: dict[str, Any] = {}
        self._calls = _Calls()

    def add(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta")
        if delta is None:
            delta = choice["delta"] = {}
        if not isinstance(delta, dict):
            raise WireError("'delta' of a chunk is not an object")
        mend_delta(delta)
        self.finish_reason = choice["finish_reason"] or self.finish_reason
        if isinstance(choice.get("logprobs"), Mapping):
            _merge(self._logprobs, choice["logprobs"])
        for name, value in delta.items():
            if name == "content":
                self._texts.setdefault(name, []).append(_text(value))
            elif name == "tool_calls":
                self._calls.add(value)
            elif isinstance(value, str) and name != "role":
                self._texts.setdefault(name, []).append(value)
            elif name != "role":
                _merge(self._others, {name: value})

    def whole(self, index: int) -> dict[str, Any]:
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        message = {"role": "assistant", **self._others, **texts}
        message["content"] = texts.get("content") or None
        if calls := self._calls.whole():
            message["tool_calls"] = calls
        choice = {"index": index, "message": message, "finish_reason": self.finish_reason}
        if self._logprobs:
            choice["logprobs"] = self._logprobs
        return choice


class _Calls:
    """The tool calls of one choice, from deltas that say by index which call they belong to.

    Some servers leave the index out, or give parallel calls the same one. A new name with another
    id, or with no id once the arguments are whole, begins another call.
    """

    def __init__(self) -> None:
        self._calls: list[dict[str, Any]] = []
        self._arguments: list[list[str]] = []
        self._place_of: dict[int, int] = {}  # the server's index -> ours

    def add(self, deltas: Any) -> None:
        """Take in the deltas of one chunk and set the index of each to its call's."""
        if deltas is None:
            return
        if not isinstance(deltas, list):
            raise WireError("'tool_calls' of a chunk is not a list")
        for delta in deltas:
            if not isinstance(delta, dict):
                raise WireError("a tool call of a chunk is not an object")
            mend_call_delta(delta)
            function = delta.get("function") or {}
            place = self._place(delta, function.get("name"))
            delta["index"] = place
            self._extend(place, delta, function)

    def whole(self) -> list[dict[str, Any]]:
        for call, pieces in zip(self._calls, self._arguments, strict=True):
            if call["type"] == "function":
                call["function"]["arguments"] = "".join(pieces)
            else:
                call.pop("function", None)
        return self._calls

    def _place(self, delta: Mapping[str, Any], name: Any) -> int:
        index, call_id = delta.get("index"), delta.get("id")
        if isinstance(index, int):
            place = self._place_of.get(index)
        else:
            place = len(self._calls) - 1 if self._calls else None
        if place is None or (name and self._is_another(place, call_id)):
            self._calls.append({"id": "", "type": "function", "function": {"name": ""}})
            self._arguments.append([])
            place = len(self._calls) - 1
            if isinstance(index, int):
                self._place_of[index] = place
        return place

    def _is_another(self, place: int, call_id: Any) -> bool:
        known = self._calls[place]["id"]
        if call_id and known:
            return bool(call_id != known)
        return not call_id and not known and _is_json("".join(self._arguments[place]))

    def _extend(self, place: int, delta: Mapping[str, Any], function: dict[str, Any]) -> None:
        call = self._calls[place]
        call["id"] = call["id"] or delta.get("id") or ""
        call["type"] = delta.get("type") or call["type"]
        known, name = call["function"]["name"], function.get("name")
        if name and name != known:  # some repeat the name with every piece
            call["function"]["name"] = known + name
        self._arguments[place].append(function.get("arguments") or "")
        for extra, value in delta.items():  # Gemini's thought signatures, for instance
            if extra not in ("index", "id", "type", "function"):
                _merge(call, {extra: value})


def _text(content: Any) -> str:
    if not isinstance(content, str | None):
        raise WireError("'content' of a chunk is not text")
    return content or ""


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _merge(into: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Add a delta's fields to what has come: texts and lists grow, objects merge, the rest is
    replaced; null says nothing."""
    for name, value in piece.items():
        known = into.get(name)
        if value is None:
            into.setdefault(name, None)
        elif isinstance(value, Mapping):
            inner = into[name] = known if isinstance(known, dict) else {}
            _merge(inner, value)
        elif isinstance(value, list):
            if isinstance(known, list):
                known.extend(value)
            else:
                into[name] = list(value)
        elif isinstance(value, str) and isinstance(known, str):
            into[name] = known + value
        else:
            into[name] = value
