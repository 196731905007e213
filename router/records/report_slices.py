"""A report's statement, run over one slice of time after the other.

Each statement reads the slice's rows once and adds them up in several ways, so what the database
has to sort stays small, and nothing but sums and counts leaves it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
)

from ..errors import InputError
from .figures import COUNTED, measures
from .histograms import TIME_EDGES_MS, bin_number
from .scope import Scope
from .tables import outcomes

__all__ = [
    "MAX_BUCKETS",
    "MAX_GROUPS",
    "Bucket",
    "Group",
    "GroupBy",
    "Part",
    "Piece",
    "bucket_starts",
    "read_slices",
]

Bucket = Literal["hour", "day", "none"]
GroupBy = Literal["model", "domain", "key", "cascade", "action", "user"]
Part = Literal["sums", "latencies", "overheads", "failures"]

MAX_BUCKETS: Final = 750  # a month of hours
MAX_GROUPS: Final = 100
_SLICES: Final = 24  # that a span without buckets is read in
_BUCKET_S: Final = {"hour": 3600.0, "day": 86_400.0}
_COLUMNS: Final = {
    "model": outcomes.c.model,
    "domain": outcomes.c.domain,
    "key": outcomes.c.key_id,
    "cascade": outcomes.c.cascade,
    "action": outcomes.c.action,
    "user": outcomes.c.user,
}
_COUNTLESS: Final = ("key", "user")  # of which there may be any number
_PARTS: Final[tuple[Part, ...]] = ("sums", "latencies", "overheads", "failures")


@dataclass(frozen=True, kw_only=True)
class Group:
    """What rows are grouped by: its name, whose it is (a user's key), or all the rest."""

    name: str | None = None
    key_id: str | None = None
    rest: bool = False


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One row of a slice's statement. `start` is its bucket's.

    "sums": `sums` are those of `Figures`. "latencies", "overheads": `sums` is (count,) of the bin
    `number`. "failures": (count,) of the group's error code and the HTTP status `number`.
    """

    start: float | None
    part: Part
    group: Group
    number: int
    sums: Sequence[Any]


def bucket_starts(scope: Scope, bucket: Bucket) -> list[float]:
    """Where the buckets of a span begin: whole hours or days of UTC; none for "none".

    Raises InputError when there are more than MAX_BUCKETS.
    """
    if bucket == "none":
        return []
    width = _BUCKET_S[bucket]
    first, end = math.floor(scope.from_at / width), math.ceil(scope.to_at / width)
    if end - first > MAX_BUCKETS:
        larger = "day" if bucket == "hour" else "none"
        raise InputError(
            f"'from' and 'to' span {end - first:,} buckets, at most {MAX_BUCKETS} are counted; "
            f"choose a shorter span, or bucket={larger}",
            param="bucket",
        )
    return [index * width for index in range(first, end)]


def read_slices(
    connection: Connection, scope: Scope, bucket: Bucket, group_by: GroupBy | None
) -> Iterator[Piece]:
    """Everything that a report adds up, slice by slice; nothing of buckets without requests."""
    span = _occupied(connection, scope)
    if span is None:
        return
    first, last = span
    rows = _rows(scope, group_by, _named(connection, scope, group_by))
    statement = _statement(rows)
    for start, low, high in _slices(scope, bucket, first, last):
        if low <= last and high > first:
            for part, name, key_id, rest, number, *sums in connection.execute(
                statement, {"low": low, "high": high}
            ):
                group = Group(name=name, key_id=key_id, rest=bool(rest))
                yield Piece(start=start, part=_PARTS[part], group=group, number=number, sums=sums)


def _slices(
    scope: Scope, bucket: Bucket, first: float, last: float
) -> Iterator[tuple[float | None, float, float]]:
    """(start of the bucket, from, up to) of each slice."""
    if bucket != "none":
        width = _BUCKET_S[bucket]
        for start in bucket_starts(scope, bucket):
            yield start, max(start, scope.from_at), min(start + width, scope.to_at)
        return
    edges = [first + (last - first) * index / _SLICES for index in range(_SLICES)]
    for low, high in zip(edges, [*edges[1:], scope.to_at], strict=True):
        yield None, low, high


def _occupied(connection: Connection, scope: Scope) -> tuple[float, float] | None:
    """When the first and the last request in `scope` were made; None if there is none."""
    ends = []
    for order in (outcomes.c.at.asc(), outcomes.c.at.desc()):
        found = select(outcomes.c.at).where(*scope.conditions()).order_by(order).limit(1)
        at = connection.execute(found).scalar()
        if at is None:
            return None
        ends.append(float(at))
    return ends[0], ends[1]


def _columns(group_by: GroupBy) -> dict[str, ColumnElement[Any]]:
    """What a request is grouped by; users are their key's, so that goes along."""
    columns: dict[str, ColumnElement[Any]] = {"name": _COLUMNS[group_by]}
    if group_by == "user":
        columns["key_id"] = outcomes.c.key_id
    return columns


def _named(
    connection: Connection, scope: Scope, group_by: GroupBy | None
) -> Sequence[Sequence[Any]] | None:
    """The largest groups where there are too many for a row each, None where there are not."""
    if group_by not in _COUNTLESS:
        return None
    columns = list(_columns(group_by).values())
    ranked = (
        select(*columns)
        .where(*scope.conditions())
        .group_by(*columns)
        .order_by(func.count().desc(), *columns)
        .limit(MAX_GROUPS + 1)
    )
    found = connection.execute(ranked).all()
    return found[:MAX_GROUPS] if len(found) > MAX_GROUPS else None


def _rows(scope: Scope, group_by: GroupBy | None, named: Sequence[Sequence[Any]] | None) -> CTE:
    """The rows of a slice, each with its group and the bins of its times.

    Of `name`, `key_id` and `rest` there are only those that tell groups apart.
    """
    group = {} if group_by is None else _columns(group_by)
    if named is not None:
        kept = tuple_(*group.values()).in_([tuple(values) for values in named])
        group = {name: case((kept, column)) for name, column in group.items()}
        one, zero = literal_column("1", Integer), literal_column("0", Integer)
        group["rest"] = case((kept, zero), else_=one)
    answered = outcomes.c.status == "ok"
    latency, overhead = outcomes.c.latency_ms, outcomes.c.overhead_ms
    timed = and_(answered, overhead.is_not(None))
    return (
        select(
            *(column.label(name) for name, column in group.items()),
            outcomes.c.error_code,
            outcomes.c.http_status,
            *(outcomes.c[counted] for counted in COUNTED),
            case((answered, bin_number(latency, TIME_EDGES_MS))).label("latency"),
            case((timed, bin_number(overhead, TIME_EDGES_MS))).label("overhead"),
        )
        .where(outcomes.c.at >= bindparam("low"), outcomes.c.at < bindparam("high"))
        .where(*scope.owned())
        .cte("slice")
    )


def _statement(rows: CTE) -> CompoundSelect[*tuple[Any, ...]]:
    """The parts of a slice: (number of the part, name, key_id, rest, number, sums)."""
    zero: ColumnElement[Any] = literal_column("0", Integer)
    none: ColumnElement[Any] = cast(null(), Text)
    group = {"name": none, "key_id": none, "rest": zero}
    by_group = [rows.c[name] for name in group if name in rows.c]
    group |= {column.name: column for column in by_group}
    sums = measures(rows.c)
    padding = [zero] * (len(sums) - 1)
    parts: list[Select[*tuple[Any, ...]]] = [
        select(zero, *group.values(), zero, *sums).group_by(*by_group)
    ]
    for part, number in enumerate((rows.c.latency, rows.c.overhead), start=1):
        counted = select(literal_column(str(part)), *group.values(), number, func.count(), *padding)
        parts.append(counted.where(number.is_not(None)).group_by(*by_group, number))
    failure = (rows.c.error_code, rows.c.http_status)
    counted = select(
        literal_column("3"), failure[0], none, zero, failure[1], func.count(), *padding
    )
    parts.append(counted.where(rows.c.status == "failed").group_by(*failure))
    return union_all(*parts)
