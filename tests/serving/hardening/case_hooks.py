"""Hooks for Schemathesis, which loads them by their module's name: cases that reach deep.

Of strings that a schema leaves open it makes any at all, and nearly all requests would end where
their model, or the request that is labelled, is not found.
"""

from __future__ import annotations

import os
from typing import Any, Final

import schemathesis

_CHATS: Final = ("/v1/chat/completions", "/v1/messages")
_MODELS: Final = (
    *("auto", "drafts", "doubts", "pairs", "direct", "claude-drafts"),
    *("small", "large", "claude-small", "nobody"),
)
_CALL: Final = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_TALKS: Final[tuple[list[dict[str, Any]], ...]] = (
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]}],
    [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Write a poem."},
    ],
    [
        {"role": "user", "content": "Call it."},
        {"role": "assistant", "content": None, "tool_calls": [_CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ],
)
_INSTANTS: Final = ("2026-11-25T00:00:00Z", "2026-11-20", "1795600000", "yesterday")
_REQUEST_ID: Final = os.environ.get("SLUICE_CASES_REQUEST_ID", "")


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Most bodies name something that there is."""
    path = _path(context)
    if not isinstance(body, dict):
        return body
    if path in _CHATS and isinstance(body.get("model"), str):
        messages = body.get("messages")
        if isinstance(messages, list) and messages and (len(body["model"]) + len(body)) % 2:
            body = {**body, "messages": _TALKS[len(messages) % len(_TALKS)]}
        return _instead(body, "model", _MODELS)
    if path == "/v1/embeddings" and isinstance(body.get("model"), str):
        return _instead(body, "model", ("sluice-encoder", "embed"))
    if path == "/v1/feedback" and isinstance(body.get("request_id"), str):
        is_valid = 1 <= len(body["request_id"]) <= 200  # what is not is to be refused
        return _instead(body, "request_id", (_REQUEST_ID,)) if is_valid else body
    return body


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: Any) -> Any:
    """Most instants can be read."""
    if _path(context) != "/v1/analytics" or not isinstance(query, dict):
        return query
    for name in ("from", "to"):
        if isinstance(query.get(name), str):
            query = _instead(query, name, _INSTANTS)
    return query


def _path(context: schemathesis.HookContext) -> str:
    return "" if context.operation is None else context.operation.path


def _instead(given: dict[str, Any], name: str, names: tuple[str, ...]) -> dict[str, Any]:
    """`given` with one of `names` under `name`, save for some; the same each time."""
    choice = len(given[name]) + len(given)
    return {**given, name: names[choice % len(names)]} if choice % 7 else given
