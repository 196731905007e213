"""The seam between a call and a provider's wire format: what is sent, and how replies are read.

Pure: bytes and JSON values in and out, no connection. The canonical reply is OpenAI's chat
completion; a wire of another dialect keeps its own body beside it (`native`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

from ..chat import ChatRequest, Delta

__all__ = ["NO_DEFAULTS", "Reply", "ReplyReader", "Wire", "WireError"]


NO_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType({})


class WireError(Exception):
    """A reply is not what the wire format says; the message names the field, never its text.

    Caught where the call is made, and told as an UpstreamError with `cause`.
    """

    def __init__(self, message: str, *, cause: str = "protocol") -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole reply: OpenAI's chat.completion, and the provider's own body in another dialect."""

    reply: Mapping[str, Any]
    native: Mapping[str, Any] | None = None


class ReplyReader(Protocol):
    """Reads one stream; made anew for each."""

    def feed(self, event: str, data: str) -> Sequence[Delta]:
        """The deltas in one server-sent event; raises WireError on one that makes no sense or
        that carries an error."""
        ...

    @property
    def done(self) -> bool:
        """Whether the stream has said that it is complete."""
        ...

    def reply(self) -> Reply:
        """The whole reply, put together; raises WireError when the stream ended before its end."""
        ...


class Wire(Protocol):
    """One wire format."""

    @property
    def path(self) -> str:
        """Where to post, below the API base: "/chat/completions"."""
        ...

    def headers(self, api_key: str | None) -> dict[str, str]:
        """The headers that authenticate and declare, without content-type."""
        ...

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
        """The JSON body of a call. `max_tokens` is the model's own limit, for a format that
        demands one; `ask_logprobs` asks for log-probabilities where the format has them.
        `defaults` are parameters in this format's own words, for those that the request leaves
        open. Raises InputError naming what the format cannot say."""
        ...

    def dropped(self, request: ChatRequest) -> tuple[str, ...]:
        """The names of the caller's fields that `body` leaves out, having no counterpart."""
        ...

    def read_reply(self, body: Any) -> Reply:
        """A whole reply from its parsed body; raises WireError."""
        ...

    def reader(self) -> ReplyReader:
        """A reader for one stream."""
        ...

    def error_message(self, body: Any) -> tuple[str, str]:
        """(message, code) of an error body, empty where there is none to be found."""
        ...
