"""What a provider on loopback answers, well or badly: scripts for `tests.upstream.Upstream`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

__all__ = [
    "Behaviour",
    "Received",
    "Script",
    "answer",
    "answer_anthropic",
    "cut",
    "drip",
    "fail",
    "hang",
    "hang_midway",
    "send",
    "send_events",
    "send_json",
    "stream",
    "stream_anthropic",
]

USAGE: Mapping[str, Any] = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
ANTHROPIC_USAGE: Mapping[str, Any] = {"input_tokens": 12, "output_tokens": 5}


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request; header names are in lower case, `body` is its JSON."""

    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))


@dataclass(frozen=True, kw_only=True)
class Script:
    """What to send: bytes, and seconds to pause between them (`inf`: until the client leaves).

    `status` None says nothing at all, not even headers. `end` "cut" closes the connection where
    more was promised.
    """

    status: int | None = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes | float] = ()
    end: Literal["whole", "cut"] = "whole"


Behaviour = Callable[[Received], Script]


def send(
    body: bytes, *, status: int = 200, content_type: str = "application/json", **headers: str
) -> Behaviour:
    """These very bytes; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    script = Script(status=status, content_type=content_type, headers=named, pieces=(body,))
    return lambda _: script


def send_json(body: Any, *, status: int = 200, **headers: str) -> Behaviour:
    """This JSON, streamed or not."""
    return send(json.dumps(body).encode(), status=status, **headers)


def send_events(
    *events: Any, done: bool = True, end: Literal["whole", "cut"] = "whole", delay_s: float = 0.0
) -> Behaviour:
    """Server-sent events: bytes as they are, anything else as the JSON of a data line."""
    pieces: list[bytes | float] = []
    for event in (*events, *((b"data: [DONE]\n\n",) if done else ())):
        pieces.append(event if isinstance(event, bytes) else _event(event))
        if delay_s:
            pieces.append(delay_s)
    script = Script(content_type="text/event-stream", pieces=pieces, end=end)
    return lambda _: script


def answer(
    text: str | None = "Hello.",
    *,
    usage: Any = USAGE,
    tool_calls: Sequence[Mapping[str, Any]] = (),
    logprobs: Sequence[float] = (),
    finish_reason: str | None = None,
    model: str | None = None,
    pieces: Sequence[str] | None = None,
    delay_s: float = 0.0,
) -> Behaviour:
    """One completion. `logprobs` are sent when the request asks for them, usage of a stream when
    it asks for that, as OpenAI does; `pieces` is how a stream cuts the text (words by default)."""
    reason = finish_reason or ("tool_calls" if tool_calls else "stop")
    parts = list(pieces) if pieces is not None else (text or "").split(" ")
    if pieces is None:
        parts = [part if at == 0 else f" {part}" for at, part in enumerate(parts)]

    def behave(request: Received) -> Script:
        head = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": model or _model(request)}
        lp = _logprobs(logprobs) if logprobs and request.body.get("logprobs") else None
        if not request.streams:
            message: dict[str, Any] = {"role": "assistant", "content": text}
            if tool_calls:
                message["tool_calls"] = list(tool_calls)
            choice = {"index": 0, "message": message, "logprobs": lp, "finish_reason": reason}
            body = {**head, "object": "chat.completion", "choices": [choice]}
            return send_json({**body, **({"usage": usage} if usage is not None else {})})(request)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": part} for part in parts if text is not None]
        deltas += _call_deltas(tool_calls)
        chunks = [_chunk(head, delta) for delta in deltas]
        if lp:
            chunks[0]["choices"][0]["logprobs"] = lp
        chunks.append(_chunk(head, {}, reason))
        options = request.body.get("stream_options") or {}
        if usage is not None and options.get("include_usage"):
            chunks.append({**_chunk(head, {}), "choices": [], "usage": usage})
        return send_events(*chunks, delay_s=delay_s)(request)

    return behave


def stream(pieces: Sequence[str], **more: Any) -> Behaviour:
    """The same as `answer`, cut into these pieces when streamed."""
    return answer("".join(pieces), pieces=pieces, **more)


def answer_anthropic(
    text: str | None = "Hello.",
    *,
    usage: Mapping[str, Any] = ANTHROPIC_USAGE,
    tool_uses: Sequence[Mapping[str, Any]] = (),
    stop_reason: str | None = None,
    model: str | None = None,
    pieces: Sequence[str] | None = None,
    delay_s: float = 0.0,
) -> Behaviour:
    """One message of Anthropic's; `tool_uses` are {"id", "name", "input"}."""
    reason = stop_reason or ("tool_use" if tool_uses else "end_turn")
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text}] if text is not None else []
    blocks += [{"type": "tool_use", **use} for use in tool_uses]

    def behave(request: Received) -> Script:
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": model or _model(request),
            "content": blocks,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": dict(usage),
        }
        if not request.streams:
            return send_json(message)(request)
        events = [_typed(one) for one in _anthropic_events(message, pieces)]
        return send_events(*events, done=False, delay_s=delay_s)(request)

    return behave


