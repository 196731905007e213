"""OpenAI's chat completions, as OpenAI and everyone who copies it speak them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..chat import ChatRequest
from .openai_reply import read_completion, read_error
from .openai_stream import OpenAIReader
from .wire import NO_DEFAULTS, Reply, ReplyReader

if TYPE_CHECKING:
    from .translate.openai_body import LimitName

__all__ = ["OpenAIWire"]

_LIMITS: Final = frozenset({"max_completion_tokens", "max_tokens"})


class OpenAIWire:
    """What the caller set goes out as it was set; beside it only what streaming and
    log-probabilities need.

    `stream_usage`: whether to ask streams for their usage. `limit`: what the limit of a request in
    another dialect is called here.
    """

    path = "/chat/completions"

    def __init__(
        self,
        *,
        stream_usage: bool = True,
        limit: LimitName = "max_tokens",
    ) -> None:
        self._stream_usage = stream_usage
        self._limit = limit

    def headers(self, api_key: str | None) -> dict[str, str]:
        """A bearer token, where there is a key."""
        return {"authorization": f"Bearer {api_key}"} if api_key else {}

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
        """The JSON body of a call; `max_tokens` is not sent, as the format does without.

        Raises InputError naming a field of Anthropic's that OpenAI cannot take.
        """
        given, _ = self._translate(request)
        if not _LIMITS.isdisjoint(given):  # two names of one thing, and both at once are refused
            defaults = {name: value for name, value in defaults.items() if name not in _LIMITS}
        body = {"model": model, **defaults, **given}
        if ask_logprobs:
            body.setdefault("logprobs", True)
        if not stream:
            body.pop("stream_options", None)  # refused without a stream; a draft may have none
            return body
        body["stream"] = True
        if self._stream_usage:
            options = body.get("stream_options")
            options = options if isinstance(options, Mapping) else {}
            body["stream_options"] = {**options, "include_usage": True}
        return body

    def dropped(self, request: ChatRequest) -> tuple[str, ...]:
        """The names of what only Anthropic takes, and `body` leaves out."""
        if _is_of_openai(request):
            return ()
        _, dropped = self._translate(request)
        return dropped

    def read_reply(self, body: Any) -> Reply:
        """A whole reply; raises WireError when there is no answer in it."""
        return Reply(reply=read_completion(body))

    def reader(self) -> ReplyReader:
        """A reader for one stream."""
        return OpenAIReader()

    def error_message(self, body: Any) -> tuple[str, str]:
        """(message, code) of `{"error": {...}}`, or of the shapes that are found instead."""
        return read_error(body)

    def _translate(self, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
        """(messages and parameters, the names of what is not among them)."""
        if _is_of_openai(request):
            return {"messages": list(request.messages), **request.params}, ()
        from .translate.openai_body import to_openai_body  # only who has use for it pays for it

        translated = to_openai_body(request, limit=self._limit)
        return translated.body, translated.dropped


def _is_of_openai(request: ChatRequest) -> bool:
    return request.dialect == "openai" and not any(map(_is_of_anthropic, request.messages))


def _is_of_anthropic(message: Mapping[str, Any]) -> bool:
    """Whether it is a translated answer of Anthropic's, sent back with the next turn."""
    return "thinking_blocks" in message or "anthropic_content" in message
