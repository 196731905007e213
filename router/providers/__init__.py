"""Where answers come from: one seam, `Provider`, that production and replay both fill."""

from __future__ import annotations

from typing import Protocol

from ..types import Draft, Query

__all__ = ["Provider"]


class Provider(Protocol):
    """Answers queries as one or many models."""

    async def complete(self, query: Query, model: str) -> Draft:
        """The model's answer; raises UpstreamError when there is none, never an empty draft."""
        ...
