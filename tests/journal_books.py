"""What a journal is given in tests, and the audit of what it keeps: the ledger against its sums."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from router.budget import Limit, day_key, month_key
from router.records.accounts import TOTAL, accounts_of
from router.records.database import Database
from router.records.outcome import CallRecord, Outcome
from router.records.tables import calls, holds, outcomes, totals

__all__ = [
    "ACCOUNTS",
    "DAY",
    "MONTH",
    "NOW",
    "Books",
    "audit",
    "limit",
    "made_call",
    "made_outcome",
    "read_books",
]

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
DAY, MONTH = "2026-11-25", "2026-11"
ACCOUNTS = accounts_of("k", "ann")


@dataclass(frozen=True, kw_only=True)
class Books:
    """What the database holds. `totals` are (settled, held) by (window, account), without zeros."""

    totals: dict[tuple[str, str], tuple[int, int]]
    request_ids: list[str]
    n_calls: int
    n_holds: int


def limit(limit_nano: int, account: str = TOTAL, *, monthly: bool = False) -> Limit:
    """A limit of an account."""
    return Limit(
        scope="monthly" if monthly else "daily", limit_nano=limit_nano, user=account or None
    )


def made_outcome(request_id: str, cost_nano: int = 0, **fields: Any) -> Outcome:
    """An outcome of Ann's, as the gateway makes them."""
    values: dict[str, Any] = {
        "at": NOW,
        "key_id": "k",
        "user": "ann",
        "cascade": "auto",
        "requested_model": "auto",
        "dialect": "openai",
        "streamed": False,
        "status": "ok",
        "http_status": 200,
        "action": "accepted",
        "model": "gpt-4o-mini",
        "provider": "openai",
        "domain": "GENERAL",
        "predictions": '{"gpt-4o-mini": 0.91, "gpt-4o": 0.95}',
        "drafts": '[{"model": "gpt-4o-mini"}]',
        "features": b"\x00\x01",
        "latency_ms": 300.0,
    }
    return Outcome(request_id=request_id, cost_nano=cost_nano, **values | fields)


def made_call(charged_nano: int = 0, **fields: Any) -> CallRecord:
    """A call that cost what it was charged."""
    values: dict[str, Any] = {
        "at": NOW,
        "model": "gpt-4o-mini",
        "provider": "openai",
        "cost_nano": charged_nano,
        "input_tokens": 20,
        "latency_ms": 290.0,
    }
    return CallRecord(charged_nano=charged_nano, **values | fields)


def read_books(database: Database) -> Books:
    """All that the journal wrote, read at one moment."""
    return database.run_sync(_read)


def audit(database: Database) -> Books:
    """The books, after a check that the ledger is the sum of the outcomes and of the open holds,
    account by account to the nano-dollar, and that every outcome has its calls."""

    def check(connection: Connection) -> Books:
        assert _read(connection).totals == _recompute(connection)
        charged = select(calls.c.request_id, func.sum(calls.c.charged_nano))
        by_request: dict[str, int] = {
            request_id: int(nano)
            for request_id, nano in connection.execute(charged.group_by(calls.c.request_id))
        }
        for request_id, cost_nano in connection.execute(
            select(outcomes.c.request_id, outcomes.c.cost_nano)
        ):
            assert by_request.pop(request_id, 0) == cost_nano
        assert not by_request  # calls without an outcome
        return _read(connection)

    return database.run_sync(check)


def _read(connection: Connection) -> Books:
    def count(table: Any) -> int:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    rows = connection.execute(select(totals)).all()
    return Books(
        totals={
            (row.window, row.account): (row.settled_nano, row.held_nano)
            for row in rows
            if row.settled_nano or row.held_nano
        },
        request_ids=list(
            connection.execute(select(outcomes.c.request_id).order_by(outcomes.c.id)).scalars()
        ),
        n_calls=count(calls),
        n_holds=count(holds),
    )


def _recompute(connection: Connection) -> dict[tuple[str, str], tuple[int, int]]:
    settled: defaultdict[tuple[str, str], int] = defaultdict(int)
    held: defaultdict[tuple[str, str], int] = defaultdict(int)
    alike = (outcomes.c.key_id, outcomes.c.user, outcomes.c.at)
    sums = select(*alike, func.sum(outcomes.c.cost_nano)).group_by(*alike)
    for key_id, user, at, cost_nano in connection.execute(sums):
        for account in accounts_of(key_id, user):
            for key in (day_key(at), month_key(at)):
                settled[key, account] += int(cost_nano)
    for amount_nano, windows in connection.execute(select(holds.c.amount_nano, holds.c.windows)):
        for key, account in _pairs(json.loads(windows)):
            held[key, account] += amount_nano
    return {
        window: (settled[window], held[window])
        for window in settled.keys() | held.keys()
        if settled[window] or held[window]
    }


def _pairs(found: Sequence[Sequence[str]]) -> Iterable[tuple[str, str]]:
    return [(key, account) for key, account in found]
