"""Whoever is cancelled leaves nothing held, and what was paid for is recorded all the same."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import text

from router.errors import StoreError
from router.records.database import Database
from router.records.journal import Hold, Journal
from tests.journal_books import ACCOUNTS, NOW, audit, limit, made_call, made_outcome

DAILY = (limit(100),)


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Another process has the database for itself."""
    with database.engine.connect() as other:
        if database.is_sqlite:
            other = other.execution_options(sluice_begin="BEGIN IMMEDIATE")
        with other.begin():
            if not database.is_sqlite:
                other.execute(text("LOCK TABLE outcomes, totals, holds"))
            else:
                other.execute(text("SELECT 1"))
            yield


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(found, asyncio.CancelledError)


def hold(journal: Journal, amount_nano: int = 10) -> asyncio.Task[Hold]:
    return asyncio.create_task(journal.hold(amount_nano, DAILY, lease_s=60.0, now=NOW))


async def test_a_hold_that_is_cancelled_in_the_queue_is_never_made(
    journal: Journal, database: Database
) -> None:
    waiting = hold(journal)
    await asyncio.sleep(0)
    assert journal.waiting == 1
    await cancel(waiting)
    await journal.aclose()
    assert audit(database).n_holds == 0


async def test_a_hold_that_is_cancelled_while_it_is_made_is_given_back(
    journal: Journal, database: Database
) -> None:
    await journal.release(await hold(journal))  # connected
    with locked(database):
        waiting = [hold(journal), hold(journal, 100)]
        await asyncio.sleep(0.05)
        assert journal.waiting == 2
        await cancel(*waiting)
    await journal.aclose()
    assert audit(database).n_holds == 0


async def test_a_hold_that_is_cancelled_just_after_it_is_made_is_given_back(
    journal: Journal, database: Database
) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(50):
        waiting = hold(journal)
        while journal.waiting == 0:
            await asyncio.sleep(0)
        while journal.waiting:
            await asyncio.sleep(0)
        loop.call_soon(waiting.cancel)  # a turn too late, or in the very turn
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await journal.release(await waiting)
    await journal.aclose()
    assert audit(database).n_holds == 0


@pytest.mark.parametrize("way", ["queued", "locked"])
async def test_records_and_releases_are_done_without_their_callers(
    journal: Journal, database: Database, way: str
) -> None:
    held, other = await hold(journal), await hold(journal, 50)

    async def begin_and_cancel(delay_s: float) -> None:
        outcome = made_outcome("r1", 9)
        tasks = [
            asyncio.create_task(journal.record(outcome, [made_call(9)], [held], ACCOUNTS)),
            asyncio.create_task(journal.release(other)),
        ]
        await asyncio.sleep(delay_s)
        await cancel(*tasks)

    if way == "queued":
        await begin_and_cancel(0.0)
    else:
        with locked(database):
            await begin_and_cancel(0.05)
    await journal.aclose()
    books = audit(database)
    assert (books.request_ids, books.n_holds) == (["r1"], 0)


async def test_a_record_that_fails_after_a_cancellation_is_told(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(database, wait_s=0.2)
    await journal.release(await hold(journal))
    with locked(database):
        outcome = made_outcome("r1", 9)
        recording = asyncio.create_task(journal.record(outcome, [made_call(9)], [], ACCOUNTS))
        refused = hold(journal)
        await asyncio.sleep(0.05)
        await cancel(recording)
        with caplog.at_level(logging.ERROR, logger="sluice"):
            with pytest.raises(StoreError, match="in use"):
                await refused
            await journal.aclose()
    assert "in use" in caplog.text
    assert audit(database).request_ids == []


async def test_the_event_loop_runs_on_while_the_database_is_busy(
    journal: Journal, database: Database
) -> None:
    await journal.release(await hold(journal))
    loop = asyncio.get_running_loop()
    longest_s = 0.0
    with locked(database):
        waiting = [hold(journal) for _ in range(5)]
        outcome = made_outcome("r1", 3)
        waiting_record = asyncio.create_task(journal.record(outcome, [made_call(3)], [], ACCOUNTS))
        started = loop.time()
        while loop.time() < started + 1.0:
            before = loop.time()
            await asyncio.sleep(0.005)
            longest_s = max(longest_s, loop.time() - before)
        assert not any(task.done() for task in (*waiting, waiting_record))
        assert journal.waiting == 6
    assert longest_s < 0.2
    await asyncio.gather(*waiting, waiting_record)
    assert audit(database).n_holds == 5
