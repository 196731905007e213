"""Token buckets: full to begin with, emptied by use, filled again evenly within a minute.

Pure: time is an argument, in seconds of a clock that does not go back.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Bucket", "wait_s"]

_MINUTE_S = 60.0


@dataclass(kw_only=True, slots=True)
class Bucket:
    """What is left of a limit per minute: `level`, as of the moment `at`. More may be taken than
    there is; then the level is negative."""

    limit: int
    level: float
    at: float

    def refill(self, limit: int, now: float) -> None:
        """Bring the level up to now; the limit may have been changed meanwhile."""
        self.limit = limit
        self.level = min(limit, self.level + (now - self.at) * limit / _MINUTE_S)
        self.at = now

    def is_full(self, now: float) -> bool:
        """Whether nothing of the limit is in use any more."""
        return self.level + (now - self.at) * self.limit / _MINUTE_S >= self.limit


def wait_s(level: float, limit: int) -> float:
    """How long until there is one to take, in seconds; 0 where there is."""
    return max(0.0, (1.0 - level) * _MINUTE_S / limit)