def stream_anthropic(pieces: Sequence[str], **more: Any) -> Behaviour:
    """The same as `answer_anthropic`, cut into these pieces when streamed."""
    return answer_anthropic("".join(pieces), pieces=pieces, **more)


def fail(status: int, code: str = "", message: str = "no", **headers: str) -> Behaviour:
    """An error body with this status."""
    error = {"message": message, "type": code or None, "code": code or None, "param": None}
    return send_json({"error": error}, status=status, **headers)


def hang() -> Behaviour:
    """Takes the request and says nothing, until the client leaves."""
    script = Script(status=None, pieces=(inf,))
    return lambda _: script


def hang_midway(behaviour: Behaviour) -> Behaviour:
    """The first half of what `behaviour` sends, then silence."""
    return _half(behaviour, lambda first: {"pieces": (*first, inf)})


def cut(behaviour: Behaviour) -> Behaviour:
    """The first half of what `behaviour` sends, then a closed connection."""
    return _half(behaviour, lambda first: {"pieces": first, "end": "cut"})


def drip(behaviour: Behaviour, *, pause_s: float) -> Behaviour:
    """What `behaviour` sends, a byte at a time."""

    def behave(request: Received) -> Script:
        script = behaviour(request)
        pieces: list[bytes | float] = []
        for byte in b"".join(piece for piece in script.pieces if isinstance(piece, bytes)):
            pieces += [bytes([byte]), pause_s]
        return Script(**{**vars(script), "pieces": pieces})

    return behave


def _half(behaviour: Behaviour, changed: Callable[[Any], dict[str, Any]]) -> Behaviour:
    def behave(request: Received) -> Script:
        script = behaviour(request)
        whole = b"".join(piece for piece in script.pieces if isinstance(piece, bytes))
        return Script(**{**vars(script), **changed((whole[: len(whole) // 2],))})

    return behave


def _model(request: Received) -> str:
    return str(request.body.get("model", "m"))


def _event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _typed(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\n".encode() + _event(data)


def _chunk(
    head: Mapping[str, Any], delta: Mapping[str, Any], finish_reason: str | None = None
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**head, "object": "chat.completion.chunk", "choices": [choice]}


def _call_deltas(calls: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each call as OpenAI streams it: name first, then the arguments in two pieces."""
    for index, call in enumerate(calls):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        begun = {"name": name, "arguments": ""}
        yield {"tool_calls": [{**call, "index": index, "function": begun}]}
        middle = len(arguments) // 2
        for piece in (arguments[:middle], arguments[middle:]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _logprobs(values: Sequence[float]) -> dict[str, Any]:
    tokens = [
        {"token": f"t{at}", "logprob": value, "bytes": None, "top_logprobs": []}
        for at, value in enumerate(values)
    ]
    return {"content": tokens, "refusal": None}


def _anthropic_events(
    message: Mapping[str, Any], pieces: Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            empty = {"type": "text", "text": ""}
            parts = pieces if pieces is not None else [block["text"]]
            deltas = [{"type": "text_delta", "text": part} for part in parts]
        else:
            empty = {**block, "input": {}}
            written = json.dumps(block["input"])
            middle = len(written) // 2
            cuts = ("", written[:middle], written[middle:])
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in cuts]
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    spent = {"output_tokens": usage["output_tokens"]}
    yield {"type": "message_delta", "delta": stop, "usage": spent}
    yield {"type": "message_stop"}
