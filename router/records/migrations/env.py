"""Run by Alembic, never imported: takes the steps on the connection that it was given."""

from __future__ import annotations

from alembic import context

from router.records.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
)
context.run_migrations()
