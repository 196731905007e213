"""Where every outcome goes: the journal first, then metrics, spans and the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router.chat import Attempt
from router.records.accounts import accounts_of
from router.records.journal import Journal
from router.records.outcome import CallRecord, Outcome

from ..metrics import Metrics
from .tab import Tab

__all__ = ["Recorder", "Sink"]

Sink = Callable[[Outcome, Sequence[CallRecord]], None]


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Keeps outcomes. `sinks` are told of each once it is kept; they do not raise."""

    journal: Journal
    metrics: Metrics
    sinks: tuple[Sink, ...] = ()

    async def record(self, outcome: Outcome, tab: Tab, attempts: Sequence[Attempt] = ()) -> None:
        """Keep an outcome with what it cost; once this returns, no crash loses it. It is done even
        if the caller is cancelled meanwhile. `attempts` are all HTTP calls made for it. Raises
        StoreError."""
        accounts = accounts_of(outcome.key_id, outcome.user)
        await self.journal.record(outcome, tab.calls, tab.holds, accounts)
        self.metrics.count_outcome(outcome, tab.calls)
        self.metrics.count_attempts(attempts)
        for sink in self.sinks:
            sink(outcome, tab.calls)
