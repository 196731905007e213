"""Errors as clients see them: always {"error": {"message", "type", "param", "code"}}.

`param` names the field in the caller's own words ("messages[2].content"), `code` is one of a short
list that programs can act on. No message holds anything of a prompt or a draft.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from router.errors import SluiceError, StoreError, UsageError

from .replies import OrjsonResponse

__all__ = [
    "ApiError",
    "bad_request",
    "error_response",
    "install_error_handlers",
    "internal_error",
    "store_away",
]

_LOG = logging.getLogger("sluice.serving")

_INVALID = "invalid_request_error"
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_CODES = {
    404: ("not_found", "there is no such address"),
    405: ("method_not_allowed", "this address does not take that method"),
}


class ApiError(Exception):
    """A refusal with everything that the answer needs."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        kind: str = _INVALID,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.headers = dict(headers or {})


def bad_request(message: str, *, param: str | None = None, code: str = "invalid_value") -> ApiError:
    """A 400 that names the field at fault."""
    return ApiError(400, message, code=code, param=param)


def store_away(error: StoreError) -> ApiError:
    """The answer while the store cannot be used; what is wrong with it is for the log."""
    _LOG.error("%s", error)
    message = "the store cannot be used just now; try again"
    headers = {"retry-after": "1"}
    return ApiError(503, message, code="not_ready", kind="server_error", headers=headers)


def error_response(error: ApiError) -> Response:
    """The answer that tells of `error`."""
    content = {
        "error": {
            "message": error.message,
            "type": error.kind,
            "param": error.param,
            "code": error.code,
        }
    }
    return OrjsonResponse(content, status_code=error.status, headers=error.headers)


def install_error_handlers(app: FastAPI) -> None:
    """Give every way in which a request can fail the same shape."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(SluiceError, _on_sluice_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_surprise)


async def _on_api_error(_: Request, exc: Exception) -> Response:
    return error_response(cast(ApiError, exc))


async def _on_sluice_error(request: Request, exc: Exception) -> Response:
    """The library's own errors: a caller's mistake is a 400, anything else is ours."""
    if isinstance(exc, UsageError):
        return error_response(bad_request(str(exc), param=exc.param))
    if isinstance(exc, StoreError):
        return error_response(store_away(exc))
    return await _on_surprise(request, exc)


async def _on_http_exception(request: Request, exc: Exception) -> Response:
    """What the framework refuses by itself: unknown addresses and methods."""
    refusal = cast(HTTPException, exc)
    status = refusal.status_code
    code, message = _CODES.get(status, (f"http_{status}", HTTPStatus(status).phrase.lower()))
    headers = dict(refusal.headers or {})
    if status == 405:
        headers["Allow"] = ", ".join(_methods_here(request))
        message = f"{message}; it takes {headers['Allow']}"
    return error_response(ApiError(status, message, code=code, headers=headers))


def _methods_here(request: Request) -> list[str]:
    """All methods that the address takes; the framework tells of the first route alone."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _on_surprise(request: Request, exc: Exception) -> Response:
    error = internal_error(exc, request.method, request.url.path)
    # The framework raises the fault again once this is sent, at which the server hangs up: a client
    # that is not told so would meet that with its next request.
    error.headers["connection"] = "close"
    return error_response(error)


def internal_error(fault: Exception, method: str, path: str) -> ApiError:
    """The answer to a fault of ours: the log has the details (no text, which might quote a prompt,
    but what it is and where), the client has none."""
    trace = traceback.extract_tb(fault.__traceback__)
    where = f"{trace[-1].filename}:{trace[-1].lineno}" if trace else "nowhere"
    _LOG.error("%s on %s %s, at %s", type(fault).__name__, method, path, where)
    message = "the service failed on this request; its log says more"
    return ApiError(500, message, code="internal_error", kind="server_error")
