"""The schema's history: each file in `versions/` is one step, made by Alembic."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection

__all__ = ["HEAD", "VERSION_TABLE", "upgrade"]

HEAD: Final = "0001"
"""The newest version. Versions are numbered; whoever adds a step raises this (a test compares)."""

VERSION_TABLE: Final = "sluice_version"


def upgrade(connection: Connection) -> None:
    """Take the steps that the database has not seen yet, in the caller's transaction."""
    from alembic import command  # takes a third of a second, and hardly anybody needs it
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    folder = str(Path(__file__).parent)
    config.set_main_option("script_location", folder.replace("%", "%%"))
    command.upgrade(config, "head")
