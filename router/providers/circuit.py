"""A circuit breaker: an endpoint that keeps failing is left alone for a while.

closed --N failures in a row--> open --cool-down--> half-open --probe well--> closed
                                  ^-----------probe failed, cool-down doubled----'

Pure: time is an argument, in seconds of any clock that does not go back.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["COOL_DOWN_S", "MAX_COOL_DOWN_S", "MAX_FAILURES", "CircuitBreaker", "CircuitState"]

CircuitState = Literal["closed", "open", "half-open"]

MAX_FAILURES: Final = 5
COOL_DOWN_S: Final = 10.0
MAX_COOL_DOWN_S: Final = 120.0


class CircuitBreaker:
    """The state of one endpoint. A call asks `allow` first, then ends in exactly one of
    `succeed`, `fail` and `abandon`."""

    def __init__(
        self,
        *,
        max_failures: int = MAX_FAILURES,
        cool_down_s: float = COOL_DOWN_S,
        max_cool_down_s: float = MAX_COOL_DOWN_S,
    ) -> None:
        self._max_failures = max_failures
        self._first_cool_down_s = cool_down_s
        self._max_cool_down_s = max_cool_down_s
        self._cool_down_s = cool_down_s
        self._failures = 0
        self._open_until: float | None = None  # None: closed
        self._probing = False

    def allow(self, now: float) -> bool:
        """Whether a call may go out; after the cool-down one may, as the probe."""
        if self._open_until is None:
            return True
        if self._probing or now < self._open_until:
            return False
        self._probing = True
        return True

    def wait_s(self, now: float) -> float:
        """Seconds until a probe may go out, 0 when a call may."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - now)

    def state(self, now: float) -> CircuitState:
        """Where in the drawing above it is; half-open from when a probe may go out."""
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half-open"

    def succeed(self) -> None:
        """The call was answered."""
        self._failures = 0
        self._open_until = None
        self._probing = False
        self._cool_down_s = self._first_cool_down_s

    def fail(self, now: float) -> None:
        """The call failed in a way that tells of the endpoint, not of the request."""
        self._failures += 1
        if self._probing:
            self._cool_down_s = min(2 * self._cool_down_s, self._max_cool_down_s)
        elif self._open_until is not None or self._failures < self._max_failures:
            return  # a straggler of before it opened, or not enough of them
        self._probing = False
        self._open_until = now + self._cool_down_s

    def abandon(self) -> None:
        """The call ended without telling anything of the endpoint: cancelled, or refused for
        what was asked."""
        self._probing = False
