"""Errors as the clients of OpenAI and of Anthropic read them."""

from __future__ import annotations

from typing import Any, Final

import orjson

from router.chat import Dialect
from router.providers.wire import WireError

from ..errors import ApiError

__all__ = ["describe_error", "error_body", "untold"]

_ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(error: ApiError, dialect: Dialect, *, request_id: str | None = None) -> bytes:
    """The body that tells of `error`; Anthropic's has the request's id in it too."""
    return orjson.dumps(describe_error(error, dialect, request_id=request_id))


def describe_error(
    error: ApiError, dialect: Dialect, *, request_id: str | None = None
) -> dict[str, Any]:
    """`error_body` as JSON values."""
    if dialect == "openai":
        found: dict[str, Any] = {"message": error.message, "type": error.kind}
        return {"error": {**found, "param": error.param, "code": error.code}}
    found = {"type": _anthropic_type(error.status), "message": error.message}
    # The last two are beyond Anthropic's own: programs can act on them.
    told = {**found, "param": error.param, "code": error.code}
    return {"type": "error", "error": told, "request_id": request_id}


def untold(error: WireError) -> ApiError:
    """The error for an answer that cannot be put into the dialect of who asked."""
    return ApiError(
        502,
        f"the provider's answer cannot be told in Anthropic's format: {error}",
        code="upstream_failed",
        kind="upstream_error",
    )


def _anthropic_type(status: int) -> str:
    return _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
