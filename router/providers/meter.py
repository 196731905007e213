"""Who counts what HTTP calls may cost and did cost."""

from __future__ import annotations

from typing import Any, Final, Protocol

from ..chat import Completion
from ..prices import Price
from .endpoint import Endpoint

__all__ = ["CUT_OFF", "Meter"]

CUT_OFF: Final = frozenset(
    {"content_filter", "disconnected", "empty", "protocol", "timeout", "too_large", "unknown"}
)
"""Causes of failure after which a provider may charge for what never arrived."""


class Meter(Protocol):
    """Told of every HTTP call, before and after: whatever `open` lets through, `close` ends."""

    async def open(self, endpoint: Endpoint, price: Price | None) -> Any:
        """Allow the call, and give what `close` is to be given; what is raised forbids it."""
        ...

    async def close(
        self, opened: Any, *, completion: Completion | None, error: BaseException | None
    ) -> None:
        """The call is over: with an answer, or an error (a cancellation too)."""
        ...
