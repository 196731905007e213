"""The seam between the cache and where its entries are: bytes under keys, apart for each tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["CacheKind", "EntryKeys", "Store"]

CacheKind = Literal["exact", "semantic"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryKeys:
    """Where a request's entry is. `exact` is for this very request, `alike` for all that are worded
    alike and otherwise the same, None where wording may not be looked at. Both are 32 bytes and
    depend on the tenant as well; `tenant` (hexadecimal) is what an entry is forgotten by."""

    tenant: str
    exact: bytes
    alike: bytes | None


class Store(Protocol):
    """Keeps entries for a while. What cannot be reached is a miss; only `forget` raises."""

    async def find(self, keys: EntryKeys) -> tuple[CacheKind, bytes] | None:
        """The entry of this very request, else the newest of those worded alike."""
        ...

    async def keep(self, keys: EntryKeys, entry: bytes) -> None:
        """Keep an entry, in place of one under the same keys."""
        ...

    async def forget(self, tenant: str) -> None:
        """Drop all entries of a tenant; raises StoreError when that cannot be done."""
        ...

    async def aclose(self) -> None:
        """Let go of what is held."""
        ...
