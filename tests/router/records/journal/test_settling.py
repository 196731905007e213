"""The arithmetic of a transaction, without a database."""

from __future__ import annotations

import json
from collections.abc import Sequence

from router.budget import Limit
from router.errors import BudgetExceededError
from router.records.accounts import TOTAL
from router.records.entries import (
    Hold,
    HoldEntry,
    RecordEntry,
    ReleaseEntry,
    account_windows,
    limit_windows,
)
from router.records.settling import Batch, is_time_to_free
from tests.journal_books import DAY, MONTH, NOW, limit, made_call, made_outcome

TODAY = (DAY, TOTAL)


def wanted(name: str, amount_nano: int, *limits: Limit) -> HoldEntry:
    windows = limit_windows(limits, NOW)
    hold = Hold(id=name, amount_nano=amount_nano, windows=windows, expires_at=NOW + 60.0)
    return HoldEntry(hold=hold, limits=limits, limit_windows=windows, now=NOW)


def record(name: str, cost_nano: int, holds: Sequence[Hold] = ()) -> RecordEntry:
    return RecordEntry(
        outcome=made_outcome(name, cost_nano),
        calls=[made_call(cost_nano)],
        holds=holds,
        windows=account_windows([TOTAL], NOW),
    )


def test_windows_are_days_and_months() -> None:
    assert limit_windows([limit(1), limit(1, "key:a", monthly=True)], NOW) == (
        (DAY, TOTAL),
        (MONTH, "key:a"),
    )
    assert account_windows([TOTAL, "key:a"], NOW) == (
        (DAY, TOTAL),
        (MONTH, TOTAL),
        (DAY, "key:a"),
        (MONTH, "key:a"),
    )


def test_holds_are_granted_one_after_the_other_as_long_as_there_is_room() -> None:
    entries = [
        wanted(name, amount, limit(100)) for name, amount in (("a", 60), ("b", 50), ("c", 5))
    ]
    batch = Batch(entries)
    batch.decide({TODAY: 30})
    assert [entry.error is None for entry in entries] == [True, False, True]
    assert isinstance(entries[1].error, BudgetExceededError)
    assert batch.total_rows() == [(DAY, TOTAL, 0, 65)]
    windows = json.dumps([[DAY, TOTAL]], separators=(",", ":"))
    assert batch.hold_rows == [("a", 60, windows, NOW + 60.0), ("c", 5, windows, NOW + 60.0)]


def test_what_is_paid_in_the_same_transaction_counts_before_holds_are_granted() -> None:
    entry, paid = wanted("a", 10, limit(100)), record("r", 91)
    batch = Batch([entry, paid])
    batch.count(paid)
    batch.decide({})
    assert isinstance(entry.error, BudgetExceededError)
    assert batch.total_rows() == [(MONTH, TOTAL, 91, 0), (DAY, TOTAL, 91, 0)]
    assert [row[0] for row in batch.call_rows] == ["r"]


def test_what_is_given_back_in_the_same_transaction_is_room_for_others() -> None:
    old = wanted("old", 100, limit(100)).hold
    entry = wanted("new", 100, limit(100))
    batch = Batch([entry, ReleaseEntry(hold=old), record("r", 0, [old])])
    assert list(batch.over) == ["old"]
    batch.give_back(old)
    batch.decide({TODAY: 100})
    assert entry.error is None
    assert batch.total_rows() == []  # one takes what the other gives


def test_what_has_expired_is_room_for_others() -> None:
    entry = wanted("new", 10, limit(100))
    batch = Batch([entry])
    batch.expire(95, json.dumps([[DAY, TOTAL], ["2026-11-24", TOTAL]]))
    batch.decide({TODAY: 100})
    assert entry.error is None
    assert batch.total_rows() == [("2026-11-24", TOTAL, 0, -95), (DAY, TOTAL, 0, -85)]


def test_a_hold_that_an_earlier_attempt_has_written_is_granted_and_not_counted_again() -> None:
    kept, refused = wanted("kept", 60, limit(100)), wanted("refused", 60, limit(100))
    batch = Batch([kept, refused])
    batch.decide({TODAY: 60}, kept={"kept"})
    assert kept.error is None
    assert refused.error is not None
    assert (batch.hold_rows, batch.total_rows()) == ([], [])


def test_expired_holds_are_looked_for_every_second() -> None:
    assert not is_time_to_free(NOW, NOW)
    assert not is_time_to_free(NOW, NOW + 0.99)
    assert is_time_to_free(NOW, NOW + 1.0)
    assert is_time_to_free(NOW, NOW - 0.1)  # the clock was set back
