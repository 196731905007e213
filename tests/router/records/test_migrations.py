"""The migrations make what `tables` says, and their files are where an installed copy has them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect

from router.records import migrations
from router.records.database import Database
from router.records.migrations import HEAD, VERSION_TABLE
from router.records.tables import METADATA
from tests.key_databases import postgres_database

FOLDER = Path(migrations.__file__).parent


@pytest.fixture(params=["sqlite", "postgres"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Database, Engine]]:
    """One that was migrated, and one that SQLAlchemy made from the tables."""
    if request.param == "sqlite":
        yield from _both(f"sqlite:///{tmp_path}/migrated.db", f"sqlite:///{tmp_path}/made.db")
        return
    with postgres_database() as migrated, postgres_database() as made:
        yield from _both(migrated, made.replace("postgresql://", "postgresql+psycopg://"))


def _both(migrated: str, made: str) -> Iterator[tuple[Database, Engine]]:
    database, engine = Database.open(migrated), create_engine(made)
    METADATA.create_all(engine)
    yield database, engine
    engine.dispose()
    database.close()


def test_alembic_finds_no_difference(stores: tuple[Database, Engine]) -> None:
    def compare(connection: Connection) -> Any:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return compare_metadata(context, METADATA)

    assert stores[0].run_sync(compare) == []


def test_tables_are_made_alike(stores: tuple[Database, Engine]) -> None:
    database, engine = stores
    with engine.connect() as connection:
        expected = _describe(connection)
    assert database.run_sync(_describe) == expected
    assert set(expected) == set(METADATA.tables)


def _describe(connection: Connection) -> dict[str, Any]:
    found = inspect(connection)
    return {
        table: {
            "columns": [
                (column["name"], repr(column["type"]), column["nullable"], column["default"])
                for column in found.get_columns(table)
            ],
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "unique": sorted(
                tuple(unique["column_names"]) for unique in found.get_unique_constraints(table)
            ),
            "indexes": sorted(
                (str(index["name"]), tuple(index["column_names"]), bool(index["unique"]))
                for index in found.get_indexes(table)
            ),
        }
        for table in found.get_table_names()
        if table != VERSION_TABLE
    }


def test_versions_are_numbered_and_the_newest_is_the_head() -> None:
    scripts = ScriptDirectory(str(FOLDER))
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions[0] == HEAD == scripts.get_current_head()
    assert revisions == [f"{number:04d}" for number in range(len(revisions), 0, -1)]


def test_the_scripts_are_in_the_package() -> None:
    inside = resources.files("router.records.migrations")
    assert inside.joinpath("env.py").is_file()
    assert inside.joinpath("versions", "v0001_first.py").is_file()
