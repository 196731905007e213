"""What is older than the retention goes, with all that hangs on it, and nothing else does."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from sqlalchemy import insert, select

from router.records.database import Database
from router.records.retention import prune, prune_outcomes
from router.records.tables import calls, feedback, outcomes, totals
from tests.made_up_log import NOW, made_up_log, write_log

HALF = NOW - 3.5 * 86_400
LOG = list(made_up_log(700))


def fill(database: Database) -> None:
    database.run_sync(partial(write_log, log=LOG))
    total = {"window": "2026-11-18", "account": "", "settled_nano": 5, "held_nano": 0}
    database.run_sync(lambda connection: connection.execute(insert(totals), [total]))


def ids(database: Database, table: Any) -> set[str]:
    wanted = select(table.c.request_id)
    return database.run_sync(lambda connection: set(connection.execute(wanted).scalars()))


async def test_old_requests_go_with_their_calls_and_labels(database: Database) -> None:
    fill(database)
    young = {one.outcome.request_id for one in LOG if one.outcome.at >= HALF}
    old = len(LOG) - len(young)
    assert await prune_outcomes(database, before=HALF, batch=100) == old > 200
    assert ids(database, outcomes) == young
    for table in (calls, feedback):
        assert ids(database, table)
        assert ids(database, table) <= young
    assert await prune_outcomes(database, before=HALF) == 0


async def test_what_the_ledger_counted_stays(database: Database) -> None:
    fill(database)
    await prune_outcomes(database, before=NOW)
    kept = database.run_sync(lambda connection: connection.execute(select(totals)).all())
    assert [tuple(row) for row in kept] == [("2026-11-18", "", 5, 0)]
    assert not ids(database, outcomes) | ids(database, calls) | ids(database, feedback)


def test_a_batch_takes_the_oldest(database: Database) -> None:
    fill(database)
    work = partial(prune, older_than=HALF, batch=10)
    assert database.run_sync(work) == 10
    oldest = {one.outcome.request_id for one in LOG[:10]}
    assert ids(database, outcomes) == {one.outcome.request_id for one in LOG} - oldest


async def test_writers_go_on_meanwhile(database: Database) -> None:
    fill(database)
    pruning = asyncio.create_task(prune_outcomes(database, before=NOW, batch=20))
    later = list(made_up_log(40, seed=9, now=NOW + 8 * 86_400))
    for one in later:
        await database.run(partial(write_log, log=[one]))
    await pruning
    assert ids(database, outcomes) == {one.outcome.request_id for one in later}


async def test_two_processes_may_prune_at_once(database: Database) -> None:
    fill(database)
    both = await asyncio.gather(
        *(prune_outcomes(database, before=HALF, batch=30) for _ in range(2))
    )
    assert sum(both) == sum(one.outcome.at < HALF for one in LOG)
