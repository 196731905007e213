"""The arithmetic of one transaction: many entries at once, and what they change in the totals.

Pure: what the database holds is told, and what is to be written can be read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

import orjson

from ..store.ledger import find_refusal
from .entries import Entry, Hold, HoldEntry, RecordEntry, ReleaseEntry, Window
from .statements import CALL_COLUMNS, OUTCOME_COLUMNS

__all__ = ["Batch", "TotalRow", "is_time_to_free"]

_FREE_EVERY_S: Final = 1.0

TotalRow: TypeAlias = tuple[str, str, int, int]
"""Window, account, and what is added to its settled and its held amount."""

_OUTCOME_ROW: Final = attrgetter(*OUTCOME_COLUMNS)
_CALL_ROW: Final = attrgetter(*CALL_COLUMNS[2:])  # after the request's id and the number


class Batch:
    """The entries of one transaction. One attempt each: to try again, make another.

    First the records and what is given back, then the holds that are asked for, so that these find
    all the room there is.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.records: list[RecordEntry] = []
        self.wanted: list[HoldEntry] = []
        self.over: dict[str, Hold] = {}  # by id: to be deleted
        self.call_rows: list[tuple[Any, ...]] = []
        self.hold_rows: list[tuple[Any, ...]] = []
        self.freed_at: float | None = None  # when those that expired were looked for, if they were
        self._changes: dict[Window, list[int]] = {}  # settled, held
        for entry in entries:
            if isinstance(entry, RecordEntry):
                self.records.append(entry)
                for hold in entry.holds:
                    self.over[hold.id] = hold
            elif isinstance(entry, HoldEntry):
                self.wanted.append(entry)
            elif isinstance(entry, ReleaseEntry):
                self.over[entry.hold.id] = entry.hold

    def outcome_row(self, record: RecordEntry) -> tuple[Any, ...]:
        """The row of an outcome, in the order of OUTCOME_COLUMNS."""
        row: tuple[Any, ...] = _OUTCOME_ROW(record.outcome)
        return row

    def count(self, record: RecordEntry) -> None:
        """Count a record whose outcome was not there before."""
        request_id = record.outcome.request_id
        self.call_rows += [(request_id, n, *_CALL_ROW(call)) for n, call in enumerate(record.calls)]
        if record.charged_nano:
            self._add(record.windows, settled_nano=record.charged_nano)

    def give_back(self, hold: Hold) -> None:
        """Set free what was held: the hold was there, and is deleted."""
        self._add(hold.windows, held_nano=-hold.amount_nano)

    def expire(self, amount_nano: int, windows: str) -> None:
        """Set free what was held by a row of `holds` that is deleted."""
        self._add([(key, who) for key, who in orjson.loads(windows)], held_nano=-amount_nano)

    @property
    def now(self) -> float:
        """The latest moment at which a hold is asked for, in Unix seconds."""
        return max([entry.now for entry in self.wanted])

    @property
    def wanted_windows(self) -> set[Window]:
        """Where it has to be known what is taken."""
        return {window for entry in self.wanted for window in entry.hold.windows}

    def decide(self, taken_nano: Mapping[Window, int], *, kept: Collection[str] = ()) -> None:
        """Grant or refuse the holds that are wanted, one after the other.

        `taken_nano` is what is settled and held before this batch; a window that is not in it holds
        nothing. `kept` are the ids of holds that an attempt before this one has written already.
        """
        taken = dict(taken_nano)
        for window, (settled, held) in self._changes.items():
            taken[window] = taken.get(window, 0) + settled + held
        for entry in self.wanted:
            entry.error = None
            if entry.hold.id not in kept:
                self._decide_one(entry, taken)

    def _decide_one(self, entry: HoldEntry, taken: dict[Window, int]) -> None:
        hold = entry.hold
        for limit, window in zip(entry.limits, entry.limit_windows, strict=True):
            if taken.get(window, 0) + hold.amount_nano > limit.limit_nano:
                by_limit = {
                    limit: taken.get(window, 0)
                    for limit, window in zip(entry.limits, entry.limit_windows, strict=True)
                }
                entry.error = find_refusal(hold.amount_nano, by_limit, now=entry.now)
                return
        windows = orjson.dumps(hold.windows).decode()
        self.hold_rows.append((hold.id, hold.amount_nano, windows, hold.expires_at))
        self._add(hold.windows, held_nano=hold.amount_nano)
        for window in hold.windows:
            taken[window] = taken.get(window, 0) + hold.amount_nano

    def total_rows(self) -> list[TotalRow]:
        """What is added to the totals, once all is counted, in the order of their keys."""
        return [
            (key, who, settled, held)
            for (key, who), (settled, held) in sorted(self._changes.items())
            if settled or held
        ]

    def _add(self, windows: Sequence[Window], *, settled_nano: int = 0, held_nano: int = 0) -> None:
        for window in windows:
            change = self._changes.get(window)
            if change is None:
                self._changes[window] = [settled_nano, held_nano]
            else:
                change[0] += settled_nano
                change[1] += held_nano


def is_time_to_free(last_at: float, now: float) -> bool:
    """Whether holds that have expired are to be looked for (Unix seconds): every second, not in
    every transaction. A clock that was set back counts as time gone by."""
    return not last_at <= now < last_at + _FREE_EVERY_S
