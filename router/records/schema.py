"""Whether a database holds our tables, in which version, and bringing it up to date."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, inspect, text

from ..errors import StoreError
from .migrations import HEAD, VERSION_TABLE, upgrade
from .tables import METADATA

__all__ = ["find_version", "upgrade_schema"]

_LOCK_ID: Final = 0x534C4757_0001  # of PostgreSQL's advisory locks: one replica changes the schema


def find_version(connection: Connection, name: str) -> str | None:
    """The version of the tables, None where there are none yet.

    Raises StoreError when the database is another program's or of a newer version.
    """
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        _refuse_foreign(connection, tables, name)
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    if found is None or not found.isdecimal() or found > HEAD:
        raise StoreError(
            f"the store {name} has version {found}, and this Sluice knows versions up to {HEAD}; "
            "upgrade Sluice, or name another place"
        )
    return str(found)


def upgrade_schema(connection: Connection, name: str) -> None:
    """Make or change the tables as needed, in the caller's transaction; others wait meanwhile.

    In SQLite that transaction has to be one that writes from its beginning.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK_ID})
    if find_version(connection, name) != HEAD:  # else another process was faster
        upgrade(connection)


def _refuse_foreign(connection: Connection, tables: set[str], name: str) -> None:
    """A file is one program's; a server's schema may be shared, as long as no name is taken."""
    is_sqlite = connection.dialect.name == "sqlite"
    taken = tables if is_sqlite else tables & set(METADATA.tables)
    if taken:
        shown = ", ".join(sorted(taken)[:3])
        raise StoreError(
            f"the store {name} is another program's database (it has the tables {shown}, and no "
            f"{VERSION_TABLE}); name another place"
        )
