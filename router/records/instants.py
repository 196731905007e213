"""Moments as people and programs write them: ISO 8601, or Unix seconds."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final

from ..errors import InputError

__all__ = ["read_instant", "write_instant"]

_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_LAST: Final = 253_402_300_799.0  # the end of the year 9999
_ZONE_LOST = re.compile(r".*\d \d\d:?\d\d")


def read_instant(text: str, *, param: str) -> float:
    """The moment that `text` names, in Unix seconds; without a time zone it is UTC's.

    "2026-11-25", "2026-11-25T12:00:00Z", "2026-11-25T12:00:00+01:00" or "1795608000.5". Raises
    InputError naming `param`.
    """
    if _NUMBER.fullmatch(text):
        at = float(text)
    else:
        try:
            found = datetime.fromisoformat(text)
            at = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            hint = "; in a URL '+' is written %2B" if _ZONE_LOST.fullmatch(text) else ""
            raise InputError(
                f"'{param}' should be a time in ISO 8601 or Unix seconds{hint}", param=param
            ) from None
    if not 0.0 <= at <= _LAST or not math.isfinite(at):
        raise InputError(f"'{param}' should lie between the years 1970 and 9999", param=param)
    return at


def write_instant(at: float) -> str:
    """A moment in ISO 8601, UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
