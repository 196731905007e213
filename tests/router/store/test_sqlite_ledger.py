"""The ledger in SQLite: what it grants, what it keeps, and what it says when it cannot."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router.budget import Limit
from router.errors import BudgetExceededError, InputError, StoreError
from router.store.ledger import LedgerBusyError, Reservation
from router.store.sqlite_ledger import SqliteLedger
from router.store.sqlite_schema import SCHEMA_VERSION

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
HOUR = 3_600.0
DAILY = Limit(scope="daily", limit_nano=100)
MONTHLY = Limit(scope="monthly", limit_nano=150)
ANNS = Limit(scope="user_daily", limit_nano=30, user="ann")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(path)
    yield ledger
    ledger.close()


def _reserve(
    ledger: SqliteLedger,
    amount_nano: int,
    *limits: Limit,
    user: str | None = None,
    now: float = NOON,
    lease_s: float = 60.0,
    wait_s: float = 5.0,
) -> Reservation:
    return ledger.reserve(
        amount_nano, limits, model="m", user=user, lease_s=lease_s, now=now, wait_s=wait_s
    )


def _taken(ledger: SqliteLedger, *, user: str | None = None, now: float = NOON) -> tuple[int, int]:
    balance = ledger.balance("daily", user=user, now=now)
    return balance.settled_nano, balance.reserved_nano


def test_a_limit_is_filled_to_the_brim_and_no_further(ledger: SqliteLedger) -> None:
    first = _reserve(ledger, 60, DAILY)
    _reserve(ledger, 40, DAILY)
    with pytest.raises(BudgetExceededError):
        _reserve(ledger, 1, DAILY)
    ledger.settle(first, 50, now=NOON)
    _reserve(ledger, 10, DAILY)
    assert _taken(ledger) == (50, 50)


def test_a_refusal_says_what_stands_in_the_way(ledger: SqliteLedger) -> None:
    limit = Limit(scope="daily", limit_nano=2_000_000_000)
    _reserve(ledger, 1_500_000_000, limit)
    with pytest.raises(BudgetExceededError, match=r"1\.500000 of the daily limit of 2\.0") as said:
        _reserve(ledger, 600_000_000, limit)
    assert (said.value.scope, said.value.limit_usd, said.value.spent_usd) == ("daily", 2.0, 1.5)
    assert said.value.resets_in_s == 12 * HOUR


def test_of_two_limits_the_one_that_lasts_is_named(ledger: SqliteLedger) -> None:
    middle = datetime(2026, 11, 15, 12, tzinfo=UTC).timestamp()
    tight = Limit(scope="monthly", limit_nano=10)
    with pytest.raises(BudgetExceededError) as said:
        _reserve(ledger, 200, DAILY, tight, now=middle)
    assert said.value.scope == "monthly"


def test_users_have_limits_of_their_own(ledger: SqliteLedger) -> None:
    bobs = Limit(scope="user_daily", limit_nano=30, user="bob")
    _reserve(ledger, 30, DAILY, ANNS, user="ann")
    with pytest.raises(BudgetExceededError) as said:
        _reserve(ledger, 1, DAILY, ANNS, user="ann")
    assert said.value.scope == "user_daily"
    _reserve(ledger, 30, DAILY, bobs, user="bob")
    assert _taken(ledger, user="ann") == (0, 30)
    assert _taken(ledger) == (0, 60)


def test_a_refused_call_leaves_nothing_behind(ledger: SqliteLedger) -> None:
    with pytest.raises(BudgetExceededError):
        _reserve(ledger, 40, DAILY, ANNS, user="ann")
    assert _taken(ledger) == _taken(ledger, user="ann") == (0, 0)


def test_settling_more_than_was_reserved_records_the_truth(ledger: SqliteLedger) -> None:
    ledger.settle(_reserve(ledger, 10, DAILY), 250, now=NOON)
    assert _taken(ledger) == (250, 0)


def test_settling_and_releasing_count_once(ledger: SqliteLedger) -> None:
    settled, released = _reserve(ledger, 10), _reserve(ledger, 20)
    for _ in range(2):
        ledger.settle(settled, 7, now=NOON)
        ledger.release(settled)
        ledger.release(released)
    assert _taken(ledger) == (7, 0)


def test_a_call_that_was_released_can_still_turn_out_to_have_cost(ledger: SqliteLedger) -> None:
    reservation = _reserve(ledger, 20)
    ledger.release(reservation)
    ledger.settle(reservation, 5, now=NOON)
    assert _taken(ledger) == (5, 0)


def test_reservations_are_freed_once_their_lease_is_over(ledger: SqliteLedger) -> None:
    lost = _reserve(ledger, 100, DAILY, lease_s=60.0)
    with pytest.raises(BudgetExceededError):
        _reserve(ledger, 1, DAILY, now=NOON + 59.9)
    _reserve(ledger, 90, DAILY, now=NOON + 60.0)
    assert _taken(ledger) == (0, 90)
    ledger.settle(lost, 80, now=NOON + 61.0)  # it was alive after all, and slow
    assert _taken(ledger) == (80, 90)


def test_a_refused_call_frees_them_too(ledger: SqliteLedger) -> None:
    _reserve(ledger, 50, lease_s=60.0)
    with pytest.raises(BudgetExceededError):
        _reserve(ledger, 101, DAILY, now=NOON + 60.0)
    assert _taken(ledger) == (0, 0)


def test_a_new_day_begins_at_midnight_and_the_month_goes_on(ledger: SqliteLedger) -> None:
    day_before = NOON - 24 * HOUR
    ledger.settle(_reserve(ledger, 100, DAILY, MONTHLY, now=day_before), 100, now=day_before)
    with pytest.raises(BudgetExceededError) as said:
        _reserve(ledger, 1, DAILY, MONTHLY, now=day_before + 11.99 * HOUR)
    assert said.value.scope == "daily"
    midnight = day_before + 12 * HOUR
    _reserve(ledger, 50, DAILY, MONTHLY, now=midnight)
    with pytest.raises(BudgetExceededError) as said:
        _reserve(ledger, 1, DAILY, MONTHLY, now=midnight)
    assert said.value.scope == "monthly"
    _reserve(ledger, 100, DAILY, MONTHLY, now=midnight + 24 * HOUR)  # December


def test_a_call_counts_on_the_day_it_was_reserved(ledger: SqliteLedger) -> None:
    late = NOON + 11.99 * HOUR
    reservation = _reserve(ledger, 10, now=late)
    ledger.settle(reservation, 9, now=late + HOUR)
    assert _taken(ledger, now=late) == (9, 0)
    assert _taken(ledger, now=late + HOUR) == (0, 0)


def test_limits_outlive_the_process(path: Path, ledger: SqliteLedger) -> None:
    ledger.settle(_reserve(ledger, 60, DAILY), 60, now=NOON)
    _reserve(ledger, 30, DAILY)
    ledger.close()
    again = SqliteLedger(path)
    with pytest.raises(BudgetExceededError):
        _reserve(again, 11, DAILY)
    _reserve(again, 10, DAILY)
    again.close()


def test_every_settled_call_has_a_row(path: Path, ledger: SqliteLedger) -> None:
    ledger.settle(_reserve(ledger, 10, user="ann"), 7, now=NOON + 2.0)
    ledger.close()
    rows = sqlite3.connect(path)
    assert rows.execute(
        "SELECT id, at, user, model, reserved_nano, settled_at, settled_nano FROM calls"
    ).fetchall() == [(1, NOON, "ann", "m", 10, NOON + 2.0, 7)]
    rows.close()


def test_threads_share_one_limit(ledger: SqliteLedger) -> None:
    granted: list[Reservation] = []

    def spend() -> None:
        while True:
            try:
                granted.append(_reserve(ledger, 3, DAILY))
            except BudgetExceededError:
                return

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == len({reservation.id for reservation in granted}) == 33


def test_it_waits_for_another_process_and_says_when_that_takes_too_long(
    path: Path, ledger: SqliteLedger
) -> None:
    _reserve(ledger, 1)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    for wait_s in (0.0, 0.05):
        started = time.monotonic()
        with pytest.raises(LedgerBusyError, match="in use"):
            _reserve(ledger, 1, wait_s=wait_s)
        assert wait_s <= time.monotonic() - started < wait_s + 1.0
    timer = threading.Timer(0.05, other.rollback)
    timer.start()
    _reserve(ledger, 1, wait_s=5.0)
    timer.join()
    other.close()


def test_a_file_that_is_not_open_yet_is_not_opened_in_a_hurry(ledger: SqliteLedger) -> None:
    with pytest.raises(LedgerBusyError):
        _reserve(ledger, 1, wait_s=0.0)
    _reserve(ledger, 1)
    _reserve(ledger, 1, wait_s=0.0)


@pytest.mark.parametrize("amount_nano", [-1, 2**63])
def test_absurd_amounts_are_refused(ledger: SqliteLedger, amount_nano: int) -> None:
    with pytest.raises(InputError, match="amount"):
        _reserve(ledger, amount_nano)
    with pytest.raises(InputError, match="amount"):
        ledger.settle(_reserve(ledger, 1), amount_nano, now=NOON)


def test_a_user_must_be_text(ledger: SqliteLedger) -> None:
    with pytest.raises(InputError, match="'user'"):
        _reserve(ledger, 1, user="\ud800")


def test_a_reservation_of_another_ledger_is_refused(ledger: SqliteLedger) -> None:
    stranger = Reservation(id=99, amount_nano=1, expires_at=NOON)
    with pytest.raises(StoreError, match="does not know reservation 99"):
        ledger.settle(stranger, 1, now=NOON)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"folder of the ledger .* SLUICE_STORE"):
        _reserve(SqliteLedger(tmp_path / "file" / "ledger.db"), 1)


def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        _reserve(SqliteLedger(tmp_path), 1)


def test_a_damaged_file(path: Path, ledger: SqliteLedger) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 1_000)
    with pytest.raises(StoreError, match="damaged; restore"):
        _reserve(ledger, 1)


def test_a_file_damaged_while_in_use(path: Path, ledger: SqliteLedger) -> None:
    for _ in range(200):
        _reserve(ledger, 1, user="ann")
    ledger.close()
    path.write_bytes(path.read_bytes()[:4_096] + b"\xff" * (path.stat().st_size - 4_096))
    with pytest.raises(StoreError, match="damaged; restore"):
        _reserve(ledger, 1)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("PRAGMA application_id = 7", "another program's database"),
        (f"PRAGMA user_version = {SCHEMA_VERSION + 1}", "upgrade Sluice"),
    ],
)
def test_files_that_are_not_ours(
    path: Path, ledger: SqliteLedger, statement: str, complaint: str
) -> None:
    _reserve(ledger, 1)
    ledger.close()
    other = sqlite3.connect(path)
    other.execute(statement)
    other.close()
    with pytest.raises(StoreError, match=complaint):
        _reserve(ledger, 1)


def test_a_file_system_without_shared_memory() -> None:
    with pytest.raises(StoreError, match="local disk"):
        _reserve(SqliteLedger(":memory:"), 1)


def test_a_read_only_file(path: Path, ledger: SqliteLedger) -> None:
    _reserve(ledger, 1)
    ledger._connection.execute("PRAGMA query_only = 1")  # type: ignore[union-attr]
    with pytest.raises(StoreError, match=r"readonly.*writable"):
        _reserve(ledger, 1)
    _reserve(ledger, 1)  # opened anew, it is writable again


def test_upkeep_empties_the_log(path: Path, ledger: SqliteLedger) -> None:
    ledger.checkpoint()  # nothing is open: nothing to do
    before = _reserve(ledger, 5)
    ledger.checkpoint()
    ledger.settle(before, 4, now=NOON)
    copy = sqlite3.connect(f"file:{path}?immutable=1", uri=True)  # the file without its log
    assert copy.execute("SELECT reserved_nano FROM calls").fetchall() == [(5,)]
    copy.close()
    assert _taken(ledger) == (4, 0)
