"""Answers and errors in the dialect of who asked, whole or as a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from router.chat import Completion, Delta, Dialect

from ..errors import ApiError
from .anthropic_writer import AnthropicWriter, anthropic_body
from .error_bodies import error_body
from .openai_writer import OpenAIWriter, openai_body
from .pieces import to_json

__all__ = ["StreamWriter", "error_body", "reply_body", "stream_writer"]


class StreamWriter(Protocol):
    """Writes the stream of one request. Either pieces come `live`, or the answer comes `whole`;
    both leave out whatever says that it is complete, which only `end` does."""

    def live(self, delta: Delta) -> bytes:
        """A piece passed on as it comes; b"" when nothing is to be sent. Raises ApiError (502)
        for one that the dialect has no form for."""
        ...

    def whole(self, completion: Completion) -> bytes:
        """An answer that was held back, but for its end; raises ApiError (502) as `live` does."""
        ...

    def end(self, completion: Completion, trailer: Mapping[str, str]) -> bytes:
        """What tells the client that the answer is complete. Before it, in a comment
        (": sluice {...}"), what no header could say yet."""
        ...

    def failure(self, error: ApiError) -> bytes:
        """An error after the stream began."""
        ...


def stream_writer(
    dialect: Dialect, params: Mapping[str, Any], *, request_id: str | None = None
) -> StreamWriter:
    """A writer for a request with these parameters; `request_id` is what its errors are to
    name."""
    return OpenAIWriter(params) if dialect == "openai" else AnthropicWriter(request_id)


def reply_body(completion: Completion, dialect: Dialect) -> bytes:
    """A whole answer as JSON; raises ApiError (502) where the dialect cannot say it."""
    return to_json(openai_body(completion) if dialect == "openai" else anthropic_body(completion))
