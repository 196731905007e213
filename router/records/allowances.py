"""Holds carved out of larger ones, so that most calls need no transaction before they are made.

Where a limit leaves plenty of room, what some calls may cost at most is held at once, in a fund,
and single calls take their share of it in memory. A fund stays held whole until it is used up or
idle, also what of it is settled by then: so more may be counted as taken than is, for a while, but
never less. Near a limit every call has a hold of its own, and it is reached to the last call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ..budget import Limit
from ..errors import BudgetExceededError, StoreError
from .entries import Window, limit_windows
from .journal import Hold, Journal

__all__ = ["Allowances", "Share"]

_LOG = logging.getLogger("sluice")

_CALLS: Final = 64  # that a fund is for
_ROOM: Final = 64  # so many funds have to fit into what a limit leaves
_LOW: Final = 4  # a fund is replaced once less than this part of it is left
_IDLE_S: Final = 1.0  # then a fund goes back
_RETRY_S: Final = 1.0  # after one was refused

_Key: TypeAlias = tuple[Window, ...]


@dataclass(kw_only=True, slots=True, eq=False)
class _Fund:
    """A hold that calls share. It goes back once it is `closed` and nobody has a share of it."""

    hold: Hold
    left_nano: int
    used_at: float  # of the event loop's clock
    shares: int = 0
    closed: bool = False


@dataclass(kw_only=True, slots=True, eq=False)
class Share:
    """What one call may cost at most: a `hold` of its own, to be ended with its record, or part of
    a fund, to be settled after it."""

    amount_nano: int
    hold: Hold | None
    fund: _Fund | None


class Allowances:
    """Takes shares for the calls of one process; for one event loop, as its journal is."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._funds: dict[_Key, _Fund] = {}
        self._opening: set[_Key] = set()
        self._refused: dict[_Key, float] = {}  # until when no fund is asked for
        self._sweeping: asyncio.TimerHandle | None = None
        self._returning: set[asyncio.Task[None]] = set()

    async def take(
        self,
        amount_nano: int,
        limits: Sequence[Limit],
        *,
        lease_s: float,
        now: float,
        at: float | None = None,
    ) -> Share:
        """Set an amount aside for a call; raises as `Journal.hold`, whose arguments these are."""
        at = now if at is None else at
        key = limit_windows(limits, at)
        clock = asyncio.get_running_loop().time()
        fund = self._funds.get(key)
        if fund is not None and fund.hold.expires_at < now + lease_s:
            self._close(key, fund)
            fund = None
        if fund is None and key not in self._opening and self._refused.get(key, 0.0) <= clock:
            fund = await self._open(key, amount_nano, limits, lease_s=lease_s, now=now, at=at)
        if fund is None or fund.left_nano < amount_nano:
            if fund is not None and fund.left_nano * _LOW < fund.hold.amount_nano:
                self._close(key, fund)
            hold = await self._journal.hold(amount_nano, limits, lease_s=lease_s, now=now, at=at)
            return Share(amount_nano=amount_nano, hold=hold, fund=None)
        fund.left_nano -= amount_nano
        fund.shares += 1
        fund.used_at = clock
        return Share(amount_nano=amount_nano, hold=None, fund=fund)

    async def release(self, share: Share) -> None:
        """Give back the share of a call that cost nothing; raises StoreError."""
        if share.hold is not None:
            await self._journal.release(share.hold)
        else:
            self.settle(share, 0)

    def settle(self, share: Share, charged_nano: int) -> None:
        """A call is over and recorded: what it did not cost can be shared again."""
        fund = share.fund
        if fund is None:
            return
        fund.left_nano += share.amount_nano - charged_nano
        fund.shares -= 1
        if fund.closed and not fund.shares:
            self._return(fund)

    async def aclose(self) -> None:
        """Give back all funds that nobody has a share of."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for key, fund in list(self._funds.items()):
            self._close(key, fund)
        if self._returning:
            await asyncio.wait(self._returning)

    async def _open(
        self,
        key: _Key,
        amount_nano: int,
        limits: Sequence[Limit],
        *,
        lease_s: float,
        now: float,
        at: float,
    ) -> _Fund | None:
        """A fund for calls like this one; None where a limit is too near."""
        size_nano = amount_nano * _CALLS
        spare_nano = size_nano * (_ROOM - 1)
        tighter = [replace(one, limit_nano=one.limit_nano - spare_nano) for one in limits]
        loop = asyncio.get_running_loop()
        if any(one.limit_nano < size_nano for one in tighter):
            return None
        self._opening.add(key)
        try:
            # It has to outlast the calls that take a share of it late.
            hold = await self._journal.hold(size_nano, tighter, lease_s=2 * lease_s, now=now, at=at)
        except BudgetExceededError:
            self._refused[key] = loop.time() + _RETRY_S
            self._sweep_later()
            return None
        finally:
            self._opening.discard(key)
        fund = _Fund(hold=hold, left_nano=size_nano, used_at=loop.time())
        self._funds[key] = fund
        self._sweep_later()
        return fund

    def _close(self, key: _Key, fund: _Fund) -> None:
        """Take no more shares of a fund."""
        del self._funds[key]
        fund.closed = True
        if not fund.shares:
            self._return(fund)

    def _return(self, fund: _Fund) -> None:
        task = asyncio.create_task(self._give_back(fund.hold))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def _give_back(self, hold: Hold) -> None:
        try:
            await self._journal.release(hold)
        except StoreError as exc:
            _LOG.error("what was held for calls is given back by its lease alone: %s", exc)

    def _sweep_later(self) -> None:
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(_IDLE_S, self._sweep)

    def _sweep(self) -> None:
        """Close what is idle, and forget refusals that are over."""
        self._sweeping = None
        clock = asyncio.get_running_loop().time()
        for key, fund in list(self._funds.items()):
            if fund.used_at + _IDLE_S <= clock:
                self._close(key, fund)
        self._refused = {key: until for key, until in self._refused.items() if until > clock}
        if self._funds or self._refused:
            self._sweep_later()
