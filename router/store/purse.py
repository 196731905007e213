"""The seam between a run and its money: asked before every HTTP call, told after it."""

from __future__ import annotations

from typing import Any, Protocol

from ..chat import Completion

__all__ = ["Purse"]


class Purse(Protocol):
    """What one run may spend. Every `reserve` that is granted ends in one `settle` or `release`,
    both of which are done even if the caller is cancelled meanwhile."""

    @property
    def limited(self) -> bool:
        """Whether a limit applies, so that it has to be known what a call may cost at most."""
        ...

    async def reserve(
        self, *, upper_bound_usd: float | None, model: str, provider: str, lease_s: float
    ) -> Any:
        """Set aside what a call may cost at most, and give what `settle` or `release` is given.

        `upper_bound_usd` is None where nothing limits the run. `lease_s`: after so long the call
        counts as dead. Raises BudgetExceededError when a limit leaves no room, StoreError when the
        ledger cannot be used: then no call may be made.
        """
        ...

    async def settle(
        self, reservation: Any, cost_usd: float | None, *, completion: Completion | None
    ) -> None:
        """Record what the call has cost; None is unknown, and counts as all that was reserved.
        `completion` is what it brought, None for a call that was cut off."""
        ...

    async def release(self, reservation: Any) -> None:
        """Give back what was set aside for a call that cost nothing."""
        ...
