"""What an agent gives back as LangChain's messages, whole or chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage, AIMessageChunk, InvalidToolCall, ToolCall
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import (
    ToolCallChunk,
    invalid_tool_call,
    tool_call,
    tool_call_chunk,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from ..agent.events import ChunkEvent, DoneEvent, StreamEvent
from ..agent.results import RunResult
from ..chat import Usage
from ..providers.translate.tools import read_arguments

__all__ = ["Chunks", "to_chat_result"]

_OF_MESSAGES: Final = ("role", "content", "tool_calls")  # have a place of their own
_OF_CALLS: Final = frozenset({"id", "type", "function", "index"})
_OF_REPLIES: Final = ("id", "system_fingerprint", "service_tier")
_REASONING: Final = "reasoning_content"
# Added chunks merge what has one number, and texts are numbered from 0 as well.
_BEYOND_TEXTS: Final = 1000


def to_chat_result(result: RunResult) -> ChatResult:
    """The answer as the one generation of a call."""
    calls, invalid = _tool_calls(result)
    message = AIMessage(
        content=result.content,
        tool_calls=calls,
        invalid_tool_calls=invalid,
        additional_kwargs=_additional(result),
        usage_metadata=_usage_metadata(result.usage),
        response_metadata=_response_metadata(result),
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


class Chunks:
    """The chunks of one streamed answer. They add up to the message of `to_chat_result`.

    `in_blocks`: LangChain will make blocks of them, and number texts and calls together.
    """

    def __init__(self, *, in_blocks: bool = False) -> None:
        self._first_call = _BEYOND_TEXTS if in_blocks else 0
        self._said = False
        self._reasoned = False
        self._calls: dict[int, tuple[str, str]] = {}  # index -> what is known of id and name

    def of(self, event: StreamEvent) -> ChatGenerationChunk | None:
        """The chunk of one event, None when it adds nothing to the answer."""
        if isinstance(event, DoneEvent):
            return self._last(event.result)
        return self._next(event) if isinstance(event, ChunkEvent) else None

    def _next(self, event: ChunkEvent) -> ChatGenerationChunk | None:
        calls = [self._call(delta) for delta in event.tool_calls if "function" in delta]
        reasoning = _reasoning(event)
        if not (event.content or calls or reasoning):
            return None
        self._said = self._said or bool(event.content)
        self._reasoned = self._reasoned or bool(reasoning)
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content=event.content,
                tool_call_chunks=calls,
                additional_kwargs={_REASONING: reasoning} if reasoning else {},
            )
        )

    def _last(self, result: RunResult) -> ChatGenerationChunk:
        """The chunk that ends the answer: what is known only now, and what was not streamed."""
        additional = _additional(result)
        if self._reasoned:
            additional.pop(_REASONING, None)
        calls = () if self._calls else result.tool_calls
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content="" if self._said else result.content,
                tool_call_chunks=[
                    self._call({"index": index, **call})
                    for index, call in enumerate(calls)
                    if "function" in call
                ],
                additional_kwargs=additional,
                usage_metadata=_usage_metadata(result.usage),
                response_metadata=_response_metadata(result),
                chunk_position="last",
            )
        )

    def _call(self, delta: Mapping[str, Any]) -> ToolCallChunk:
        """Chunks are put together by adding, so what some servers repeat is said only once."""
        index, function = delta["index"], delta["function"]
        known_id, known_name = self._calls.get(index, ("", ""))
        call_id = "" if known_id else delta.get("id") or ""
        name = function.get("name") or ""
        name = "" if name == known_name else name
        self._calls[index] = (known_id or call_id, known_name + name)
        return tool_call_chunk(
            index=self._first_call + index,
            id=call_id or None,
            name=name or None,
            args=function.get("arguments") or "",
        )


def _tool_calls(result: RunResult) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for call in result.tool_calls:
        if "function" not in call:
            continue  # a custom tool's: LangChain has no call for it, `_additional` keeps it
        function = call["function"]
        arguments = read_arguments(function.get("arguments"))
        if arguments is not None:
            calls.append(tool_call(name=function["name"], args=arguments, id=call.get("id")))
            continue
        invalid.append(
            invalid_tool_call(
                name=function["name"],
                args=function["arguments"],
                id=call.get("id"),
                error="the arguments are not a JSON object",
            )
        )
    return calls, invalid


def _additional(result: RunResult) -> dict[str, Any]:
    """What of an OpenAI message has no place of its own in LangChain's: a refusal, reasoning,
    Anthropic's signed thinking; and all tool calls when one has fields beside OpenAI's (Gemini's
    thought signatures), to be sent back with the next turn."""
    message = result.message
    found = {
        name: value
        for name, value in message.items()
        if name not in _OF_MESSAGES and value not in (None, [], "")
    }
    calls = message.get("tool_calls") or ()
    if any(call.keys() - _OF_CALLS or "function" not in call for call in calls):
        found["tool_calls"] = [dict(call) for call in calls]
    return found


def _response_metadata(result: RunResult) -> dict[str, Any]:
    """Whose answer it is, why it ended, and how the cascade came to it. Costs are in USD, drafts
    included, and None when unknown."""
    reply = result.completion.reply
    found = {name: reply[name] for name in _OF_REPLIES if reply.get(name)}
    if logprobs := reply["choices"][0].get("logprobs"):
        found["logprobs"] = logprobs
    if result.warnings:
        found["warnings"] = list(result.warnings)
    return {
        **found,
        "model_name": result.model_used,
        "model_provider": "sluice",
        "provider": result.completion.provider,
        "finish_reason": result.finish_reason,
        "request_id": result.request_id,
        "domain": result.domain,
        "action": result.action,
        "draft_accepted": result.draft_accepted,
        "total_cost": result.total_cost,
        "cost_savings_pct": result.cost_savings_pct,
    }


def _usage_metadata(usage: Usage | None) -> UsageMetadata | None:
    """The tokens of the answering call alone, None when its provider did not tell."""
    if usage is None:
        return None
    return UsageMetadata(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        input_token_details=InputTokenDetails(
            cache_read=usage.cached_tokens, cache_creation=usage.cache_write_tokens
        ),
        output_token_details=OutputTokenDetails(reasoning=usage.reasoning_tokens),
    )


def _reasoning(event: ChunkEvent) -> str:
    """The piece of reasoning that a provider streamed beside the answer."""
    choices = event.delta.chunk.get("choices") if event.delta is not None else None
    found = choices[0]["delta"].get(_REASONING) if choices else None
    return found if isinstance(found, str) else ""
