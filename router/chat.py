"""Calls to models and what comes of them, as values: request, deltas, completion, attempts.

A request keeps what the caller wrote, untouched, in the dialect it was written in; the canonical
reply is OpenAI's chat completion as plain JSON values. Translation between the dialects is the
providers' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from .errors import InputError, UpstreamError
from .types import Draft, Query

__all__ = ["Attempt", "ChatRequest", "Completion", "Delta", "Dialect", "Usage"]

Dialect = Literal["openai", "anthropic"]

# Ours to set: a request says them by other means.
_RESERVED = ("model", "messages", "stream")


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """One call as the caller made it.

    `messages` and `params` are JSON values in `dialect`, passed on untouched; `params` is whatever
    else the caller set (tools, temperature, stop, fields nobody has heard of), never `model`,
    `messages` or `stream`. In the Anthropic dialect the system prompt is `params["system"]`.
    """

    messages: tuple[Mapping[str, Any], ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    dialect: Dialect = "openai"

    @classmethod
    def of(
        cls,
        prompt: str | Sequence[Mapping[str, Any]],
        params: Mapping[str, Any] | None = None,
        *,
        dialect: Dialect = "openai",
    ) -> ChatRequest:
        """A request from a prompt or messages; None among `params` means "not set".

        Raises InputError naming the field.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        for name in _RESERVED:
            if name in given:
                raise InputError(f"'{name}' cannot be passed through; it is set here", param=name)
        if isinstance(prompt, str):
            if not prompt.strip():
                raise InputError("the prompt is empty", param="prompt")
            return cls(
                messages=({"role": "user", "content": prompt},), params=given, dialect=dialect
            )
        if not isinstance(prompt, Sequence) or isinstance(prompt, bytes):
            found = type(prompt).__name__
            raise InputError(f"a prompt or messages are needed, found {found}", param="messages")
        messages: tuple[Any, ...] = tuple(prompt)
        request = cls(messages=messages, params=given, dialect=dialect)
        request.query()  # names the field that is wrong
        return request

    def query(self) -> Query:
        """What is read of the request to predict and to judge; always the same object."""
        return self._query

    @cached_property
    def _query(self) -> Query:
        messages: Sequence[Mapping[str, Any]] = self.messages
        system = self.params.get("system")
        if self.dialect == "anthropic" and system:
            messages = ({"role": "system", "content": system}, *messages)
        tools = self.params.get("tools") or ()
        response_format = self.params.get("response_format")
        if not isinstance(tools, Sequence) or isinstance(tools, str):
            raise InputError("'tools' must be a list", param="tools")
        if response_format is not None and not isinstance(response_format, Mapping):
            raise InputError("'response_format' must be an object", param="response_format")
        choice = self.params.get("tool_choice")
        if choice is not None and not isinstance(choice, str | Mapping):
            raise InputError("'tool_choice' must be a string or an object", param="tool_choice")
        return Query.from_messages(
            messages, tools=tools, response_format=response_format, tool_choice=choice
        )


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens as the provider counted them. `prompt_tokens` is all input: `cached_tokens` of it
    were read from the provider's prompt cache, `cache_write_tokens` written to it, and of these
    `long_cache_write_tokens` for an hour rather than minutes; `reasoning_tokens` are part of
    `completion_tokens`."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    long_cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One HTTP call to one endpoint, failed (`error`) or not. Times in milliseconds."""

    model: str
    provider: str
    endpoint: str  # scheme://host:port, without path or key
    latency_ms: float
    first_token_ms: float | None = None
    status: int | None = None
    error: UpstreamError | None = None


@dataclass(frozen=True, kw_only=True)
class Delta:
    """A piece of a streamed answer. `chunk` is OpenAI's chat.completion.chunk; `native` is the
    provider's own event where that is another dialect."""

    content: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    chunk: Mapping[str, Any]
    native: Mapping[str, Any] | None = None

    @property
    def says_something(self) -> bool:
        """Whether there is anything in it of an answer: text, a call, a thought; not a role."""
        if self.content or self.tool_calls:
            return True
        return any(
            value
            for choice in self.chunk.get("choices") or ()
            for name, value in (choice.get("delta") or {}).items()
            if name != "role"
        )


@dataclass(frozen=True, kw_only=True)
class Completion(Draft):
    """A model's answer, as a draft to be judged and as a reply to be passed on.

    `reply` is OpenAI's chat.completion as JSON values; `native` the provider's own body where that
    is another dialect. `usage` is None when the provider gave none that makes sense, `cost_usd`
    None when it or the price is unknown. `attempts` ends in the one that succeeded.
    """

    provider: str
    reply: Mapping[str, Any] = field(repr=False)
    native: Mapping[str, Any] | None = field(default=None, repr=False)
    usage: Usage | None = None
    latency_ms: float
    first_token_ms: float | None = None
    attempts: tuple[Attempt, ...] = ()
