"""Forgetting: outcomes older than the retention period go, with their calls and labels.

What the ledger has counted (`tables.totals`) stays: budgets and bills do not change by it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from sqlalchemy import Connection, delete, select

from .database import Database
from .tables import calls, feedback, outcomes

__all__ = ["prune", "prune_outcomes"]

_BATCH: Final = 500  # outcomes in one transaction: some ten milliseconds, for which writers wait
_PAUSE_S: Final = 0.05  # between two of them, in which writers go first


async def prune_outcomes(database: Database, *, before: float, batch: int = _BATCH) -> int:
    """Delete all outcomes from before that moment (Unix seconds); how many there were.

    In small transactions, so that writers are not held up; when it is interrupted, what is done is
    done. Several processes may do so at once. Raises StoreError.
    """
    n_deleted = 0
    while True:
        found = await database.run(partial(prune, older_than=before, batch=batch))
        n_deleted += found
        if found < batch:
            return n_deleted
        await asyncio.sleep(_PAUSE_S)


def prune(connection: Connection, *, older_than: float, batch: int = _BATCH) -> int:
    """Delete the `batch` oldest outcomes from before `older_than` (Unix seconds) and all that hangs
    on them; how many there were."""
    oldest = (
        select(outcomes.c.id, outcomes.c.request_id)
        .where(outcomes.c.at < older_than)
        .order_by(outcomes.c.at)
        .limit(batch)
        .with_for_update(skip_locked=True)  # SQLite has no such thing, and one writer
    )
    found = connection.execute(oldest).all()
    if found:
        request_ids = [row.request_id for row in found]
        for table in (calls, feedback):
            connection.execute(delete(table).where(table.c.request_id.in_(request_ids)))
        connection.execute(delete(outcomes).where(outcomes.c.id.in_([row.id for row in found])))
    return len(found)
