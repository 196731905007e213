"""Whom a request is for, and what no request may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..errors import bad_request

__all__ = ["MAX_NAME_CHARS", "read_name", "read_user", "refuse_addresses"]

MAX_NAME_CHARS: Final = 256  # of a model, a user or a conversation
# Where a call goes, and with whose key, is the configuration's to say. A proxy that stands in for
# a provider would take these from the body.
_FORBIDDEN: Final = ("api_base", "api_key", "base_url")


def refuse_addresses(body: Mapping[str, Any]) -> None:
    """Raise ApiError (400) where a request says whom to call, or with which key."""
    for name in _FORBIDDEN:
        if name in body:
            message = f"'{name}' cannot be set by a request; it is for the configuration to say"
            raise bad_request(message, param=name, code="unknown_field")


def read_user(said: Any, headers: Mapping[str, str], *, param: str, user_header: str) -> str:
    """The user that a request names, '' for nobody: the header's word, else `said`, the body's
    under `param`. Raises ApiError (400) for what cannot be a name."""
    if user_header in headers:
        return read_name(headers[user_header], user_header)
    if said is not None and not isinstance(said, str):
        raise bad_request(f"'{param}' should be a string", param=param, code="wrong_type")
    return read_name(said, param)


def read_name(said: str | None, param: str) -> str:
    """A name without the blanks around it, '' for none; ApiError (400) for what is too long to be
    one or cannot be kept."""
    name = (said or "").strip()
    if len(name) > MAX_NAME_CHARS:
        raise bad_request(f"'{param}' is longer than {MAX_NAME_CHARS} characters", param=param)
    if "\x00" in name:  # which PostgreSQL cannot keep
        raise bad_request(f"'{param}' holds a NUL character", param=param)
    return name
