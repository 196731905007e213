"""Which outcomes a question is about: a span of time, and whose."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from .tables import outcomes

__all__ = ["Scope"]


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Outcomes from `from_at` up to, not including, `to_at` (Unix seconds). `key_id`: only those of
    one key; open mode's have the key ''. None: everybody's."""

    from_at: float
    to_at: float
    key_id: str | None = None

    def owned(self) -> list[ColumnElement[bool]]:
        """Whose, in SQL."""
        return [] if self.key_id is None else [outcomes.c.key_id == self.key_id]

    def conditions(self) -> list[ColumnElement[bool]]:
        """All of it in SQL."""
        return [outcomes.c.at >= self.from_at, outcomes.c.at < self.to_at, *self.owned()]
