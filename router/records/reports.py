"""Figures of the logged requests over time and by group, all added up by the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection

from ..errors import InputError
from .calibration import Labelled, calibrate_labels
from .figures import Figures
from .instants import write_instant
from .report_slices import Bucket, Group, GroupBy, Piece, bucket_starts, read_slices
from .scope import Scope

__all__ = ["MAX_ROWS", "Failures", "Report", "ReportRow", "describe_report", "make_report"]

MAX_ROWS: Final = 10_000
_MAX_FAILURES: Final = 20


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """The figures of one bucket and group. `start` is in Unix seconds, None without buckets."""

    start: float | None
    group: Group
    figures: Figures


@dataclass(frozen=True, kw_only=True)
class Failures:
    """How often requests failed in one way."""

    error_code: str | None
    http_status: int
    requests: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """`rows` by bucket, then by group, the largest first (in the whole span) and the rest last.
    Without groups every bucket has a row, with groups only those in which there were requests."""

    scope: Scope
    bucket: Bucket
    group_by: GroupBy | None
    total: Figures
    rows: tuple[ReportRow, ...]
    failures: tuple[Failures, ...]
    labels: Labelled


def make_report(
    connection: Connection, scope: Scope, *, bucket: Bucket, group_by: GroupBy | None = None
) -> Report:
    """The report on the outcomes in `scope`.

    Raises InputError when it would have more than MAX_BUCKETS buckets or MAX_ROWS rows.
    """
    starts = bucket_starts(scope, bucket)
    sums = _Sums()
    sums.add(read_slices(connection, scope, bucket, group_by))
    if group_by is None:
        for start in starts or (None,):
            sums.row(start, Group())
    return Report(
        scope=scope,
        bucket=bucket,
        group_by=group_by,
        total=sums.total,
        rows=sums.rows(),
        failures=sums.most_failures(),
        labels=calibrate_labels(connection, scope),
    )


def describe_report(report: Report) -> dict[str, Any]:
    """A report as JSON values; times in ISO 8601, UTC."""
    return {
        "from": write_instant(report.scope.from_at),
        "to": write_instant(report.scope.to_at),
        "bucket": report.bucket,
        "group_by": report.group_by,
        "key": report.scope.key_id,
        "total": report.total.as_dict(),
        "rows": [
            {
                "start": None if row.start is None else write_instant(row.start),
                "group": row.group.name,
                "key": row.group.key_id,
                "rest": row.group.rest,
                **row.figures.as_dict(),
            }
            for row in report.rows
        ],
        "failures": [asdict(one) for one in report.failures],
        "labels": asdict(report.labels),
    }


class _Sums:
    """What the slices bring, added up."""

    def __init__(self) -> None:
        self.total = Figures()
        self._sizes: Counter[Group] = Counter()
        self._rows: dict[tuple[float | None, Group], Figures] = {}
        self._failures: Counter[tuple[str | None, int]] = Counter()

    def add(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            count = piece.sums[0]
            if piece.part == "failures":
                self._failures[piece.group.name, piece.number] += count
            elif count:  # without groups there are sums over nothing, too
                for figures in (self.total, self.row(piece.start, piece.group)):
                    if piece.part == "sums":
                        figures.add_sums(piece.sums)
                    else:
                        getattr(figures, piece.part)[piece.number] += count
                if piece.part == "sums":
                    self._sizes[piece.group] += count

    def row(self, start: float | None, group: Group) -> Figures:
        """The figures of one row; raises InputError where there are too many."""
        figures = self._rows.get((start, group))
        if figures is None:
            if len(self._rows) >= MAX_ROWS:
                raise InputError(
                    f"the report has more than {MAX_ROWS:,} rows; choose a shorter span or a "
                    "larger bucket",
                    param="bucket",
                )
            figures = self._rows[start, group] = Figures()
        return figures

    def rows(self) -> tuple[ReportRow, ...]:
        def order(row: ReportRow) -> tuple[Any, ...]:
            group = row.group
            names = (group.name or "", group.key_id or "")
            return (row.start or 0.0, group.rest, -self._sizes[group], names)

        found = (
            ReportRow(start=start, group=group, figures=figures)
            for (start, group), figures in self._rows.items()
        )
        return tuple(sorted(found, key=order))

    def most_failures(self) -> tuple[Failures, ...]:
        """The commonest ways to fail."""
        return tuple(
            Failures(error_code=code, http_status=status, requests=requests)
            for (code, status), requests in self._failures.most_common(_MAX_FAILURES)
        )
