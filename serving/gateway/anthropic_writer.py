"""Answers as Anthropic's clients read them: a message, or the events of one."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

from router.chat import Completion, Delta
from router.providers.translate.events import AnthropicEvents
from router.providers.translate.reply import anthropic_reply
from router.providers.wire import WireError

from ..errors import ApiError
from .anthropic_events import message_events
from .anthropic_fields import mend_event, mend_message
from .error_bodies import describe_error, untold
from .pieces import comment, to_json

__all__ = ["AnthropicWriter", "anthropic_body"]

Json = dict[str, Any]

_ENDS: Final = ("message_delta", "message_stop")  # what says that a message is complete


def anthropic_body(completion: Completion) -> Mapping[str, Any]:
    """The message of an answer: the provider's own, mended, where it speaks Anthropic's format.

    Raises ApiError (502) for a tool call whose arguments are no JSON object.
    """
    if completion.native is not None:
        return mend_message(completion.native, completion.model or "")
    try:
        return anthropic_reply(_identified(completion.reply))
    except WireError as exc:
        raise untold(exc) from exc


class AnthropicWriter:
    """The events of one answer: the provider's own where there are some, else a translation."""

    def __init__(self, request_id: str | None = None) -> None:
        self._request_id = request_id
        self._translation: AnthropicEvents | None = None
        self._held: list[Mapping[str, Any]] = []
        self._native = False

    def live(self, delta: Delta) -> bytes:
        """The events of `delta`; raises ApiError (502) where it has none that make sense."""
        native = delta.native
        if self._native or (native is not None and self._translation is None):
            self._native = True
            return b"" if native is None else self._pass_on(native)
        chunk = delta.chunk
        if self._translation is None:
            self._translation = AnthropicEvents()
            chunk = _identified(chunk)
        try:
            return _lines(self._translation.feed(chunk))
        except WireError as exc:
            raise untold(exc) from exc

    def whole(self, completion: Completion) -> bytes:
        """All events but the last ones of an answer that was held back; raises ApiError (502) as
        `anthropic_body` does."""
        events, self._held[:] = message_events(anthropic_body(completion))
        return _lines(events)

    def end(self, completion: Completion, trailer: Mapping[str, str]) -> bytes:
        """The stop reason, the usage and the end; `trailer` as a comment before."""
        ends = self._held if self._translation is None else self._translation.finish()
        return comment("sluice", trailer) + _lines(ends)

    def failure(self, error: ApiError) -> bytes:
        """An error after the stream began; nothing may follow."""
        return _line(describe_error(error, "anthropic", request_id=self._request_id))

    def _pass_on(self, event: Mapping[str, Any]) -> bytes:
        event = mend_event(event)
        if event["type"] in _ENDS:
            self._held.append(event)
            return b""
        return _line(event)


def _identified(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """With an id, where the provider gives none."""
    return body if body.get("id") else {**body, "id": secrets.token_hex(12)}


def _lines(events: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(map(_line, events))


def _line(event: Mapping[str, Any]) -> bytes:
    kind = event["type"]
    if not isinstance(kind, str) or not kind.isidentifier():  # it would not stay in its line
        return b""
    return b"event: " + kind.encode() + b"\ndata: " + to_json(event) + b"\n\n"
