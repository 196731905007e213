"""A fresh store, once in SQLite and once in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.records.database import Database
from tests.key_databases import postgres_database


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database = Database.open(f"sqlite:///{tmp_path}/sluice.db")
        yield database
        database.close()
        return
    with postgres_database() as url:
        database = Database.open(url)
        yield database
        database.close()
