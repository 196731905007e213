"""What one request spends: held before each call, kept until the outcome is recorded with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from router.budget import Limit
from router.chat import Completion
from router.money import to_nano
from router.records.allowances import Allowances, Share
from router.records.journal import Hold
from router.records.outcome import CallRecord

__all__ = ["Tab"]

_MARGIN_S: Final = 60.0  # to record, once the time for a request is over


@dataclass(frozen=True, kw_only=True, eq=False)
class _Entry:
    """One call under way."""

    model: str
    provider: str
    at: float
    bound_nano: int
    share: Share | None


class Tab:
    """The purse (`router.store.purse.Purse`) of one request.

    What calls have cost is not written at once: `calls` and `holds` go into the journal together
    with the request's outcome, so that the ledger is the sum of the outcomes at every moment. A
    process that dies before leaves its holds, which expire. To be closed in the end, whatever
    became of the request.
    """

    def __init__(
        self,
        allowances: Allowances,
        limits: Sequence[Limit],
        *,
        at: float,
        recorded_within_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`at` is the moment whose day and month the request counts in, whenever its calls are
        made; `recorded_within_s` is how long after a call its outcome may come: so long what the
        call cost has to stay held."""
        self.calls: list[CallRecord] = []
        self.holds: list[Hold] = []
        self._allowances = allowances
        self._shares: list[tuple[Share, int]] = []
        self._limits = tuple(limits)
        self._at = at
        self._least_lease_s = recorded_within_s + _MARGIN_S
        self._clock = clock

    @property
    def limited(self) -> bool:
        return bool(self._limits)

    async def reserve(
        self, *, upper_bound_usd: float | None, model: str, provider: str, lease_s: float
    ) -> _Entry:
        now, bound_nano, share = self._clock(), 0, None
        if self._limits:
            bound_nano = to_nano(upper_bound_usd or 0.0)
            share = await self._allowances.take(
                bound_nano,
                self._limits,
                lease_s=max(lease_s, self._least_lease_s),
                now=now,
                at=self._at,
            )
        return _Entry(model=model, provider=provider, at=now, bound_nano=bound_nano, share=share)

    async def settle(
        self, reservation: _Entry, cost_usd: float | None, *, completion: Completion | None
    ) -> None:
        usage = None if completion is None else completion.usage
        cost_nano = None if cost_usd is None else to_nano(cost_usd)
        charged_nano = reservation.bound_nano if cost_nano is None else cost_nano
        self.calls.append(
            CallRecord(
                at=reservation.at,
                model=reservation.model,
                provider=reservation.provider,
                cost_nano=cost_nano,
                charged_nano=charged_nano,
                input_tokens=None if usage is None else usage.prompt_tokens,
                output_tokens=None if usage is None else usage.completion_tokens,
                cached_tokens=None if usage is None else usage.cached_tokens,
                latency_ms=None if completion is None else completion.latency_ms,
            )
        )
        share = reservation.share
        if share is not None:
            self._shares.append((share, charged_nano))
            if share.hold is not None:
                self.holds.append(share.hold)

    async def release(self, reservation: _Entry) -> None:
        if reservation.share is not None:
            await self._allowances.release(reservation.share)

    def close(self) -> None:
        """Let others have what the calls did not cost."""
        shares, self._shares = self._shares, []
        for share, charged_nano in shares:
            self._allowances.settle(share, charged_nano)

    @property
    def charged_nano(self) -> int:
        """What all calls so far count for in the ledger."""
        return sum([call.charged_nano for call in self.calls])

    @property
    def unpriced(self) -> bool:
        """Whether it is not known what a call has cost."""
        return None in [call.cost_nano for call in self.calls]

    @property
    def tokens(self) -> int:
        """What was read and written, as far as providers told."""
        return sum([(call.input_tokens or 0) + (call.output_tokens or 0) for call in self.calls])
