"""Where answers come from: one seam, `Provider`, that production and replay both fill."""

from __future__ import annotations

from typing import Protocol, TypeVar

from ..types import Draft, Query

__all__ = ["Provider"]

_Answer = TypeVar("_Answer", bound=Draft, covariant=True)


class Provider(Protocol[_Answer]):
    """Answers queries as one or many models."""

    async def complete(self, query: Query, model: str) -> _Answer:
        """The model's answer; raises UpstreamError when there is none, never an empty draft."""
        ...
