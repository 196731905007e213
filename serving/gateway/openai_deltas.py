"""What official clients add up to a message: the deltas of a whole one, and mended deltas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .pieces import cut, cut_tokens

__all__ = ["CallDeltas", "message_deltas"]

Json = dict[str, Any]

_STREAMED: Final = ("reasoning_content", "reasoning", "refusal")
_APART: Final = frozenset({"role", "content", "tool_calls", *_STREAMED})


def message_deltas(
    message: Mapping[str, Any], logprobs: Mapping[str, Any] | None
) -> Iterator[tuple[Json, Json | None]]:
    """(delta, log-probabilities) pairs that add up to a whole message: its role, thoughts, text,
    refusal, calls, and what else it holds."""
    content = message.get("content")
    tokens = (logprobs or {}).get("content")
    waiting = tokens if tokens and not content else None
    yield {"role": "assistant", "content": "" if content else None}, _logprobs(waiting, "content")
    for name in _STREAMED[:-1]:
        for piece in _texts(message.get(name)):
            yield {name: piece}, None
    yield from _with_logprobs("content", content, tokens)
    yield from _with_logprobs("refusal", message.get("refusal"), (logprobs or {}).get("refusal"))
    for index, call in enumerate(message.get("tool_calls") or ()):
        for call_delta in _call_deltas(index, call):
            yield {"tool_calls": [call_delta]}, None
    rest = {
        name: value
        for name, value in message.items()
        if value is not None
        and (name not in _APART or (name in _STREAMED and not isinstance(value, str)))
    }
    if rest:
        yield rest, None


class CallDeltas:
    """Mends the tool-call deltas of one choice, so that adding them up gives each call once.

    Clients join what deltas say: an id, a type or a name that is said again would be doubled, and
    one that is never said would be missed.
    """

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def mend(self, deltas: Sequence[Mapping[str, Any]]) -> list[Json]:
        """The deltas as OpenAI would have sent them; their indices are right already."""
        return [self._mend(delta) for delta in deltas]

    def _mend(self, delta: Mapping[str, Any]) -> Json:
        index = delta["index"]
        mended = dict(delta)
        begun = index in self._names
        if begun:
            mended.pop("id", None)
            kind = mended.pop("type", None)
        else:
            mended["id"] = delta.get("id") or f"call_{index}"
            kind = mended["type"] = delta.get("type") or "function"
        if kind == "custom" or "custom" in delta:
            self._names.setdefault(index, "")
            return mended
        function = dict(delta.get("function") or {})
        known, name = self._names.get(index, ""), function.pop("name", None) or ""
        if name and name != known:
            function = {"name": name, **function}
            known += name
        self._names[index] = known
        function["arguments"] = function.get("arguments") or ""
        mended["function"] = function
        return mended


def _with_logprobs(
    name: str, text: Any, tokens: Sequence[Mapping[str, Any]] | None
) -> Iterator[tuple[Json, Json | None]]:
    """Pieces of `text`, each with the log-probabilities of its tokens. Where the tokens do not add
    up to the text (half characters do not) all go with the first piece."""
    pieces = _texts(text)
    if tokens and pieces and "".join(token["token"] for token in tokens) == text:
        for group in cut_tokens(tokens):
            piece = "".join(token["token"] for token in group)
            yield {name: piece}, _logprobs(group, name)
        return
    for number, piece in enumerate(pieces):
        yield {name: piece}, _logprobs(tokens, name) if number == 0 else None


def _logprobs(tokens: Sequence[Mapping[str, Any]] | None, name: str) -> Json | None:
    return {"content": None, "refusal": None, name: list(tokens)} if tokens else None


def _call_deltas(index: int, call: Mapping[str, Any]) -> Iterator[Json]:
    """As OpenAI streams a call: id, type and name first, then the arguments in pieces."""
    function = call.get("function")
    if call.get("type") == "custom" or not isinstance(function, Mapping):
        yield {"index": index, **call}
        return
    yield {"index": index, **call, "function": {**function, "arguments": ""}}
    for piece in _texts(function.get("arguments")):
        yield {"index": index, "function": {"arguments": piece}}


def _texts(text: Any) -> list[str]:
    return cut(text) if isinstance(text, str) else []
