"""Keys looked up in the database, many at a time: one query is under way, and the next one takes
along all who have come meanwhile. So a flood of unknown keys costs few queries."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from router.records.database import Database
from router.records.key_records import KeyRecord, find_keys

__all__ = ["KeyLookups"]

_MAX_IDS: Final = 500  # of one query


@dataclass(kw_only=True, eq=False)
class _Batch:
    ids: set[str] = field(default_factory=set)
    query: asyncio.Task[Mapping[str, KeyRecord]] | None = None


class KeyLookups:
    """Finds keys by id; for one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self._next: _Batch | None = None  # not asked yet: takes further ids

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key as it is in the database from now on, None when there is none; StoreError."""
        batch = self._next
        if batch is None or len(batch.ids) >= _MAX_IDS:
            batch = self._next = _Batch()
            batch.query = asyncio.create_task(self._ask(batch))
        batch.ids.add(key_id)
        assert batch.query is not None
        # Others wait for the same answer: one that is cancelled must not take it from them.
        found = await asyncio.shield(batch.query)
        return found.get(key_id)

    async def _ask(self, batch: _Batch) -> Mapping[str, KeyRecord]:
        async with self._turn:
            if self._next is batch:
                self._next = None
            return await self._database.run(partial(find_keys, key_ids=batch.ids))
