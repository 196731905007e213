"""What is written in the journal, one entry for each request to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

from ..budget import Limit, day_key, month_key
from ..errors import InputError
from .accounts import TOTAL
from .outcome import CallRecord, Outcome

__all__ = [
    "MOST_NANO",
    "Entry",
    "Hold",
    "HoldEntry",
    "RecordEntry",
    "ReleaseEntry",
    "Window",
    "account_windows",
    "check_amount",
    "check_text",
    "limit_windows",
]

Window: TypeAlias = tuple[str, str]
"""A day or a month, and an account: ("2026-11-25", "key:abc")."""

MOST_NANO: Final = 10**15
"""The largest amount, a million USD: sums of thousands still fit 64 bits."""

_DAY_S: Final = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """What a call may cost at most, held in `windows` until it is recorded or released.

    From `expires_at` (Unix seconds) on it is taken for the call of a process that died, and is set
    free.
    """

    id: str
    amount_nano: int
    windows: tuple[Window, ...]
    expires_at: float


@dataclass(kw_only=True, slots=True, eq=False)
class Entry:
    """`waiter` is told that the entry is kept or failed with `error`; None where nobody waits."""

    waiter: asyncio.Future[None] | None = None
    error: Exception | None = None


@dataclass(kw_only=True, slots=True, eq=False)
class HoldEntry(Entry):
    """A hold that is asked for, and the window of each limit."""

    hold: Hold
    limits: Sequence[Limit]
    limit_windows: Sequence[Window]
    now: float


@dataclass(kw_only=True, slots=True, eq=False)
class ReleaseEntry(Entry):
    """A hold that is given back."""

    hold: Hold


@dataclass(kw_only=True, slots=True, eq=False)
class RecordEntry(Entry):
    """An outcome with its calls, whose holds are over, and the windows that it counts in."""

    outcome: Outcome
    calls: Sequence[CallRecord]
    holds: Sequence[Hold]
    windows: tuple[Window, ...]
    charged_nano: int = field(init=False)

    def __post_init__(self) -> None:
        self.charged_nano = sum([call.charged_nano for call in self.calls])


def limit_windows(limits: Sequence[Limit], at: float) -> tuple[Window, ...]:
    """The window of each limit that a moment (Unix seconds) lies in."""
    day, month = _keys(int(at // _DAY_S))
    return tuple(
        [(day if limit.scope.endswith("daily") else month, limit.user or TOTAL) for limit in limits]
    )


def account_windows(accounts: Sequence[str], at: float) -> tuple[Window, ...]:
    """The day and the month of each account that a moment (Unix seconds) lies in."""
    keys = _keys(int(at // _DAY_S))
    return tuple([(key, account) for account in accounts for key in keys])


@lru_cache(maxsize=8)
def _keys(day: int) -> tuple[str, str]:
    """The keys of a day since 1970 (Unix days are UTC's) and of its month."""
    return day_key(day * _DAY_S), month_key(day * _DAY_S)


def check_amount(amount_nano: int) -> None:
    """InputError for an amount that no sum could take."""
    if not 0 <= amount_nano <= MOST_NANO:
        raise InputError(f"an amount must be 0 to {MOST_NANO} nano-dollars, found {amount_nano}")


def check_text(name: str) -> None:
    """InputError for an account's name that not every database can store."""
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InputError("'user' is not valid Unicode text", param="user") from None
    if "\0" in name:
        raise InputError("'user' must not hold a NUL character", param="user")
