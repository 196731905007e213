"""What the listener of a run is told on the way, and when its caller got a first piece."""

from __future__ import annotations

import time
from typing import Final, Protocol

from ..chat import Completion, Delta
from .events import ChunkEvent, StreamEvent, UsageEvent

__all__ = ["Listener", "Telling"]

_PIECE_CHARS: Final = 64  # of an accepted draft, in one chunk


class Listener(Protocol):
    """Where events of a run go."""

    def put(self, event: StreamEvent) -> None:
        """Take an event."""
        ...

    async def room(self) -> None:
        """Wait until the listener keeps up."""
        ...


class Telling:
    """Tells the listener of one run, if it has one. `started` is of the clock `perf_counter`.

    It is not the run itself, which holds the calls: if these held the run in turn, all that a run
    has read would be left to the garbage collector, which takes longer than answering does anywhere
    else.
    """

    def __init__(self, listener: Listener | None, *, started: float) -> None:
        self.first_token_ms: float | None = None
        self._listener = listener
        self._started = started
        self._passed_on = False

    @property
    def is_heard(self) -> bool:
        """Whether there is a listener."""
        return self._listener is not None

    def tell(self, event: StreamEvent) -> None:
        """Tell of an event."""
        if self._listener is not None:
            self._listener.put(event)

    def answered(self, completion: Completion) -> None:
        """A call is paid for."""
        if self._listener is None:
            return
        model = completion.model or ""
        self.tell(UsageEvent(model=model, usage=completion.usage, cost_usd=completion.cost_usd))

    async def passed_on(self, model: str, delta: Delta) -> None:
        """A piece of the answer, as it comes."""
        assert self._listener is not None
        self._passed_on = True
        if delta.content or delta.tool_calls:
            self._saw_first_token()
        self.tell(
            ChunkEvent(content=delta.content, tool_calls=delta.tool_calls, model=model, delta=delta)
        )
        await self._listener.room()

    async def pass_on_whole(self, answer: Completion) -> None:
        """Pass on an answer that was held back until it was accepted; nothing if it came live."""
        if self._listener is None or self._passed_on:
            return
        model = answer.model or ""
        self._saw_first_token()
        for start in range(0, len(answer.text), _PIECE_CHARS):
            piece = answer.text[start : start + _PIECE_CHARS]
            self.tell(ChunkEvent(content=piece, model=model))
            await self._listener.room()
        if answer.tool_calls:
            calls = tuple({"index": i, **call} for i, call in enumerate(answer.tool_calls))
            self.tell(ChunkEvent(tool_calls=calls, model=model))

    def _saw_first_token(self) -> None:
        if self.first_token_ms is None:
            self.first_token_ms = (time.perf_counter() - self._started) * 1000
