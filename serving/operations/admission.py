"""How many requests are worked on at once; the rest wait in turn, or are told when to come again.

Tenants take turns in the queue, so that one that asks for much waits for itself and not the others
for it; and when the queue is full, whoever has most in it loses its newest place to a tenant that
has less.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque

from ..errors import ApiError

__all__ = ["Admission"]

_Place = asyncio.Future[bool]  # True: come in; False: the place was lost to another tenant


class Admission:
    """A gate for one event loop. Whoever has come through `enter` has to `leave`, once."""

    def __init__(self, *, max_concurrency: int, max_queue: int, queue_timeout_s: float) -> None:
        self.in_flight = 0
        self.waiting = 0
        self._max_concurrency = max_concurrency
        self._max_queue = max_queue
        self._queue_timeout_s = queue_timeout_s
        # Tenants in the order of their turns, each with its places in the order they came; none of
        # them is empty. A place whose waiter was cancelled may stay in it for a moment.
        self._queues: OrderedDict[str, deque[_Place]] = OrderedDict()

    async def enter(self, tenant: str = "") -> None:
        """Come in at once where there is room, else wait; raises ApiError (429) when the queue is
        full or the wait too long."""
        if self.in_flight < self._max_concurrency:  # nobody waits while there is room
            self.in_flight += 1
            return
        if self.waiting >= self._max_queue and not self._make_room(tenant):
            raise self._refusal("too many requests wait for their turn already")
        await self._wait(tenant)

    def leave(self) -> None:
        """Let the next one in, if anybody waits."""
        while self._queues:
            tenant, places = next(iter(self._queues.items()))
            place = places[0]
            self._take_out(tenant, place)
            if not place.done():
                if tenant in self._queues:
                    self._queues.move_to_end(tenant)
                place.set_result(True)  # in_flight stays: the room goes from hand to hand
                return
        self.in_flight -= 1

    async def _wait(self, tenant: str) -> None:
        place: _Place = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, deque()).append(place)
        self.waiting += 1
        try:
            async with asyncio.timeout(self._queue_timeout_s):
                admitted = await place
        except BaseException as exc:  # cancelled, or out of time
            if place.done() and not place.cancelled():
                if place.result():  # let in at that very moment
                    self.leave()
            else:
                self._take_out(tenant, place)
            if isinstance(exc, TimeoutError):
                message = f"no turn came within {self._queue_timeout_s:g} s"
                raise self._refusal(message) from None
            raise
        if not admitted:
            raise self._refusal("too many requests wait for their turn already")

    def _make_room(self, tenant: str) -> bool:
        """Send away the newest of the tenant that has most places, if that leaves it with no fewer
        than `tenant` will have then."""
        if not self._queues:
            return False
        largest = max(self._queues, key=lambda name: len(self._queues[name]))
        own = len(self._queues.get(tenant, ()))
        if len(self._queues[largest]) <= own + 1:
            return False
        place = self._queues[largest][-1]
        self._take_out(largest, place)
        if not place.done():
            place.set_result(False)
        return True

    def _take_out(self, tenant: str, place: _Place) -> None:
        """Take a place out of the queue, if it is still in there."""
        places = self._queues.get(tenant)
        if places is None or place not in places:
            return
        places.remove(place)
        if not places:
            del self._queues[tenant]
        self.waiting -= 1

    def _refusal(self, what: str) -> ApiError:
        """A queue that is full now will have moved on by the time that one may wait in it."""
        again_s = max(1, min(30, math.ceil(self._queue_timeout_s)))
        return ApiError(
            429,
            f"the service is busy: {what}; try again in {again_s} s",
            code="rate_limit_exceeded",
            kind="rate_limit_error",
            headers={"retry-after": str(again_s)},
        )
