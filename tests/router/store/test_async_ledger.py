"""The ledger on the event loop: others are waited for elsewhere, and nothing is left half done."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from router.budget import Limit
from router.errors import BudgetExceededError, StoreError
from router.store.async_ledger import AsyncLedger
from router.store.ledger import LedgerBusyError, Reservation
from router.store.sqlite_ledger import SqliteLedger

NOW = 1_795_000_000.0
DAILY = (Limit(scope="daily", limit_nano=100),)


@pytest.fixture
def sync_ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


@pytest.fixture
async def ledger(sync_ledger: SqliteLedger) -> AsyncIterator[AsyncLedger]:
    ledger = AsyncLedger(sync_ledger, wait_s=5.0)
    yield ledger
    await ledger.aclose()


@pytest.fixture
def other(sync_ledger: SqliteLedger) -> Iterator[sqlite3.Connection]:
    """Another process's connection, as far as SQLite is concerned."""
    sync_ledger.balance("daily", now=NOW)
    connection = sqlite3.connect(sync_ledger.path, isolation_level=None)
    yield connection
    connection.close()


async def _reserve(ledger: AsyncLedger, amount_nano: int = 10) -> Reservation:
    return await ledger.reserve(amount_nano, DAILY, model="m", user=None, lease_s=60.0, now=NOW)


def _taken(ledger: SqliteLedger) -> tuple[int, int]:
    balance = ledger.balance("daily", now=NOW)
    return balance.settled_nano, balance.reserved_nano


async def test_calls_are_reserved_settled_and_released(
    ledger: AsyncLedger, sync_ledger: SqliteLedger
) -> None:
    settled, released = await _reserve(ledger), await _reserve(ledger)
    await ledger.settle(settled, 7, now=NOW)
    await ledger.release(released)
    assert _taken(sync_ledger) == (7, 0)
    with pytest.raises(BudgetExceededError):
        await _reserve(ledger, 94)


async def test_the_event_loop_runs_on_while_others_are_waited_for(
    ledger: AsyncLedger, sync_ledger: SqliteLedger, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    waiting = [asyncio.create_task(_reserve(ledger)) for _ in range(5)]
    longest_s = 0.0
    for _ in range(20):
        started = time.perf_counter()
        await asyncio.sleep(0.005)
        longest_s = max(longest_s, time.perf_counter() - started)
    assert not any(task.done() for task in waiting)
    assert longest_s < 0.1
    other.rollback()
    reservations = await asyncio.gather(*waiting)
    assert _taken(sync_ledger) == (0, 50)
    other.execute("BEGIN IMMEDIATE")
    settling = asyncio.gather(*(ledger.settle(found, 5, now=NOW) for found in reservations))
    await asyncio.sleep(0.01)
    other.rollback()
    await settling
    assert _taken(sync_ledger) == (25, 0)


async def test_a_refusal_comes_through_the_worker_too(
    ledger: AsyncLedger, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(_reserve(ledger, 101))
    await asyncio.sleep(0.01)
    other.rollback()
    with pytest.raises(BudgetExceededError):
        await waiting


async def test_whoever_is_cancelled_while_waiting_leaves_nothing_reserved(
    ledger: AsyncLedger, sync_ledger: SqliteLedger, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(_reserve(ledger))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    other.rollback()
    await ledger.aclose()  # the worker finishes what is under way
    assert _taken(sync_ledger) == (0, 0)
    assert other.execute("SELECT count(*) FROM calls").fetchone() == (1,)  # granted, given back


@pytest.mark.parametrize("way", ["settle", "release"])
async def test_whoever_is_cancelled_has_still_settled(
    ledger: AsyncLedger, sync_ledger: SqliteLedger, other: sqlite3.Connection, way: str
) -> None:
    reservation = await _reserve(ledger)
    other.execute("BEGIN IMMEDIATE")
    if way == "settle":
        waiting = asyncio.create_task(ledger.settle(reservation, 7, now=NOW))
    else:
        waiting = asyncio.create_task(ledger.release(reservation))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    other.rollback()
    await ledger.aclose()
    assert _taken(sync_ledger) == ((7, 0) if way == "settle" else (0, 0))


async def test_a_settlement_that_fails_after_a_cancellation_is_told(
    sync_ledger: SqliteLedger, other: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = AsyncLedger(sync_ledger, wait_s=0.05)
    reservation = await _reserve(ledger)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(ledger.settle(reservation, 7, now=NOW))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with caplog.at_level(logging.ERROR, logger="sluice"):
        await ledger.aclose()
    assert "in use for 0.05 s" in caplog.text
    other.rollback()


async def test_waiting_has_an_end(sync_ledger: SqliteLedger, other: sqlite3.Connection) -> None:
    ledger = AsyncLedger(sync_ledger, wait_s=0.05)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusyError, match=r"in use for 0\.05 s"):
        await _reserve(ledger)
    other.rollback()
    await ledger.aclose()


async def test_errors_of_the_store_come_through(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = AsyncLedger(SqliteLedger(tmp_path / "file" / "ledger.db"))
    with pytest.raises(StoreError, match="folder"):
        await _reserve(ledger)
    await ledger.aclose()


async def test_upkeep_is_done_along_the_way(
    ledger: AsyncLedger, sync_ledger: SqliteLedger, other: sqlite3.Connection
) -> None:
    other.execute("SELECT 1 FROM calls").fetchall()  # open: so closing does no upkeep
    for _ in range(250):
        await ledger.settle(await _reserve(ledger, 0), 0, now=NOW)
    await ledger.aclose()
    without_log = sqlite3.connect(f"file:{sync_ledger.path}?immutable=1", uri=True)
    assert without_log.execute("SELECT count(*) FROM calls").fetchone() == (250,)
    without_log.close()


async def test_a_closed_ledger_opens_again(ledger: AsyncLedger, sync_ledger: SqliteLedger) -> None:
    await _reserve(ledger)
    await ledger.aclose()
    await _reserve(ledger)
    assert _taken(sync_ledger) == (0, 20)
