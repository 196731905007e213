"""How well predicted probabilities match labels: reliability by bins, Brier score and ECE.

The label of a request is the newest `correct` that it was given, else the newest `score`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    case,
    func,
    literal_column,
    select,
    union_all,
)

from .histograms import bin_number
from .scope import Scope
from .tables import feedback, outcomes

__all__ = ["Calibration", "Labelled", "Reliability", "calibrate_labels", "newest_labels"]

N_BINS: Final = 10
_EDGES: Final = tuple(index / N_BINS for index in range(1, N_BINS))
_CLOCK_SLACK_S: Final = 3600.0  # by which clocks of replicas may differ: labels follow requests


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """One tenth of the predictions: how many, what was predicted of them and what came true (0..1,
    None for an empty one). `low` belongs to it, `high` to the next, but 1 to the last."""

    low: float
    high: float
    n: int
    mean_predicted: float | None
    mean_observed: float | None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Predictions against labels. `brier` is the mean squared difference; `ece` the mean over bins,
    weighted by their size, of |mean predicted - mean observed|. None where nothing is labelled."""

    n: int
    brier: float | None
    ece: float | None
    bins: tuple[Reliability, ...]


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """The labels of some requests, and how the predictions stand to them. `p_success` is of the
    model that answered, `p_acceptable` of the draft that is the answer."""

    n: int
    mean_label: float | None
    p_success: Calibration
    p_acceptable: Calibration


def newest_labels() -> Select[Any]:
    """SQL for (request_id, correct_id, score_id): the newest feedback of either kind, if any."""
    return select(
        feedback.c.request_id,
        func.max(case((feedback.c.correct.is_not(None), feedback.c.id))).label("correct_id"),
        func.max(case((feedback.c.score.is_not(None), feedback.c.id))).label("score_id"),
    ).group_by(feedback.c.request_id)


def calibrate_labels(connection: Connection, scope: Scope) -> Labelled:
    """Compare the predictions of the requests in `scope` with their labels."""
    newest = newest_labels().where(feedback.c.at >= scope.from_at - _CLOCK_SLACK_S).cte("newest")
    label = case(
        (feedback.c.correct.is_(True), 1.0),
        (feedback.c.correct.is_(False), 0.0),
        else_=feedback.c.score,
    )
    rows = (
        select(outcomes.c.p_success, outcomes.c.p_acceptable, label.label("label"))
        .select_from(newest)
        .join(feedback, feedback.c.id == func.coalesce(newest.c.correct_id, newest.c.score_id))
        .join(outcomes, outcomes.c.request_id == newest.c.request_id)
        .where(*scope.conditions())
        .cte("labelled")
    )
    zero: ColumnElement[Any] = literal_column("0", Integer)
    parts: list[Select[*tuple[Any, ...]]] = [
        select(zero, zero, func.count(), zero, func.sum(rows.c.label), zero)
    ]
    for part, p in enumerate((rows.c.p_success, rows.c.p_acceptable), start=1):
        number = bin_number(p, _EDGES).label("bin")
        error = p - rows.c.label
        parts.append(
            select(
                literal_column(str(part)),
                number,
                func.count(),
                func.sum(p),
                func.sum(rows.c.label),
                func.sum(error * error),
            )
            .where(p.is_not(None))
            .group_by(number)
        )
    found: list[dict[int, Sequence[Any]]] = [{}, {}, {}]
    for part, number, *sums in connection.execute(union_all(*parts)):
        found[part][number] = sums
    n, _, observed, _ = found[0][0]
    return Labelled(
        n=n,
        mean_label=float(observed) / n if n else None,
        p_success=_calibration(found[1]),
        p_acceptable=_calibration(found[2]),
    )


def _calibration(bins: Mapping[int, Sequence[Any]]) -> Calibration:
    """From {bin: (n, sum of p, sum of labels, sum of squared errors)}."""
    n = sum(one[0] for one in bins.values())
    gap = sum(abs(float(one[1]) - float(one[2])) for one in bins.values())
    squares = sum(float(one[3]) for one in bins.values())
    return Calibration(
        n=n,
        brier=squares / n if n else None,
        ece=gap / n if n else None,
        bins=tuple(_reliability(index, bins.get(index)) for index in range(N_BINS)),
    )


def _reliability(index: int, sums: Sequence[Any] | None) -> Reliability:
    n = sums[0] if sums else 0
    return Reliability(
        low=index / N_BINS,
        high=(index + 1) / N_BINS,
        n=n,
        mean_predicted=float(sums[1]) / n if sums else None,
        mean_observed=float(sums[2]) / n if sums else None,
    )
