"""Anthropic's Messages format, spoken natively: what is sent, and how replies are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from ..chat import ChatRequest, Delta
from .translate.content import Json
from .translate.messages import THINKING_TYPES
from .translate.reply import check_block, openai_reply
from .translate.request import to_anthropic
from .translate.stream import OpenAIChunks, error_cause
from .wire import NO_DEFAULTS, Reply, WireError

__all__ = ["ANTHROPIC_VERSION", "AnthropicReader", "AnthropicWire"]

ANTHROPIC_VERSION: Final = "2023-06-01"


def _now() -> int:
    return int(time.time())


@dataclass(frozen=True, kw_only=True)
class AnthropicWire:
    """The Messages API. `clock` gives seconds since 1970, for the replies' `created`."""

    path: str = "/v1/messages"  # Anthropic's clients write the API base without the version
    clock: Callable[[], int] = field(default=_now, repr=False)

    def headers(self, api_key: str | None) -> dict[str, str]:
        """The headers that authenticate and declare; without a key only the version."""
        headers = {"anthropic-version": ANTHROPIC_VERSION}
        return headers if api_key is None else {"x-api-key": api_key, **headers}

    def body(
        self,
        request: ChatRequest,
        *,
        model: str,
        stream: bool,
        max_tokens: int | None,
        ask_logprobs: bool,
        defaults: Mapping[str, Any] = NO_DEFAULTS,
    ) -> dict[str, Any]:
        """The JSON body; `max_tokens` counts when the caller set no limit, and there are no
        log-probabilities to ask for.

        Raises ConfigError when there is no limit at all, and InputError naming a field that
        Anthropic cannot take.
        """
        limit = defaults.get("max_tokens", max_tokens)
        body = {"model": model, **defaults, **to_anthropic(request, max_tokens=limit).body}
        return {**body, "stream": True} if stream else body

    def dropped(self, request: ChatRequest) -> tuple[str, ...]:
        """The names of the caller's fields that `body` leaves out, having no counterpart."""
        return to_anthropic(request, max_tokens=1).dropped

    def read_reply(self, body: Any) -> Reply:
        """A whole reply; raises WireError when it is no message, or one without an answer."""
        if not isinstance(body, Mapping):
            raise WireError(f"expected a message object, found {type(body).__name__}")
        if body.get("type") == "error":
            _, kind = self.error_message(body)
            raise WireError("an error with the status of a success", cause=error_cause(kind))
        if body.get("type") != "message":
            raise WireError("'type' is not message")
        return _checked(body, self.clock())

    def reader(self) -> AnthropicReader:
        """A reader for one stream."""
        return AnthropicReader(created=self.clock())

    def error_message(self, body: Any) -> tuple[str, str]:
        """(message, type) of an error body, empty where there is none to be found."""
        error = body.get("error") if isinstance(body, Mapping) else None
        if not isinstance(error, Mapping):
            return "", ""
        message, kind = error.get("message"), error.get("type")
        return (
            message if isinstance(message, str) else "",
            kind if isinstance(kind, str) else "",
        )


class AnthropicReader:
    """Reads one stream of message events; a delta's `native` is the event as it came."""

    def __init__(self, *, created: int) -> None:
        self._chunks = OpenAIChunks(created=created)
        self._created = created

    def feed(self, event: str, data: str) -> Sequence[Delta]:
        """The deltas in one event, at least one for each but pings and unknown ones: where OpenAI
        has nothing like it the chunk's own delta is empty. Raises WireError."""
        try:
            parsed = orjson.loads(data)
        except orjson.JSONDecodeError:
            # The foreign error holds the data.
            raise WireError("an event that is not JSON") from None
        if not isinstance(parsed, Mapping):
            raise WireError(f"expected an event object, found {type(parsed).__name__}")
        if "type" not in parsed:
            parsed = {"type": event, **parsed}
        if parsed["type"] == "ping":
            return ()
        chunks = self._chunks.feed(parsed) or [self._chunks.chunk({})]
        return [
            _delta(chunk, parsed if number == 0 else None) for number, chunk in enumerate(chunks)
        ]

    @property
    def done(self) -> bool:
        """Whether message_stop has come."""
        return self._chunks.done

    def reply(self) -> Reply:
        """The whole reply; raises WireError when the stream ended before message_stop, or without
        an answer."""
        return _checked(self._chunks.message(), self._created)


def _delta(chunk: Json, native: Mapping[str, Any] | None) -> Delta:
    delta = chunk["choices"][0]["delta"] if chunk["choices"] else {}
    return Delta(
        content=delta.get("content") or "",
        tool_calls=tuple(delta.get("tool_calls") or ()),
        chunk=chunk,
        native=native,
    )


def _checked(native: Mapping[str, Any], created: int) -> Reply:
    content = native.get("content")
    if not isinstance(content, list):
        raise WireError(f"'content' must be a list, found {type(content).__name__}")
    for index, block in enumerate(content):
        check_block(block, f"content[{index}]")
    if native.get("stop_reason") == "refusal":
        raise WireError("'stop_reason' is refusal", cause="content_filter")
    if not any(_answers(block) for block in content):
        raise WireError("'content' holds no answer", cause="empty")
    return Reply(reply=openai_reply(native, created=created), native=native)


def _answers(block: Mapping[str, Any]) -> bool:
    if block["type"] == "text":
        return bool(block["text"].strip())
    return block["type"] not in THINKING_TYPES
