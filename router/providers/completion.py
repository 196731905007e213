"""A provider's reply as the draft that is judged and the completion that is passed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ..chat import Attempt, Completion, Delta
from ..prices import Price
from .endpoint import Endpoint
from .openai_fields import OWN
from .usage import read_usage
from .wire import Reply

__all__ = ["build_completion", "hide_logprobs"]

_LOGPROBS: Final = ("logprobs", f"{OWN}logprobs")


def build_completion(
    whole: Reply,
    endpoint: Endpoint,
    *,
    price: Price | None,
    keep_logprobs: bool,
    latency_ms: float,
    first_token_ms: float | None,
    attempts: Sequence[Attempt],
) -> Completion:
    """The completion of a reply; without `keep_logprobs` they are read, but not passed on."""
    choice = whole.reply["choices"][0]
    message = choice["message"]
    usage = read_usage(whole.reply.get("usage"))
    return Completion(
        text=message["content"] or message.get("refusal") or "",
        model=endpoint.model,
        provider=endpoint.provider,
        finish_reason=choice["finish_reason"],
        logprobs=_token_logprobs(choice.get("logprobs")),
        tool_calls=_tool_calls(message),
        usage=usage,
        input_tokens=usage.prompt_tokens if usage else None,
        output_tokens=usage.completion_tokens if usage else None,
        cost_usd=price.cost_usd(usage) if price and usage else None,
        reply=whole.reply if keep_logprobs else _without_logprobs(whole.reply),
        native=whole.native,
        latency_ms=latency_ms,
        first_token_ms=first_token_ms,
        attempts=tuple(attempts),
    )


def hide_logprobs(delta: Delta) -> Delta:
    """The delta without log-probabilities that its receiver did not ask for."""
    return replace(delta, chunk=_without_logprobs(delta.chunk))


def _without_logprobs(body: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = [
        {name: value for name, value in choice.items() if name not in _LOGPROBS}
        for choice in body["choices"]
    ]
    return {**body, "choices": choices}


def _token_logprobs(found: Any) -> tuple[float, ...] | None:
    """The log-probability of each token written; None when any of them is missing or no number."""
    if found is None:
        return None
    tokens = found.get("content") if isinstance(found, Mapping) else None
    if not isinstance(tokens, list) or not tokens:
        return None
    values = []
    for token in tokens:
        value = token.get("logprob") if isinstance(token, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        values.append(float(value))
    return tuple(values)


def _tool_calls(message: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    calls = message.get("tool_calls")
    if calls:
        return tuple(calls)
    function = message.get("function_call")  # what tool calls were before they had ids
    return ({"type": "function", "function": function},) if function else ()
