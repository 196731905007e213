"""What the journal adds to a request: a hold under four limits, and an outcome with one call.

One request at a time, and 32 at once, which share their transactions. Of three rounds the best
counts. In PostgreSQL every transaction waits for the server's disk.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from router.records.accounts import TOTAL, account_limits, accounts_of, key_account
from router.records.database import Database
from router.records.journal import Journal
from router.records.outcome import Outcome
from tests.journal_books import NOW, made_call, made_outcome
from tests.key_databases import postgres_database

HEADER = ("microseconds a request", "hold p50", "record p50", "both p50", "both p99", "in all")
LIMITS = (
    *account_limits(TOTAL, {"daily": 1e5, "monthly": 1e6}),
    *account_limits(key_account("k"), {"key_daily": 1e5, "key_monthly": 1e6}),
)
ACCOUNTS = accounts_of("k", "ann")
CALLS = (made_call(21_000, output_tokens=30, cached_tokens=0),)
FEATURES = os.urandom(700)
N_ROUNDS, N_AT_ONCE = 3, 32
N_REQUESTS = {"SQLite": 3_000, "PostgreSQL": 600}

# Of SQLite, in microseconds: with one request at a time, and of each of many.
ALONE_BAR_US, TOGETHER_BAR_US = 150.0, 50.0


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Its name and its URL."""
    if request.param == "SQLite":
        yield request.param, f"sqlite:///{tmp_path}/sluice.db"
        return
    with postgres_database() as url:
        yield request.param, url


@pytest.mark.benchmark
def test_journal(store: tuple[str, str], report: Any) -> None:
    name, url = store
    database = Database.open(url)
    both, together = uvloop.run(_measure(name, database, report))
    database.close()
    if name == "SQLite":
        assert both <= ALONE_BAR_US
        assert together <= TOGETHER_BAR_US


async def _measure(name: str, database: Database, report: Any) -> tuple[float, float]:
    """The best median of one alone, and the best of what each takes when there are many."""
    journal = Journal(database)
    await _run(journal, 100, at_once=1)  # warm
    found: dict[int, list[tuple[float, tuple[str, ...]]]] = {1: [], N_AT_ONCE: []}
    for _ in range(N_ROUNDS):
        for at_once, rounds in found.items():
            n = N_REQUESTS[name] * (1 if at_once == 1 else 4)
            held, recorded, in_all = await _run(journal, n, at_once=at_once)
            sums = [sum(pair) for pair in zip(held, recorded, strict=True)]
            median = statistics.median(sums)
            figures = (
                statistics.median(held),
                statistics.median(recorded),
                median,
                statistics.quantiles(sums, n=100)[98],
                in_all,
            )
            row = (f"{name}, {at_once} at once", *(f"{figure:.0f}" for figure in figures))
            rounds.append((median if at_once == 1 else in_all, row))
    await journal.aclose()
    best = {at_once: min(rounds) for at_once, rounds in found.items()}
    for _, row in best.values():
        report.add("The journal: what is held and recorded", HEADER, row)
    return best[1][0], best[N_AT_ONCE][0]


async def _run(journal: Journal, n: int, *, at_once: int) -> tuple[list[float], list[float], float]:
    """The microseconds of each hold and each record, and of all per request."""
    held: list[float] = []
    recorded: list[float] = []
    outcomes = [_make_outcome(number) for number in range(n)]

    async def client() -> None:
        while outcomes:
            outcome = outcomes.pop()
            start = time.perf_counter()
            hold = await journal.hold(50_000, LIMITS, lease_s=600.0, now=NOW)
            after_hold = time.perf_counter()
            await asyncio.sleep(0)  # the call to the model
            before_record = time.perf_counter()
            await journal.record(outcome, CALLS, (hold,), ACCOUNTS)
            recorded.append((time.perf_counter() - before_record) * 1e6)
            held.append((after_hold - start) * 1e6)

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(at_once)))
    return held, recorded, (time.perf_counter() - start) * 1e6 / n


def _make_outcome(number: int) -> Outcome:
    """As large as they are in practice, with an id that begins with the time."""
    return made_outcome(
        f"req_{time.time_ns():016x}{secrets.token_hex(8)}",
        21_000,
        at=NOW + number * 0.001,
        domain_confidence=0.8,
        artifact="2026-11-01",
        target_quality=0.98,
        p_success=0.9,
        p_acceptable=0.95,
        plan='{"action": "draft", "models": ["gpt-4o-mini", "gemini-1.5-flash", "gpt-4o"]}',
        features=FEATURES,
        input_tokens=20,
        output_tokens=30,
        baseline_nano=350_000,
        overhead_ms=1.2,
    )
