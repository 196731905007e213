"""What only a file can do: be locked, fill its disk, break, keep a log that has to be emptied."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from router.errors import StoreError
from router.records.database import Database
from router.records.journal import Hold, Journal
from router.records.sqlite_writer import SqliteWriter
from tests.journal_books import ACCOUNTS, NOW, audit, limit, made_call, made_outcome, read_books


@pytest.fixture
def url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def path(database: Database) -> Path:
    return Path(database.name.removeprefix("sqlite:///"))


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's connection."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


async def hold(journal: Journal, amount_nano: int = 1) -> Hold:
    return await journal.hold(amount_nano, (limit(10**12),), lease_s=60.0, now=NOW)


async def record(journal: Journal, request_id: str, *, answer: str = "") -> None:
    outcome = made_outcome(request_id, 1, answer=answer)
    await journal.record(outcome, [made_call(1)], [], ACCOUNTS)


async def test_a_database_that_is_locked_for_a_second_is_waited_for(
    journal: Journal, database: Database, other: sqlite3.Connection
) -> None:
    await record(journal, "before")
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(1.0, lambda: other.execute("ROLLBACK")).start()
    started = asyncio.get_running_loop().time()
    held, _ = await asyncio.gather(hold(journal), record(journal, "r"))
    assert 0.5 < asyncio.get_running_loop().time() - started < 4.0
    await journal.release(held)
    assert sorted(audit(database).request_ids) == ["before", "r"]


async def test_waiting_has_an_end(database: Database, other: sqlite3.Connection) -> None:
    journal = Journal(database, wait_s=0.1)
    await record(journal, "before")
    other.execute("BEGIN IMMEDIATE")
    for waiting in (hold(journal), record(journal, "r")):
        with pytest.raises(StoreError, match=r"was in use for 0\.1 s"):
            await waiting
    other.execute("ROLLBACK")
    await record(journal, "after")
    await journal.aclose()
    assert audit(database).request_ids == ["before", "after"]


async def test_what_another_program_writes_is_seen(
    journal: Journal, other: sqlite3.Connection
) -> None:
    await hold(journal)
    other.execute("UPDATE totals SET settled_nano = 1000000000000")
    with pytest.raises(Exception, match="limit of 1000"):
        await hold(journal)
    other.execute("UPDATE totals SET settled_nano = 0")
    await hold(journal)


async def test_a_full_disk_is_told_and_nothing_is_half_written(database: Database) -> None:
    database.close()
    most_pages = [60]
    event.listen(
        database.engine,
        "connect",
        lambda connection, _: connection.execute(f"PRAGMA max_page_count = {most_pages[0]}"),
    )
    journal = Journal(database)
    await record(journal, "r0")
    with pytest.raises(StoreError, match="see that its disk has room"):
        await record(journal, "big", answer="x" * 10**6)
    assert audit(database).request_ids == ["r0"]
    most_pages[0] = 10**6
    database.close()
    await record(journal, "r1", answer="x" * 10**6)
    await journal.aclose()
    assert audit(database).request_ids == ["r0", "r1"]


async def test_a_file_that_breaks_is_told(journal: Journal, path: Path) -> None:
    await record(journal, "r0")
    await journal.aclose()
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 200_000)
    with pytest.raises(StoreError, match="is damaged"):
        await record(journal, "r1")


async def test_the_log_is_emptied_along_the_way(
    database: Database, path: Path, other: sqlite3.Connection
) -> None:
    log = path.with_name("sluice.db-wal")
    other.execute("SELECT 1 FROM outcomes").fetchall()  # open: so closing empties nothing
    journal = Journal(database)
    sizes = []
    for round_no in range(6):
        for number in range(500):
            await record(journal, f"r{round_no}-{number}", answer="x" * 2000)
        sizes.append(log.stat().st_size)
    await journal.aclose()
    assert max(sizes) < 64e6
    assert sizes[-1] < 1.5 * sizes[2]  # used again from its beginning
    assert len(read_books(database).request_ids) == 3000


async def test_upkeep_leaves_a_busy_database_alone(
    database: Database, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.records.sqlite_writer._TIDY_WAIT_S", 0.05)
    writer = SqliteWriter(database)
    other.execute("BEGIN IMMEDIATE")
    writer.tidy()
    other.execute("ROLLBACK")
    writer.tidy()
    writer.close()
