"""The figures of some requests: counts and sums that add up, and the rates that come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, func
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from ..money import to_usd
from .histograms import quantile

__all__ = ["COUNTED", "Figures", "measures"]

_ACCEPTED: Final = ("accepted", "consensus", "optimistic")
_DRAFTED: Final = (*_ACCEPTED, "escalated", "rejected_draft")
_ROUTED: Final = (*_DRAFTED, "direct")

COUNTED: Final = (
    "status",
    "action",
    "cached",
    "cost_nano",
    "unpriced",
    "baseline_nano",
    "drafts_agree",
    "input_tokens",
    "output_tokens",
)
"""The columns of `tables.outcomes` that `measures` reads."""


@dataclass(kw_only=True, slots=True)
class Figures:
    """Sums over some requests.

    `routed` were answered by a cascade, `drafted` of them with drafts, `accepted` of these by a
    draft that was good enough. `compared` had two drafts or more, `agreed` of them that said the
    same. `priced_nano` and `baseline_nano` are what requests cost and what the verifier alone would
    have, over those of which both are known. The last two count times in bins (`histograms`).
    """

    requests: int = 0
    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    cached: int = 0
    routed: int = 0
    drafted: int = 0
    accepted: int = 0
    escalated: int = 0
    compared: int = 0
    agreed: int = 0
    unpriced: int = 0
    cost_nano: int = 0
    priced_nano: int = 0
    baseline_nano: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latencies: Counter[int] = field(default_factory=Counter)
    overheads: Counter[int] = field(default_factory=Counter)

    def add_sums(self, sums: Sequence[Any]) -> None:
        """Add a row of `measures`; PostgreSQL gives sums as Decimal."""
        for name, value in zip(_SUMS, sums, strict=True):
            setattr(self, name, getattr(self, name) + int(value or 0))

    def add(self, other: Figures) -> None:
        """Add the figures of other requests."""
        self.add_sums([getattr(other, name) for name in _SUMS])
        self.latencies.update(other.latencies)
        self.overheads.update(other.overheads)

    def as_dict(self) -> dict[str, Any]:
        """Sums, rates and percentiles as JSON values; a rate of nothing is None."""
        saved_nano = self.baseline_nano - self.priced_nano
        return {
            "requests": self.requests,
            "answered": self.answered,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "cached": self.cached,
            "routed": self.routed,
            "drafted": self.drafted,
            "accepted": self.accepted,
            "escalated": self.escalated,
            "compared": self.compared,
            "agreed": self.agreed,
            "unpriced": self.unpriced,
            "cost_usd": to_usd(self.cost_nano),
            "baseline_usd": to_usd(self.baseline_nano),
            "saved_usd": to_usd(saved_nano),
            "saving": _share(saved_nano, self.baseline_nano),
            "acceptance_rate": _share(self.accepted, self.drafted),
            "escalation_rate": _share(self.escalated, self.routed),
            "agreement_rate": _share(self.agreed, self.compared),
            "cached_share": _share(self.cached, self.answered),
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "latency_ms": {
                "p50": quantile(self.latencies, 0.5),
                "p95": quantile(self.latencies, 0.95),
            },
            "overhead_ms": {
                "p50": quantile(self.overheads, 0.5),
                "p99": quantile(self.overheads, 0.99),
            },
        }


_SUMS: Final = tuple(
    one.name for one in fields(Figures) if one.name not in ("latencies", "overheads")
)


def measures(rows: ReadOnlyColumnCollection[str, Any]) -> list[ColumnElement[Any]]:
    """The SQL of the sums of `Figures`, in their order, over rows with the columns of COUNTED."""
    priced = and_(rows.baseline_nano.is_not(None), rows.unpriced.is_(False))
    found = {
        "requests": func.count(),
        "answered": _count(rows.status == "ok"),
        "failed": _count(rows.status == "failed"),
        "cancelled": _count(rows.status == "cancelled"),
        "cached": func.count(rows.cached),
        "routed": _count(rows.action.in_(_ROUTED)),
        "drafted": _count(rows.action.in_(_DRAFTED)),
        "accepted": _count(rows.action.in_(_ACCEPTED)),
        "escalated": _count(rows.action == "escalated"),
        "compared": func.count(rows.drafts_agree),
        "agreed": _count(rows.drafts_agree.is_(True)),
        "unpriced": _count(rows.unpriced.is_(True)),
        "cost_nano": func.sum(rows.cost_nano),
        "priced_nano": func.sum(case((priced, rows.cost_nano))),
        "baseline_nano": func.sum(case((priced, rows.baseline_nano))),
        "input_tokens": func.sum(rows.input_tokens),
        "output_tokens": func.sum(rows.output_tokens),
    }
    return [found[name] for name in _SUMS]


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
