"""What an agent may spend: its budget, the ledger that keeps it, and the clock, put together."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ..budget import limits_of
from ..chat import Completion
from ..config import BudgetConfig, BudgetStatus
from ..errors import BudgetExceededError
from ..money import to_nano
from .async_ledger import AsyncLedger
from .ledger import Reservation
from .purse import Purse
from .sqlite_ledger import SqliteLedger

__all__ = ["DEFAULT_LEDGER", "STORE_VARIABLE", "Spending", "ledger_path"]

STORE_VARIABLE: Final = "SLUICE_STORE"
DEFAULT_LEDGER: Final = Path(".sluice", "ledger.db")

# Stands for a call that no limit is kept for; nothing is written about it.
_UNLIMITED: Final = Reservation(id=0, amount_nano=0, expires_at=float("inf"))


class Spending:
    """Holds calls to a budget: reserve before each, then settle or release, whatever happens.

        reservation = await spending.reserve(upper_bound_usd=0.02, model="gpt-4o", lease_s=600)
        try:
            cost_usd = await call()
        except BaseException:
            await spending.release(reservation)
            raise
        await spending.settle(reservation, cost_usd)

    With any limit set, all calls are recorded, so that a limit that is added later counts what was
    spent before. Without one, nothing is kept and no file is made.
    """

    def __init__(
        self,
        config: BudgetConfig,
        *,
        ledger: AsyncLedger | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._ledger = ledger or AsyncLedger(SqliteLedger(ledger_path(config)))
        self._clock = clock
        self._has_limits = any(
            limit is not None
            for limit in (
                config.daily_limit,
                config.monthly_limit,
                config.per_user_daily_limit,
                config.per_user_monthly_limit,
            )
        )

    async def reserve(
        self, *, upper_bound_usd: float, model: str, user: str | None = None, lease_s: float
    ) -> Reservation:
        """Set aside what a call may cost at most.

        `lease_s`: after so long the call counts as dead and its amount is free again, so it has to
        outlast the call's timeouts. Raises BudgetExceededError when a limit leaves no room, after
        telling `on_limit_exceeded`; what that raises is raised instead, with the refusal as its
        context. Raises StoreError when the ledger cannot be used: then no call may be made.
        """
        if not self._has_limits:
            return _UNLIMITED
        try:
            return await self._ledger.reserve(
                to_nano(upper_bound_usd),
                limits_of(self._config, user),
                model=model,
                user=user,
                lease_s=lease_s,
                now=self._clock(),
            )
        except BudgetExceededError as refusal:
            await self._tell(refusal, user)
            raise

    async def settle(self, reservation: Reservation, cost_usd: float | None) -> None:
        """Record what the call has cost; None (unknown) counts as all that was reserved.

        It is recorded even if the caller is cancelled meanwhile, and once if asked for twice.
        """
        if reservation is _UNLIMITED:
            return
        cost_nano = reservation.amount_nano if cost_usd is None else to_nano(cost_usd)
        await self._ledger.settle(reservation, cost_nano, now=self._clock())

    async def release(self, reservation: Reservation) -> None:
        """Give back what was set aside for a call that cost nothing; nothing if it is settled.

        It is done even if the caller is cancelled meanwhile.
        """
        if reservation is not _UNLIMITED:
            await self._ledger.release(reservation)

    def purse(self, user: str | None) -> Purse:
        """What the calls of one user may spend."""
        return _UserPurse(self, user)

    async def aclose(self) -> None:
        """Close the ledger."""
        await self._ledger.aclose()

    async def _tell(self, refusal: BudgetExceededError, user: str | None) -> None:
        if self._config.on_limit_exceeded is None:
            return
        answer = self._config.on_limit_exceeded(
            BudgetStatus(
                scope=refusal.scope,
                limit_usd=refusal.limit_usd,
                spent_usd=refusal.spent_usd,
                resets_in_s=refusal.resets_in_s,
                user=user,
            )
        )
        if inspect.isawaitable(answer):
            await answer


class _UserPurse:
    """As `Purse` says. Without any limit in it a budget still wants prices known: one that is
    added later counts what was spent before."""

    limited = True

    def __init__(self, spending: Spending, user: str | None) -> None:
        self._spending = spending
        self._user = user

    async def reserve(
        self, *, upper_bound_usd: float | None, model: str, provider: str, lease_s: float
    ) -> Reservation:
        return await self._spending.reserve(
            upper_bound_usd=upper_bound_usd or 0.0, model=model, user=self._user, lease_s=lease_s
        )

    async def settle(
        self, reservation: Reservation, cost_usd: float | None, *, completion: Completion | None
    ) -> None:
        await self._spending.settle(reservation, cost_usd)

    async def release(self, reservation: Reservation) -> None:
        await self._spending.release(reservation)


def ledger_path(config: BudgetConfig, *, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the ledger is: the configuration's `store`, else $SLUICE_STORE, else DEFAULT_LEDGER."""
    if config.store is not None:
        return config.store.expanduser()
    return Path(environment.get(STORE_VARIABLE) or DEFAULT_LEDGER).expanduser()
