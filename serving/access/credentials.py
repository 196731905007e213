"""The key in a request's headers, and the words for one that is missing or does not open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from ..errors import ApiError

__all__ = ["MAX_KEY_CHARS", "BadKey", "bad_key", "missing_key", "read_credential"]

MAX_KEY_CHARS: Final = 512  # a longer one is not looked at
BadKey = Literal["unknown", "expired", "revoked"]

_HOW: Final = "'Authorization: Bearer <key>' or 'x-api-key: <key>'"
_CHALLENGE: Final = {"www-authenticate": "Bearer"}
_SAID: Final[Mapping[BadKey, str]] = {
    # One answer to whatever a stranger sends, so that it tells nothing.
    "unknown": "the API key is not valid; send one of this gateway's keys, as " + _HOW,
    "expired": "the API key has expired; ask whoever runs this gateway for another, or more time",
    "revoked": "the API key was revoked; ask whoever runs this gateway for another",
}


def read_credential(headers: Mapping[str, str]) -> str | None:
    """The key that a request brings, None when it brings none: the bearer token, else x-api-key.

    Names of headers are in lower case. Addresses are not looked at: they end up in logs.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and (token := token.strip()):
        return token
    return headers.get("x-api-key", "").strip() or None


def missing_key(*, admin: bool = False) -> ApiError:
    """The refusal of a request without any key."""
    which = "the admin key" if admin else "an API key"
    message = f"{which} is needed; send it as {_HOW}"
    return ApiError(401, message, code="missing_api_key", headers=_CHALLENGE)


def bad_key(why: BadKey) -> ApiError:
    """The refusal of a key. Only who has the right secret may be told that it was a key once."""
    return ApiError(401, _SAID[why], code="invalid_api_key", headers=_CHALLENGE)
