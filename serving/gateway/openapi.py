"""The chat endpoints in the OpenAPI document: what is read of a body, what comes back.

They are no routes of the framework's, which therefore knows nothing of them.
"""

from __future__ import annotations

from typing import Any, Final

from router.types import ROLES

__all__ = ["add_chat_paths"]

_ERROR: Final = {"$ref": "#/components/schemas/ErrorReply"}
_ANTHROPIC_ERROR: Final = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message", "param", "code"],
            "properties": {
                "type": {"type": "string"},
                "message": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        },
        "request_id": {"type": "string"},
    },
}
# What every answer has; what else a provider says comes with it.
_COMPLETION: Final = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string", "minLength": 1},
        "choices": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["index", "message", "finish_reason"],
                "properties": {
                    "index": {"type": "integer"},
                    "message": {
                        "type": "object",
                        "required": ["role", "content"],
                        "properties": {
                            "role": {"const": "assistant"},
                            "content": {"type": ["string", "null"]},
                            "tool_calls": {"type": "array", "items": {"type": "object"}},
                        },
                    },
                    "finish_reason": {"type": "string"},
                },
            },
        },
        "usage": {"type": "object"},
    },
}
_MESSAGE: Final = {
    "type": "object",
    "required": ["id", "type", "role", "model", "content", "stop_reason", "usage"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "model": {"type": "string"},
        "content": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"type": "string"}},
            },
        },
        "stop_reason": {"type": ["string", "null"]},
        "usage": {"type": "object"},
    },
}
_STATUSES: Final = {
    "400": "A bad request, named by `param`; or the provider refuses it.",
    "401": "No key, or one that does not open.",
    "404": "No such model for this key.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is not declared as plain JSON.",
    "429": "A budget or a rate limit is used up, or the service is busy; see Retry-After.",
    "500": "A fault of the service.",
    "502": "Every model failed; each attempt is named.",
    "503": "Not ready, or the store cannot be written.",
    "504": "No model answered in time.",
}
_MESSAGES: Final = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": {"enum": list(ROLES)},
            "content": {"type": ["string", "array", "null"], "items": {"type": "object"}},
        },
    },
}
_COMMON: Final = {
    "model": {
        "type": "string",
        "maxLength": 256,
        "description": '"auto", the name of a cascade, or of a model.',
    },
    "messages": _MESSAGES,
    "stream": {"type": ["boolean", "null"]},
    "tools": {"type": ["array", "null"], "items": {"type": "object"}},
}


def add_chat_paths(document: dict[str, Any]) -> None:
    """Describe /v1/chat/completions and /v1/messages in an OpenAPI document."""
    paths: dict[str, Any] = document.setdefault("paths", {})
    paths["/v1/chat/completions"] = _path(
        "Answer as OpenAI's chat completions",
        {**_COMMON, "user": {"type": ["string", "null"], "maxLength": 256}},
        required=["model", "messages"],
        answer=_COMPLETION,
        error=_ERROR,
    )
    paths["/v1/messages"] = _path(
        "Answer as Anthropic's messages",
        {**_COMMON, "max_tokens": {"type": "integer", "minimum": 1}},
        required=["model", "messages", "max_tokens"],
        answer=_MESSAGE,
        error=_ANTHROPIC_ERROR,
    )


def _path(
    summary: str,
    properties: dict[str, Any],
    *,
    required: list[str],
    answer: dict[str, Any],
    error: dict[str, Any],
) -> dict[str, Any]:
    body = {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": True,  # what is not known here is the provider's to know
    }
    example = {"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
    # There is no way yet to describe the events of a stream.
    answers = {"application/json": {"schema": answer}, "text/event-stream": {}}
    refused = {"application/json": {"schema": error}}
    return {
        "post": {
            "tags": ["gateway"],
            "summary": summary,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": body, "example": example}},
            },
            "responses": {
                "200": {"description": "The answer, whole or as a stream.", "content": answers},
                **{
                    status: {"description": said, "content": refused}
                    for status, said in _STATUSES.items()
                },
            },
        }
    }
