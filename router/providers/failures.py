"""Every way a call can fail, as an UpstreamError that names model, provider and cause.

What a provider writes about a failure may repeat the prompt or the key, so of its words only the
short code is kept, and of the HTTP client's none.
"""

from __future__ import annotations

import re
from typing import Final

from ..errors import UpstreamCause, UpstreamError
from .endpoint import Endpoint
from .http import FaultKind, TransportError

__all__ = ["circuit_error", "connection_error", "reply_error", "status_error", "timeout_error"]

_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_CAUSES: Final[dict[int, UpstreamCause]] = {
    401: "auth",
    402: "auth",  # no credit
    403: "auth",
    404: "not_found",
    408: "timeout",
    409: "server",  # a lock that was not had in time
    425: "server",
    429: "rate_limit",
}
_REMEDIES: Final[dict[UpstreamCause, str]] = {
    "auth": "check the key and what it may do",
    "bad_request": "the provider refuses this request",
    "content_filter": "the provider's content filter refuses this request",
    "not_found": "check the model's name and 'api_base'",
    "rate_limit": "too many requests",
    "server": "the provider has a fault",
    "timeout": "the provider gave up waiting",
}
_FAULTS: Final[dict[FaultKind, tuple[str, UpstreamCause]]] = {
    "connect": ("cannot connect", "connect"),
    "disconnected": ("the connection broke before the answer was whole", "disconnected"),
    "gave_up": ("the HTTP client gave up waiting", "timeout"),
    "handshake": ("TLS: the handshake broke off", "tls"),
    "proxy": ("the proxy failed; check HTTPS_PROXY", "connect"),
    "refused": ("connection refused", "connect"),
}
_FILTERED: Final = frozenset({"content_filter", "content_policy_violation"})


def _error(
    endpoint: Endpoint,
    said: str,
    cause: UpstreamCause,
    *,
    status: int | None = None,
    retry_after_s: float | None = None,
) -> UpstreamError:
    """`said`, with the model, the provider and the address in front."""
    return UpstreamError(
        f"{endpoint.model} at {endpoint.provider} ({endpoint.origin}): {said}",
        model=endpoint.model,
        provider=endpoint.provider,
        cause=cause,
        status=status,
        retry_after_s=retry_after_s,
    )


def status_error(
    endpoint: Endpoint, status: int, code: str, *, retry_after_s: float | None = None
) -> UpstreamError:
    """The error of a reply whose `status` is not 2xx; `code` is what its body calls it."""
    if status < 400:
        said = f"status {status}: redirected, which is not followed; 'api_base' should name the API"
        return _error(endpoint, said, "protocol", status=status)
    cause = _CAUSES.get(status, "server" if status >= 500 else "bad_request")
    if cause == "bad_request" and code in _FILTERED:
        cause = "content_filter"
    told = code != str(status)  # some say the status again
    safe = (
        told and _CODE.fullmatch(code) and (endpoint.secret is None or endpoint.secret not in code)
    )
    named = f" ({code})" if safe else ""
    said = f"status {status}{named}; {_REMEDIES[cause]}"
    if retry_after_s is not None:
        said += f"; to be asked again in {retry_after_s:g} s"
    return _error(endpoint, said, cause, status=status, retry_after_s=retry_after_s)


def reply_error(
    endpoint: Endpoint, said: str, cause: UpstreamCause, *, status: int | None
) -> UpstreamError:
    """The error of a reply that cannot be read as an answer."""
    return _error(endpoint, f"no usable reply: {said}", cause, status=status)


def circuit_error(endpoint: Endpoint, wait_s: float) -> UpstreamError:
    """The error of an endpoint that is left alone for `wait_s` more."""
    said = f"not asked: it failed too often just now; to be tried again in {wait_s:.0f} s"
    return _error(endpoint, said, "circuit_open", retry_after_s=wait_s)


def timeout_error(endpoint: Endpoint, waited_for: str, limit_s: float) -> UpstreamError:
    """The error of a call that took too long."""
    return _error(endpoint, f"no {waited_for} within {limit_s:g} s", "timeout")


def connection_error(
    endpoint: Endpoint, fault: TransportError, *, connect_s: float
) -> UpstreamError:
    """The error of a connection that was not made within `connect_s`, or broke."""
    match fault.kind:
        case "no_connection":
            return timeout_error(endpoint, "connection", connect_s)
        case "certificate":
            said = fault.detail or "it does not fit the host"
            return _error(endpoint, f"TLS: certificate not trusted: {said}", "tls")
        case "host":
            said = f"cannot resolve host {endpoint.url.host}"
            return _error(endpoint, said, "connect")
        case "not_http":
            return reply_error(endpoint, "it is not HTTP", "protocol", status=None)
        case "unknown":
            return _error(endpoint, f"failed with {fault.detail}", "unknown")
        case kind:
            return _error(endpoint, *_FAULTS[kind])
