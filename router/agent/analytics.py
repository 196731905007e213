"""What an agent has done and paid so far, exact to the cent: sums are kept in whole nano-USD."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..money import to_nano, to_usd
from .results import RunResult

__all__ = ["Analytics", "AnalyticsLog", "Spent", "Tally"]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Sums over some runs, in USD. `unpriced_runs` are those whose cost is unknown: they are in no
    sum of costs. `verifier_cost` and `saved_cost` are over the runs of which it is known what the
    verifier alone would have cost. Rates are 0..1, None without anything to divide by.
    """

    runs: int
    unpriced_runs: int
    total_cost: float
    verifier_cost: float
    saved_cost: float
    drafted_runs: int
    accepted_runs: int
    compared_runs: int
    agreed_runs: int
    escalated_runs: int
    direct_runs: int

    @property
    def cost_savings_pct(self) -> float | None:
        """Percent saved against asking the verifier every time."""
        if not self.verifier_cost:
            return None
        return round(100.0 * self.saved_cost / self.verifier_cost, 6)

    @property
    def drafter_acceptance_rate(self) -> float | None:
        """Of the runs in which a drafter answered, the share in which a draft was accepted."""
        return _share(self.accepted_runs, self.drafted_runs)

    @property
    def agreement_rate(self) -> float | None:
        """Of the runs with several drafts, the share in which they said the same."""
        return _share(self.agreed_runs, self.compared_runs)

    @property
    def escalation_rate(self) -> float | None:
        """Of all runs, the share that escalated after drafts."""
        return _share(self.escalated_runs, self.runs)

    def as_dict(self) -> dict[str, Any]:
        """Sums and rates as JSON values."""
        return {
            **asdict(self),
            "cost_savings_pct": self.cost_savings_pct,
            "drafter_acceptance_rate": self.drafter_acceptance_rate,
            "agreement_rate": self.agreement_rate,
            "escalation_rate": self.escalation_rate,
        }


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What the calls of one model, drafts too, have cost in USD; `unpriced_calls` of them are in
    no sum."""

    calls: int
    cost: float
    unpriced_calls: int


@dataclass(frozen=True, kw_only=True)
class Analytics(Tally):
    """All runs, and the same by answering model, domain and day (UTC, YYYY-MM-DD).

    `failed_runs` gave no answer; what their drafts cost is `failed_cost`, which is not part of
    `total_cost`: that is the sum of the results' costs. `spent_by_model` parts that sum by the
    models that were asked, whoever answered.
    """

    failed_runs: int
    failed_cost: float
    spent_by_model: Mapping[str, Spent]
    by_model: Mapping[str, Tally]
    by_domain: Mapping[str, Tally]
    by_day: Mapping[str, Tally]

    def as_dict(self) -> dict[str, Any]:
        """Sums, rates and the parts as JSON values."""
        parts = {
            name: {key: one.as_dict() for key, one in getattr(self, name).items()}
            for name in ("by_model", "by_domain", "by_day")
        }
        spent = {model: asdict(one) for model, one in self.spent_by_model.items()}
        return {**super().as_dict(), "spent_by_model": spent, **parts}


@dataclass(kw_only=True)
class _Counts:
    runs: int = 0
    unpriced_runs: int = 0
    total_nano: int = 0
    verifier_nano: int = 0
    saved_nano: int = 0
    drafted_runs: int = 0
    accepted_runs: int = 0
    compared_runs: int = 0
    agreed_runs: int = 0
    escalated_runs: int = 0
    direct_runs: int = 0

    def add(self, result: RunResult, paid: int | None, alone: int | None) -> None:
        """Count a result that cost `paid` nano-USD, and the verifier alone would have `alone`."""
        self.runs += 1
        if paid is None:
            self.unpriced_runs += 1
        else:
            self.total_nano += paid
            if alone is not None:
                self.verifier_nano += alone
                self.saved_nano += alone - paid
        self.drafted_runs += bool(result.drafts)
        self.accepted_runs += result.draft_accepted
        self.compared_runs += len(result.drafts) > 1
        self.agreed_runs += result.drafts_agree is True
        self.escalated_runs += result.action == "escalated"
        self.direct_runs += result.action == "direct"

    def __add__(self, other: _Counts) -> _Counts:
        both = {name: mine + getattr(other, name) for name, mine in vars(self).items()}
        return _Counts(**both)

    def sums(self) -> dict[str, Any]:
        found = asdict(self)
        for name in ("total", "verifier", "saved"):
            found[f"{name}_cost"] = to_usd(found.pop(f"{name}_nano"))
        return found


@dataclass(kw_only=True)
class AnalyticsLog:
    """Counts results as they come; safe to share between threads."""

    # By answering model, domain and day: each result is counted once, and summed when asked for.
    _counts: dict[tuple[str, str, str], _Counts] = field(default_factory=dict)
    _spent: dict[str, list[int]] = field(default_factory=dict)  # calls, nano-USD, unpriced calls
    _failed: int = 0
    _failed_nano: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, result: RunResult, *, day: str) -> None:
        """Count a result on `day` (YYYY-MM-DD)."""
        key = (result.model_used, result.domain, day)
        costs = result.total_cost, result.verifier_cost
        paid, alone = (None if cost is None else to_nano(cost) for cost in costs)
        with self._lock:
            counts = self._counts.get(key)
            if counts is None:
                counts = self._counts[key] = _Counts()
            counts.add(result, paid, alone)
            for call in result.calls:
                spent = self._spent.setdefault(call.model or "", [0, 0, 0])
                spent[0] += 1
                spent[1] += to_nano(call.cost_usd or 0.0)
                spent[2] += call.cost_usd is None

    def add_failure(self, cost_usd: float) -> None:
        """Count a run without an answer, and what it cost all the same."""
        with self._lock:
            self._failed += 1
            self._failed_nano += to_nano(cost_usd)

    def snapshot(self) -> Analytics:
        """All there is so far."""
        with self._lock:
            by_model, by_domain, by_day = (self._tallies(part) for part in range(3))
            return Analytics(
                **sum(self._counts.values(), _Counts()).sums(),
                failed_runs=self._failed,
                failed_cost=to_usd(self._failed_nano),
                spent_by_model={
                    model: Spent(calls=calls, cost=to_usd(nano), unpriced_calls=unpriced)
                    for model, (calls, nano, unpriced) in sorted(self._spent.items())
                },
                by_model=by_model,
                by_domain=by_domain,
                by_day=by_day,
            )

    def _tallies(self, part: int) -> dict[str, Tally]:
        """Tallies by one part of the key, in its order."""
        sums: dict[str, _Counts] = {}
        for key, counts in sorted(self._counts.items()):
            sums[key[part]] = sums.get(key[part], _Counts()) + counts
        return {name: Tally(**sums[name].sums()) for name in sorted(sums)}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
