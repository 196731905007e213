"""A store is opened, made and refused; what goes wrong with it is said once, without secrets."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, func, insert, select, text, update
from sqlalchemy.exc import NoResultFound

from router.errors import ConfigError, StoreError, UsageError
from router.records.database import Database
from router.records.tables import METADATA, keys, totals
from router.store.sqlite_ledger import SqliteLedger
from tests.key_databases import postgres_database

ROW = {"window": "2026-11-25", "account": "", "settled_nano": 1, "held_nano": 0}
SECRET = "s3cr3t-value"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/sluice.db"
        return
    with postgres_database() as url:
        yield url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url)
    yield database
    database.close()


def insert_key(connection: Connection, name: str = "n") -> None:
    values = {"id": "k", "hash": "h", "created_at": 0.0, "settings": "{}", "metadata": "{}"}
    connection.execute(insert(keys).values(name=name, **values))


def count_keys(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(keys)).scalar_one())


def drop(connection: Connection, table: str) -> None:
    connection.execute(text(f"DROP TABLE {table}"))


def test_a_new_file_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database.open("sqlite:///new folder/of mine/sluice.db")
    path = tmp_path / "new folder" / "of mine" / "sluice.db"
    assert repr(database) == f"Database('sqlite:///{path}')"
    database.run_sync(insert_key)
    modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "sluice.db-wal" in modes
    monkeypatch.chdir("/")  # it stays where it is
    assert database.run_sync(count_keys) == 1
    database.close()


def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "sluice.db"
    path.touch(mode=0o640)
    Database.open(f"sqlite:///{path}").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_store_that_is_up_to_date_opens_without_alembic(database: Database, url: str) -> None:
    database.run_sync(insert_key)
    ask = (
        "import sys, time; from router.records.database import Database\n"
        "started = time.perf_counter(); Database.open(sys.argv[1]).close()\n"
        "print(time.perf_counter() - started, 'alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask, url], capture_output=True, text=True, check=True
    )
    took_s, has_alembic = done.stdout.split()
    assert has_alembic == "False"
    assert float(took_s) < 1.0  # 0.01 on a machine that does nothing else
    again = Database.open(url, migrate=False)
    assert again.run_sync(count_keys) == 1
    again.close()


def test_without_migrations_a_new_store_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match=r"has version none, and .* is needed"):
        Database.open(url, migrate=False)


def test_a_store_of_a_newer_version_is_refused(database: Database, url: str) -> None:
    database.run_sync(
        lambda found: found.execute(text("UPDATE sluice_version SET version_num=9999"))
    )
    for migrate in (True, False):
        with pytest.raises(StoreError, match=r"has version 9999, .* upgrade Sluice"):
            Database.open(url, migrate=migrate)


def test_another_programs_database_is_refused(url: str) -> None:
    open_for_others = Database.open(url)
    for name in ("sluice_version", "outcomes"):
        open_for_others.run_sync(partial(drop, table=name))
    open_for_others.close()
    with pytest.raises(StoreError, match="another program's database"):
        Database.open(url)


def test_the_sdks_ledger_is_no_store(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.balance("daily", now=0.0)
    ledger.close()
    with pytest.raises(StoreError, match="another program's database"):
        Database.open(f"sqlite:///{tmp_path}/ledger.db")


def test_a_server_may_be_shared_with_others() -> None:
    with postgres_database() as url:
        first = Database.open(url)
        first.run_sync(lambda found: found.execute(text("CREATE TABLE others (id int)")))
        for name in ("sluice_version", *METADATA.tables):
            first.run_sync(partial(drop, table=name))
        first.close()
        Database.open(url).close()


@pytest.mark.parametrize("content", [b"no database " * 400, b"SQLite format 3\0" + b"x" * 5000])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"notes\.txt is damaged, or no database at all"):
        Database.open(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/sluice\.db cannot be made"):
        Database.open(f"sqlite:///{tmp_path}/file/sluice.db")
    with pytest.raises(
        StoreError, match=r"cannot be used .* make the file and its folder writable"
    ):
        Database.open(f"sqlite:///{tmp_path}")  # a folder


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_is_read_only_is_named(tmp_path: Path) -> None:
    Database.open(f"sqlite:///{tmp_path}/old/sluice.db").close()
    (tmp_path / "old").chmod(0o500)
    with pytest.raises(StoreError, match=r"cannot be made .*make its folder writable"):
        Database.open(f"sqlite:///{tmp_path}/old/new.db")
    with pytest.raises(StoreError, match="make the file and its folder writable"):
        Database.open(f"sqlite:///{tmp_path}/old/sluice.db")
    (tmp_path / "old").chmod(0o700)
    (tmp_path / "old" / "sluice.db").chmod(0o400)
    with pytest.raises(StoreError, match="may not be read and written; make the file writable"):
        Database.open(f"sqlite:///{tmp_path}/old/sluice.db")


def test_postgres_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match=r"pip install 'sluice-router\[postgres\]'"):
        Database.open("postgresql://u@h/d")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sluice.db",
        f"mysql://u:{SECRET}@h/d",
        f"postgres://u:{SECRET}@h/d",
        f"postgresql+psycopg2://u:{SECRET}@h/d",
        f"postgresql://u:{SECRET}@h:port/d",
        f"{SECRET}://[",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://relative/path.db",
        "sqlite:///x.db?mode=ro",
    ],
)
def test_a_url_that_names_no_store_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:///FILE \(three slashes") as refused:
        Database.open(url)
    assert refused.value.param == "store.url"
    shown = f"{refused.value}{refused.value.__cause__}"
    assert url.startswith(SECRET) or SECRET not in shown


def test_no_password_is_shown() -> None:
    with postgres_database() as url:
        place = url.rpartition("@")[2]
        for secret_url in (
            f"postgresql://postgres:{SECRET}@{place}",
            f"postgresql://postgres@{place}?password={SECRET}",
        ):
            found = Database.open(secret_url)
            assert SECRET not in f"{found!r}{found.engine!r}{found.name}{found.engine.url}"
            found.close()
        nowhere = place.rpartition("/")[0] + "/sluice_is_not_here"
        with pytest.raises(StoreError, match=r"cannot be reached .*does not exist") as refused:
            Database.open(f"postgresql://postgres:{SECRET}@{nowhere}")
        assert SECRET not in f"{refused.value}{refused.value.__cause__!r}"
        with pytest.raises(StoreError, match=r"cannot be reached .*nobody_here"):
            Database.open(f"postgresql://nobody_here:{SECRET}@{place}")


async def test_work_is_done_in_one_transaction(database: Database) -> None:
    def fail(connection: Connection) -> None:
        insert_key(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.run(fail)
    assert await database.run(count_keys) == 0
    await database.run(insert_key)
    assert await database.run(count_keys) == 1


def test_errors_of_the_database_quote_no_values(database: Database) -> None:
    database.run_sync(insert_key)
    with pytest.raises(StoreError, match="did not take what was to be written") as refused:
        database.run_sync(lambda connection: insert_key(connection, SECRET))
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    with pytest.raises(NoResultFound):  # nothing is wrong with the database
        database.run_sync(lambda connection: connection.execute(select(totals)).one())


def test_a_missing_table_is_a_store_error(database: Database) -> None:
    database.run_sync(partial(drop, table="keys"))
    with pytest.raises(StoreError, match=r"no such table|a table is missing|did not take"):
        database.run_sync(count_keys)


def test_what_was_read_before_another_wrote_is_read_again(database: Database) -> None:
    """In SQLite a transaction that has read may not write once another has written."""
    database.run_sync(lambda connection: connection.execute(insert(totals).values(ROW)))
    n_times = 0

    def double(connection: Connection) -> None:
        nonlocal n_times
        n_times += 1
        found = connection.execute(select(totals.c.settled_nano).with_for_update()).scalar_one()
        if n_times == 1 and database.is_sqlite:
            database.run_sync(add_ten)
        connection.execute(update(totals).values(settled_nano=found * 2))

    def add_ten(connection: Connection) -> None:
        connection.execute(update(totals).values(settled_nano=totals.c.settled_nano + 10))

    database.run_sync(double)
    found = database.run_sync(lambda connection: connection.execute(select(totals)).one())
    assert (found.settled_nano, n_times) == ((22, 2) if database.is_sqlite else (2, 1))


def test_others_are_waited_for(database: Database) -> None:
    release = threading.Event()

    def hold_it(connection: Connection) -> None:
        connection.execute(insert(totals).values(ROW))
        release.wait(10.0)

    holder = threading.Thread(target=lambda: database.run_sync(hold_it))
    holder.start()
    threading.Timer(1.0, release.set).start()
    time.sleep(0.2)
    started = time.monotonic()
    database.run_sync(
        lambda connection: connection.execute(
            text(
                "INSERT INTO totals VALUES ('2026-11-25', '', 5, 0) ON CONFLICT "
                '("window", account) DO UPDATE SET settled_nano = totals.settled_nano + 5'
            )
        )
    )
    assert 0.5 < time.monotonic() - started < 5.0
    holder.join()
    found = database.run_sync(lambda connection: connection.execute(select(totals)).one())
    assert found.settled_nano == 6


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/sluice.db")
    database.close()
    event.listen(database.engine, "connect", _limit_pages)

    def fill(connection: Connection) -> None:
        connection.execute(insert(totals).values([ROW | {"account": "x" * 10**6}]))

    with pytest.raises(StoreError, match="disk has room"):
        database.run_sync(fill)
    assert database.run_sync(count_keys) == 0
    database.close()


def _limit_pages(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA max_page_count = 40")


def test_a_closed_store_opens_again(database: Database) -> None:
    database.run_sync(insert_key)
    database.close()
    assert database.run_sync(count_keys) == 1
