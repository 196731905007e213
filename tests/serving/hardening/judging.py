"""Whether a reply is one that a client can read: an answer from beginning to end, or an error."""

from __future__ import annotations

import json
from typing import Any

import httpx

from router.chat import Dialect

__all__ = ["check_reply", "read_events"]

REFUSED = frozenset({400, 401, 404, 408, 413, 415, 429, 431})

_BEFORE_ANY_ROUTE = ("malformed_request", "headers_too_large", "request_timeout")


def check_reply(
    reply: httpx.Response, dialect: Dialect, *, failed: frozenset[int] = frozenset()
) -> str:
    """What the reply is: "answer", "stream", "broken" (a stream that ends in an error) or the
    error's code. `failed` are statuses that may come beside those of refusals."""
    ids = {reply.headers.get(name) for name in ("x-sluice-request-id", "x-request-id")}
    if reply.status_code != 200:
        assert reply.status_code in REFUSED | failed, (reply.status_code, reply.text)
        return _check_error(reply.json(), dialect)
    assert len(ids) == 1
    assert None not in ids
    kind = reply.headers["content-type"]
    if kind == "application/json":
        check = _check_completion if dialect == "openai" else _check_message
        check(reply.json())
        return "answer"
    assert kind == "text/event-stream; charset=utf-8"
    events = read_events(reply.content)
    if dialect == "openai":
        return _check_chunks(events)
    return _check_events(events)


def read_events(body: bytes) -> list[tuple[str, Any]]:
    """(name, data) of all events; "[DONE]" as it is. Each has to be well framed."""
    text = body.decode("utf-8")
    assert text.endswith("\n\n")
    found: list[tuple[str, Any]] = []
    for block in text[:-2].split("\n\n"):
        lines = block.split("\n")
        assert not any("\r" in line for line in lines)
        if lines[0].startswith(":"):
            assert len(lines) == 1
            continue
        name = lines.pop(0).removeprefix("event: ") if lines[0].startswith("event: ") else ""
        [line] = lines
        assert line.startswith("data: ")
        data = line.removeprefix("data: ")
        found.append((name, data if data == "[DONE]" else json.loads(data, parse_constant=_no)))
    return found


def _no(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")


def _check_error(body: Any, dialect: Dialect) -> str:
    assert isinstance(body, dict), body
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}, error
    assert all(isinstance(error[name], str) and error[name] for name in ("message", "type", "code"))
    assert error["param"] is None or isinstance(error["param"], str)
    if dialect == "anthropic" and error["code"] not in _BEFORE_ANY_ROUTE:
        assert body["type"] == "error"
        assert body["request_id"].startswith("slc_")
    code: str = error["code"]
    return code


def _check_completion(body: Any) -> None:
    assert body["object"] == "chat.completion"
    assert isinstance(body["id"], str)
    assert body["id"]
    assert isinstance(body["created"], int)
    assert isinstance(body["model"], str)
    assert body["choices"]
    for choice in body["choices"]:
        assert isinstance(choice["index"], int)
        assert isinstance(choice["finish_reason"], str)
        message = choice["message"]
        assert message["role"] == "assistant"
        assert message["content"] is None or isinstance(message["content"], str)
        _check_calls(message.get("tool_calls") or [])
    _check_usage(body.get("usage"), "prompt_tokens", "completion_tokens", "total_tokens")


def _check_calls(calls: Any) -> None:
    for call in calls:
        assert isinstance(call["id"], str)
        assert call["type"] in ("function", "custom")
        assert isinstance(call[call["type"]]["name"], str)


def _check_usage(usage: Any, *names: str) -> None:
    for name in names if usage is not None else ():
        assert isinstance(usage[name], int), usage
        assert usage[name] >= 0


def _check_message(body: Any) -> None:
    assert (body["type"], body["role"]) == ("message", "assistant")
    assert isinstance(body["id"], str)
    assert isinstance(body["model"], str)
    assert body["stop_reason"] is None or isinstance(body["stop_reason"], str)
    assert all(isinstance(block["type"], str) for block in body["content"])
    assert all(
        isinstance(block["text"], str) for block in body["content"] if block["type"] == "text"
    )
    _check_usage(body["usage"], "input_tokens", "output_tokens")


def _check_chunks(events: list[tuple[str, Any]]) -> str:
    """Chunks, and at the end [DONE] or an error; each choice ends once, and only then."""
    assert events
    last = events[-1][1]
    ended: set[int] = set()
    for name, chunk in events[:-1]:
        assert not name
        assert chunk["object"] == "chat.completion.chunk"
        assert isinstance(chunk["id"], str)
        assert isinstance(chunk["created"], int)
        _check_usage(chunk.get("usage"), "prompt_tokens", "completion_tokens", "total_tokens")
        for choice in chunk["choices"]:
            assert choice["index"] not in ended
            content = choice["delta"].get("content")
            assert content is None or isinstance(content, str)
            if choice["finish_reason"] is not None:
                assert isinstance(choice["finish_reason"], str)
                ended.add(choice["index"])
    if last == "[DONE]":
        assert ended
        return "stream"
    assert not ended
    _check_error(last, "openai")
    return "broken"


def _check_events(events: list[tuple[str, Any]]) -> str:
    """A message from its start to its stop, or to an error; blocks open and close in turn."""
    assert events
    for name, event in events:
        assert event["type"] == name
    kinds = [name for name, _ in events]
    if kinds[-1] == "error":
        assert "message_stop" not in kinds
        assert "message_delta" not in kinds
        _check_error(events[-1][1], "anthropic")
        return "broken"
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert kinds.count("message_start") == kinds.count("message_stop") == 1
    assert "message_delta" in kinds
    open_block: int | None = None
    for kind, event in events:
        if kind == "content_block_start":
            assert open_block is None
            open_block = event["index"]
        elif kind == "content_block_delta":
            assert open_block == event["index"]
        elif kind == "content_block_stop":
            assert open_block == event["index"]
            open_block = None
    assert open_block is None
    return "stream"
