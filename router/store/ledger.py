"""The seam between budgets and where they are kept: reserve before a call, settle after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ..budget import Limit, Scope, resets_in_s
from ..errors import BudgetExceededError, StoreError
from ..money import to_usd

__all__ = ["Balance", "Ledger", "LedgerBusyError", "Reservation", "find_refusal"]

_LIMIT_NAMES: Final[Mapping[Scope, str]] = {
    "daily": "daily limit",
    "monthly": "monthly limit",
    "key_daily": "key's daily limit",
    "key_monthly": "key's monthly limit",
    "user_daily": "user's daily limit",
    "user_monthly": "user's monthly limit",
}


class LedgerBusyError(StoreError):
    """Others are using the ledger, and the time to wait for them is over."""


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """What a call may cost at most, set aside until it is settled or released.

    From `expires_at` (Unix seconds) on it is taken for the call of a process that died, and the
    next `reserve` sets its amount free.
    """

    id: int
    amount_nano: int
    expires_at: float


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What was spent in a window, and what is reserved for calls under way, in nano-dollars."""

    settled_nano: int
    reserved_nano: int

    @property
    def taken_nano(self) -> int:
        """What of a limit is not left any more."""
        return self.settled_nano + self.reserved_nano


class Ledger(Protocol):
    """Keeps what was spent. Safe to use from several threads, and from several processes at once.

    Amounts are in nano-dollars, `now` is in Unix seconds. A call counts in the day and the month in
    which it was reserved. `wait_s`: how long others are waited for before LedgerBusyError; 0 means
    not at all. All methods raise StoreError when the ledger cannot be read or written.
    """

    def reserve(
        self,
        amount_nano: int,
        limits: Sequence[Limit],
        *,
        model: str,
        user: str | None,
        lease_s: float,
        now: float,
        wait_s: float,
    ) -> Reservation:
        """Set an amount aside for a call, if all of `limits` leave room for it.

        Raises BudgetExceededError naming the limit that stands in the way (the one that does so
        for the longest, where there are several). Reservations whose lease is over are freed first.
        """
        ...

    def settle(
        self, reservation: Reservation, amount_nano: int, *, now: float, wait_s: float
    ) -> None:
        """Record what the call has cost in the place of its reservation; once, however often asked.

        The amount counts even if it is more than was reserved, or the lease is over.
        """
        ...

    def release(self, reservation: Reservation, *, wait_s: float) -> None:
        """Give back what was set aside for a call that cost nothing; nothing if it is settled."""
        ...

    def balance(self, scope: Scope, *, user: str | None, now: float, wait_s: float) -> Balance:
        """What is taken in the window of `scope` that `now` lies in, of one user or (None) of all.

        Reservations whose lease is over count until the next `reserve`.
        """
        ...

    def checkpoint(self) -> None:
        """Do the upkeep that waits for the disk, so that calls do not meet it; may be left out."""
        ...

    def close(self) -> None:
        """Let go of files and connections; the next call takes them up again."""
        ...


def find_refusal(
    amount_nano: int, taken_nano: Mapping[Limit, int], *, now: float
) -> BudgetExceededError | None:
    """Why an amount may not be reserved, given what is taken of each limit; None: it may."""
    over = [limit for limit, taken in taken_nano.items() if taken + amount_nano > limit.limit_nano]
    if not over:
        return None
    limit = max(over, key=lambda limit: resets_in_s(limit.scope, now))
    name = _LIMIT_NAMES[limit.scope]
    limit_usd, taken_usd = to_usd(limit.limit_nano), to_usd(taken_nano[limit])
    resets_s = resets_in_s(limit.scope, now)
    return BudgetExceededError(
        f"the call might cost up to {to_usd(amount_nano):.6f} USD, and {taken_usd:.6f} of the "
        f"{name} of {limit_usd:.6f} USD are spent or reserved; a new window begins in "
        f"{resets_s:.0f} s. Ask for fewer tokens (max_tokens), or raise the limit",
        scope=limit.scope,
        limit_usd=limit_usd,
        spent_usd=taken_usd,
        resets_in_s=resets_s,
    )
