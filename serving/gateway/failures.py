"""What went wrong with a request, as the error that its client gets."""

from __future__ import annotations

import math
from typing import Final

from router.errors import (
    BudgetExceededError,
    CascadeExhaustedError,
    SluiceError,
    StoreError,
    UpstreamError,
    UsageError,
)

from ..errors import ApiError, bad_request, internal_error, store_away

__all__ = ["api_error", "deadline_error", "shutting_down"]

# Causes that are the request's own: asking again would not help, so clients must not retry.
_REFUSED: Final = frozenset({"bad_request", "content_filter"})


def api_error(error: SluiceError) -> ApiError:
    """The answer for an error of the library's.

    A provider's refusal of this very request is a 400; other failures of providers are a 502, or
    a 504 when it was time that ran out, and name every attempt.
    """
    if isinstance(error, UsageError):
        return bad_request(str(error), param=error.param)
    if isinstance(error, BudgetExceededError):
        return ApiError(
            429,
            _budget_message(error),
            code="budget_exceeded",
            kind="budget_exceeded",
            headers=_retry_after(error.resets_in_s),
        )
    if isinstance(error, UpstreamError):
        return _upstream_error(error)
    if isinstance(error, StoreError):
        return store_away(error)
    return internal_error(error, "POST", "a model")


def shutting_down() -> ApiError:
    """The answer to a request that the service has no time for any more."""
    return ApiError(
        503,
        "the service is shutting down; try again",
        code="not_ready",
        kind="server_error",
        headers={"retry-after": "1", "connection": "close"},
    )


def _budget_message(error: BudgetExceededError) -> str:
    """What of a key or its user is spent they may know; what all others spend they may not."""
    if error.scope not in ("daily", "monthly"):
        return str(error)
    return (
        f"the call might cost more than is left of this gateway's {error.scope} budget; a new "
        f"window begins in {error.resets_in_s:.0f} s. Ask for fewer tokens (max_tokens)"
    )


def deadline_error(limit_s: float) -> ApiError:
    """The answer for a request that took longer than any may."""
    message = f"no answer within {limit_s:g} s (limits.request_timeout_s)"
    return ApiError(504, message, code="upstream_timeout", kind="upstream_error")


def _upstream_error(error: UpstreamError) -> ApiError:
    tried = error.attempts if isinstance(error, CascadeExhaustedError) else (error,)
    if error.cause in _REFUSED:  # by the last that was asked, the verifier
        code = "content_filter" if error.cause == "content_filter" else "upstream_refused"
        return ApiError(400, str(error), code=code)
    timed_out = all(one.cause == "timeout" for one in tried)
    headers = {} if error.retry_after_s is None else _retry_after(error.retry_after_s)
    return ApiError(
        504 if timed_out else 502,
        str(error),
        code="upstream_timeout" if timed_out else "upstream_failed",
        kind="upstream_error",
        headers=headers,
    )


def _retry_after(seconds: float) -> dict[str, str]:
    return {"retry-after": str(max(1, math.ceil(seconds)))}
