"""A connection that is cut: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress

import psycopg
import pytest
from sqlalchemy import text

from router.errors import StoreError
from router.records.database import Database
from router.records.entries import Entry
from router.records.journal import Hold, Journal
from router.records.postgres_writer import PostgresWriter
from tests.journal_books import ACCOUNTS, NOW, audit, limit, made_call, made_outcome
from tests.server_process import free_port

DAILY = (limit(1000),)


class CuttingProxy:
    """Passes bytes on to a server on loopback, until it is told to cut.

    `swallow_commits`: so many commits still reach the server, whose answer the client never gets.
    """

    def __init__(self, target_port: int) -> None:
        self.swallow_commits = 0
        self.is_down = False
        self.n_connections = 0
        self._target_port = target_port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for end in self._open:
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.is_down:
                    client.close()
                    continue
                self.n_connections += 1
                server = socket.create_connection(("127.0.0.1", self._target_port))
                self._open += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pass_on, args=(source, target), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.swallow_commits and b"COMMIT" in data:
                    self.swallow_commits -= 1
                    source.shutdown(socket.SHUT_RDWR)  # whatever the answer, nobody gets it
                target.sendall(data)
        for end, way in ((source, socket.SHUT_RDWR), (target, socket.SHUT_WR)):
            with suppress(OSError):
                end.shutdown(way)


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(psycopg.conninfo.conninfo_to_dict(postgres_url)["port"])
    yield proxy
    proxy.close()


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """Straight to the server."""
    database = Database.open(postgres_url)
    yield database
    database.close()


@pytest.fixture
async def journal(
    postgres_url: str, database: Database, proxy: CuttingProxy
) -> AsyncIterator[Journal]:
    """Through the proxy."""
    parts = psycopg.conninfo.conninfo_to_dict(postgres_url)
    through = Database.open(
        f"postgresql://{parts['user']}@127.0.0.1:{proxy.port}/{parts['dbname']}?sslmode=disable"
    )
    journal = Journal(through)
    yield journal
    await journal.aclose()
    through.close()


async def hold(journal: Journal, amount_nano: int = 10) -> Hold:
    return await journal.hold(amount_nano, DAILY, lease_s=60.0, now=NOW)


async def record(journal: Journal, request_id: str, *holds: Hold) -> None:
    await journal.record(made_outcome(request_id, 7), [made_call(7)], holds, ACCOUNTS)


async def test_a_server_that_ends_the_connection_between_two_batches_is_not_noticed(
    journal: Journal, database: Database, postgres_url: str
) -> None:
    held = await hold(journal)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await asyncio.gather(record(journal, "r1", held), hold(journal, 3))
    books = audit(database)
    assert (books.request_ids, books.n_holds) == (["r1"], 1)


async def test_a_server_that_ends_the_connection_amid_a_batch_is_not_noticed(
    journal: Journal, database: Database, postgres_url: str
) -> None:
    held = await hold(journal)
    with psycopg.connect(postgres_url) as other, psycopg.connect(postgres_url) as admin:
        other.execute("LOCK TABLE totals")
        waiting = asyncio.gather(record(journal, "r1", held), hold(journal, 3))
        killed = None
        while killed is None:  # the journal's connection, waiting in the middle of its transaction
            await asyncio.sleep(0.02)
            killed = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
            admin.commit()
        assert not waiting.done()
        other.rollback()
        await waiting
    books = audit(database)
    assert (books.request_ids, books.n_holds) == (["r1"], 1)


async def test_a_commit_whose_answer_is_lost_counts_once(
    journal: Journal, database: Database, proxy: CuttingProxy
) -> None:
    held, other = await hold(journal), await hold(journal)
    before = proxy.n_connections
    proxy.swallow_commits = 1
    granted, *_ = await asyncio.gather(
        hold(journal, 100), record(journal, "r1", held), journal.release(other)
    )
    assert proxy.swallow_commits == 0
    assert proxy.n_connections == before + 1
    books = audit(database)
    assert (books.request_ids, books.n_calls, books.n_holds) == (["r1"], 1, 1)
    await journal.release(granted)
    assert audit(database).n_holds == 0


async def test_a_lost_server_is_waited_for_where_something_was_paid(
    journal: Journal, database: Database, proxy: CuttingProxy
) -> None:
    held = await hold(journal)
    proxy.is_down = True
    proxy.cut()
    with pytest.raises(StoreError, match="cannot be reached"):
        await hold(journal)
    recording = asyncio.create_task(record(journal, "r1", held))
    await asyncio.sleep(0.5)
    assert not recording.done()
    proxy.is_down = False
    await recording
    assert audit(database).request_ids == ["r1"]


async def test_what_cannot_be_reached_is_named_without_its_password(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.records.postgres_writer._PATIENCE_S", 0.2)
    with pytest.raises(StoreError, match="cannot be reached") as refused:
        Database.open(f"postgresql://u:s3cret@127.0.0.1:{free_port()}/d")
    assert "s3cret" not in f"{refused.value}{refused.value.__cause__}"


async def test_a_table_that_is_gone_is_no_fault_of_a_row(
    journal: Journal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    write = PostgresWriter.write

    def counted(self: PostgresWriter, entries: Sequence[Entry], *, wait_s: float) -> None:
        tries.append(len(entries))
        write(self, entries, wait_s=wait_s)

    monkeypatch.setattr(PostgresWriter, "write", counted)
    database.run_sync(lambda connection: connection.execute(text("DROP TABLE calls, outcomes")))
    records = [
        journal.record(made_outcome(f"r{n}", 1), [made_call(1)], [], ACCOUNTS) for n in range(50)
    ]
    found = await asyncio.gather(*records, return_exceptions=True)
    assert all(isinstance(error, StoreError) for error in found)
    assert {str(error).partition(": ")[2] for error in found} == {
        "a table is missing; see that nobody removed tables of the store"
    }
    assert sum(tries) == 50  # none was tried on its own again
