"""Entries in this process's memory: bounded in number and bytes, the longest unused go first."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .store import CacheKind, EntryKeys

__all__ = ["MemoryStore"]

_MAX_BYTES: Final = 256 * 1024 * 1024
_LARGEST_SHARE: Final = 16  # an entry of more than a sixteenth of all would drive out too many
_ENTRY_BYTES: Final = 500  # that an entry takes beside its content, measured


@dataclass(frozen=True, slots=True)
class _Entry:
    keys: EntryKeys
    content: bytes
    expires_at: float

    @property
    def size(self) -> int:
        return len(self.content) + _ENTRY_BYTES


class MemoryStore:
    """A store of one process, for one event loop. `clock` is in seconds, and never goes back."""

    def __init__(
        self,
        *,
        max_entries: int,
        ttl_s: float,
        max_bytes: int = _MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._by_use: OrderedDict[bytes, _Entry] = OrderedDict()  # by exact key
        self._by_age: dict[bytes, None] = {}  # exact keys, oldest first
        self._alike: dict[bytes, bytes] = {}  # to the exact key of the newest
        self._n_bytes = 0

    def __len__(self) -> int:
        return len(self._by_use)

    @property
    def n_bytes(self) -> int:
        """What the entries take, near enough."""
        return self._n_bytes

    async def find(self, keys: EntryKeys) -> tuple[CacheKind, bytes] | None:
        """The entry of this very request, else the newest of those worded alike."""
        found = self._find(keys.exact)
        if found is not None:
            return "exact", found
        other = None if keys.alike is None else self._alike.get(keys.alike)
        found = None if other is None else self._find(other)
        return None if found is None else ("semantic", found)

    async def keep(self, keys: EntryKeys, entry: bytes) -> None:
        """Keep an entry unless it is too large; others make room."""
        now = self._clock()
        self._drop(keys.exact)
        kept = _Entry(keys, entry, now + self._ttl_s)
        if kept.size * _LARGEST_SHARE > self._max_bytes:
            return
        self._by_use[keys.exact] = kept
        self._by_age[keys.exact] = None
        if keys.alike is not None:
            self._alike[keys.alike] = keys.exact
        self._n_bytes += kept.size
        self._make_room(now)

    async def forget(self, tenant: str) -> None:
        """Drop all entries of a tenant."""
        for key in [key for key, one in self._by_use.items() if one.keys.tenant == tenant]:
            self._drop(key)

    async def aclose(self) -> None:
        """Drop everything."""
        self._by_use.clear()
        self._by_age.clear()
        self._alike.clear()
        self._n_bytes = 0

    def _make_room(self, now: float) -> None:
        """Drop what has expired, then what has not been used for the longest time."""
        expired = itertools.takewhile(lambda key: self._by_use[key].expires_at <= now, self._by_age)
        for key in list(expired):
            self._drop(key)
        while len(self._by_use) > self._max_entries or self._n_bytes > self._max_bytes:
            self._drop(next(iter(self._by_use)))

    def _find(self, key: bytes) -> bytes | None:
        found = self._by_use.get(key)
        if found is None:
            return None
        if found.expires_at <= self._clock():
            self._drop(key)
            return None
        self._by_use.move_to_end(key)
        return found.content

    def _drop(self, key: bytes) -> None:
        dropped = self._by_use.pop(key, None)
        if dropped is None:
            return
        del self._by_age[key]
        self._n_bytes -= dropped.size
        alike = dropped.keys.alike
        if alike is not None and self._alike.get(alike) == key:
            del self._alike[alike]
