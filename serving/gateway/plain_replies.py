"""Replies of the smaller routes: whole ones, with the request's id, and errors in the dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fastapi import Request, Response

from router.chat import Dialect
from router.errors import SluiceError

from ..errors import ApiError
from ..service import service_of
from .failures import api_error
from .gateway import new_request_id
from .replies import Header, id_headers, plain_headers
from .writers import error_body

__all__ = ["Reply", "reply_to"]

Reply = tuple[bytes, Sequence[Header]]
"""A body of JSON, and headers to go with it."""


async def reply_to(
    request: Request, dialect: Dialect, serve: Callable[[str], Awaitable[Reply]]
) -> Response:
    """What `serve`, which is given the request's id, answers; or the error that it raises."""
    request_id = new_request_id()
    try:
        body, headers = await serve(request_id)
        status = 200
    except (ApiError, SluiceError) as exc:
        error = api_error(exc) if isinstance(exc, SluiceError) else exc
        service_of(request).metrics.count_error(error.code)
        body = error_body(error, dialect, request_id=request_id)
        status, headers = error.status, plain_headers(error.headers)
    response = Response(body, status_code=status, media_type="application/json")
    response.raw_headers.extend([*id_headers(request_id), *headers])
    return response
