"""What the journal writes: holds under limits, outcomes with their calls, and the ledger."""

from __future__ import annotations

import asyncio
import math
from dataclasses import asdict, fields
from typing import Any

import pytest
from sqlalchemy import select

from router.budget import Limit
from router.errors import BudgetExceededError, InputError, StoreError
from router.money import to_nano
from router.records.accounts import TOTAL, key_account, user_account
from router.records.database import Database
from router.records.journal import Hold, Journal
from router.records.outcome import CallRecord, Outcome
from router.records.tables import calls, outcomes
from router.store.ledger import Balance
from tests.journal_books import (
    ACCOUNTS,
    DAY,
    MONTH,
    NOW,
    audit,
    limit,
    made_call,
    made_outcome,
    read_books,
)

DAILY = (limit(100),)


async def hold(journal: Journal, amount_nano: int, *limits: Limit, now: float = NOW) -> Hold:
    return await journal.hold(amount_nano, limits or DAILY, lease_s=60.0, now=now)


async def test_a_hold_takes_room_until_it_is_recorded(journal: Journal, database: Database) -> None:
    held = await hold(journal, 70)
    assert read_books(database).totals == {(DAY, TOTAL): (0, 70)}
    with pytest.raises(BudgetExceededError):
        await hold(journal, 31)
    outcome = made_outcome("r1", 40)
    await journal.record(outcome, [made_call(15), made_call(25)], [held], ACCOUNTS)
    books = audit(database)
    assert books.totals == {
        (window, account): (40, 0) for window in (DAY, MONTH) for account in ACCOUNTS
    }
    assert (books.request_ids, books.n_calls, books.n_holds) == (["r1"], 2, 0)
    await hold(journal, 60)
    with pytest.raises(BudgetExceededError):
        await hold(journal, 1)


async def test_what_is_released_is_free_again_and_only_once(
    journal: Journal, database: Database
) -> None:
    held, other = await hold(journal, 60), await hold(journal, 40)
    for _ in range(2):
        await journal.release(held)
        assert audit(database).totals == {(DAY, TOTAL): (0, 40)}
    await journal.record(made_outcome("r1"), [], [held, other], ACCOUNTS)
    assert audit(database).totals == {}


async def test_the_limit_that_stands_in_the_way_longest_is_named(journal: Journal) -> None:
    limits = (
        limit(100),
        Limit(scope="key_daily", limit_nano=20, user=key_account("k")),
        Limit(scope="user_monthly", limit_nano=30, user=user_account("k", "ann")),
    )
    await hold(journal, 15, *limits)
    with pytest.raises(BudgetExceededError, match="of the key's daily limit of") as by_key:
        await hold(journal, 6, *limits)
    assert (by_key.value.scope, by_key.value.spent_usd) == ("key_daily", 15e-9)
    assert by_key.value.resets_in_s == 12 * 3600
    with pytest.raises(BudgetExceededError, match="of the user's monthly limit of") as by_user:
        await hold(journal, 16, *limits)
    assert by_user.value.scope == "user_monthly"
    await hold(journal, 5, *limits)


async def test_limits_that_share_a_window_hold_once(journal: Journal, database: Database) -> None:
    held = await hold(journal, 10, limit(100), limit(50))
    assert audit(database).totals == {(DAY, TOTAL): (0, 10)}
    with pytest.raises(BudgetExceededError):
        await hold(journal, 41, limit(100), limit(50))
    await journal.release(held)
    assert audit(database).totals == {}


async def test_a_hold_whose_lease_is_over_is_freed(journal: Journal, database: Database) -> None:
    dead = await hold(journal, 100)
    with pytest.raises(BudgetExceededError):
        await hold(journal, 1, now=NOW + 59.9)
    await hold(journal, 100, now=NOW + 61.0)
    await journal.release(dead)
    assert audit(database).totals == {(DAY, TOTAL): (0, 100)}
    # The call lives after all, and costs what it costs.
    await journal.record(made_outcome("r1", 100), [made_call(100)], [dead], ACCOUNTS)
    assert audit(database).totals[DAY, TOTAL] == (100, 100)


async def test_what_was_held_yesterday_is_given_back_to_yesterday(
    journal: Journal, database: Database
) -> None:
    before = NOW - 12 * 3600 - 1
    held = await hold(journal, 100, limit(100), limit(150, monthly=True), now=before)
    await hold(journal, 50, limit(100), limit(150, monthly=True))
    await journal.record(made_outcome("r1", 100, at=NOW), [made_call(100)], [held], ACCOUNTS)
    totals = audit(database).totals
    assert ("2026-11-24", TOTAL) not in totals
    assert (totals[DAY, TOTAL], totals[MONTH, TOTAL]) == ((100, 50), (100, 50))


async def test_an_outcome_is_kept_field_by_field(journal: Journal, database: Database) -> None:
    full = made_outcome(
        "r1", 7, streamed=True, http_status=502, error_code="x", cached="exact", drafts_agree=True,
        domain_confidence=0.5, artifact="v1", target_quality=0.98, p_success=0.25,
        p_acceptable=0.75, plan="{}", propensity=0.125, features=bytes(range(256)),
        input_tokens=2**40, output_tokens=3, unpriced=True, baseline_nano=2**50,
        overhead_ms=1.5, first_token_ms=2.5,
        prompt='{"q": "é\U0001f600"}', answer="a\n",
    )  # fmt: skip
    bare = made_outcome("r2", user="", action=None, model=None, features=None)
    call = made_call(7, cost_nano=None, output_tokens=5, cached_tokens=1)
    await journal.record(full, [call, made_call(0)], [], ACCOUNTS)
    await journal.record(bare, [], [], ACCOUNTS[:2])

    def read(connection: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        kept = connection.execute(select(outcomes).order_by(outcomes.c.id)).mappings().all()
        paid = connection.execute(select(calls).order_by(calls.c.n)).mappings().all()
        return [dict(row) for row in kept], [dict(row) for row in paid]

    rows, paid = database.run_sync(read)
    assert [row.pop("id") for row in rows] == [1, 2]
    assert rows == [asdict(full), asdict(bare)]
    assert paid == [
        {"request_id": "r1", "n": n, **asdict(made)} for n, made in enumerate([call, made_call(0)])
    ]


def test_the_tables_have_a_column_for_every_field() -> None:
    assert [*outcomes.c.keys()] == ["id", *(field.name for field in fields(Outcome))]
    assert [*calls.c.keys()] == ["request_id", "n", *(field.name for field in fields(CallRecord))]


async def test_a_request_counts_once(journal: Journal, database: Database) -> None:
    held = await hold(journal, 50)
    for _ in range(2):
        await journal.record(made_outcome("r1", 40), [made_call(40)], [held], ACCOUNTS)
    twice = [journal.record(made_outcome("r2", 7), [made_call(7)], [], ACCOUNTS) for _ in range(3)]
    await asyncio.gather(*twice)
    books = audit(database)
    assert sorted(books.request_ids) == ["r1", "r2"]
    assert books.totals[DAY, TOTAL] == (47, 0)


async def test_many_at_once_each_get_their_own_answer(journal: Journal, database: Database) -> None:
    async def request(number: int) -> bool:
        try:
            held = await hold(journal, 3, limit(100), limit(300, monthly=True))
        except BudgetExceededError:
            return False
        if number % 3 == 0:
            await journal.release(held)
        else:
            outcome = made_outcome(f"r{number}", 2)
            await journal.record(outcome, [made_call(2)], [held], ACCOUNTS)
        return True

    done = await asyncio.gather(*(request(number) for number in range(600)))
    books = audit(database)
    settled, held = books.totals[DAY, TOTAL]
    assert held == 0
    assert 44 <= settled <= 100
    assert len(books.request_ids) == settled // 2
    assert done.count(True) >= 33
    assert journal.waiting == 0


async def test_balances_are_those_of_day_and_month(journal: Journal) -> None:
    held = await hold(journal, 30, limit(100))
    await journal.record(made_outcome("r1", 20), [made_call(20)], [], ACCOUNTS)
    key = key_account("k")
    assert await journal.balances([TOTAL, key, "key:other"], now=NOW) == {
        (DAY, TOTAL): Balance(settled_nano=20, reserved_nano=30),
        (MONTH, TOTAL): Balance(settled_nano=20, reserved_nano=0),
        (DAY, key): Balance(settled_nano=20, reserved_nano=0),
        (MONTH, key): Balance(settled_nano=20, reserved_nano=0),
        (DAY, "key:other"): Balance(settled_nano=0, reserved_nano=0),
        (MONTH, "key:other"): Balance(settled_nano=0, reserved_nano=0),
    }
    await journal.release(held)


async def test_what_cannot_be_right_is_refused_before_it_is_written(
    journal: Journal, database: Database
) -> None:
    with pytest.raises(InputError, match="at least one limit"):
        await journal.hold(1, (), lease_s=1.0, now=NOW)
    for amount_nano in (-1, to_nano(1e6) + 1):
        with pytest.raises(InputError, match="an amount must be"):
            await hold(journal, amount_nano)
        with pytest.raises(InputError, match="an amount must be"):
            await journal.record(made_outcome("r", amount_nano), [made_call(amount_nano)], [], [])
    for name in ("user:k:\0", "user:k:\ud800"):
        with pytest.raises(InputError, match="'user'"):
            await hold(journal, 1, limit(10, name))
    with pytest.raises(InputError, match="sum of its calls' 'charged_nano', 6, found 7"):
        await journal.record(made_outcome("r", 7), [made_call(6)], [], ACCOUNTS)
    assert audit(database).request_ids == []


async def test_an_entry_that_the_database_refuses_harms_no_other(
    journal: Journal, database: Database
) -> None:
    wrong = made_outcome("wrong", 5, input_tokens=2**70)
    found = await asyncio.gather(
        hold(journal, 100),
        journal.record(made_outcome("before", 1), [made_call(1)], [], ACCOUNTS),
        journal.record(wrong, [made_call(5)], [], ACCOUNTS),
        journal.record(made_outcome("nan", latency_ms=math.nan), [], [], ACCOUNTS),
        hold(journal, 1),
        journal.record(made_outcome("after", 2), [made_call(2)], [], ACCOUNTS),
        return_exceptions=True,
    )
    assert isinstance(found[0], Hold)
    assert found[1] is found[5] is None
    assert isinstance(found[2], StoreError)
    assert "does not take a value" in str(found[2])
    assert "openai" not in str(found[2])
    assert found[2].__cause__ is None
    assert isinstance(found[4], BudgetExceededError)
    assert {"before", "after"} <= set(audit(database).request_ids) <= {"before", "after", "nan"}


async def test_text_that_no_database_stores_is_mended_not_lost(
    journal: Journal, database: Database
) -> None:
    user = "\ud800\0"
    bad = made_outcome("r1", 9, user=user, domain="\udfff")
    calls = [made_call(9, model="m\ud801")]
    accounts = ["", "key:k", user_account("k", user)]
    good = journal.record(made_outcome("r2", 1), [made_call(1)], [], ACCOUNTS)
    await asyncio.gather(journal.record(bad, calls, [], accounts), good)
    assert sorted(audit(database).request_ids) == ["r1", "r2"]


async def test_a_closed_journal_opens_again(journal: Journal, database: Database) -> None:
    held = await hold(journal, 10)
    await journal.aclose()
    await journal.release(held)
    queued = asyncio.create_task(hold(journal, 20))
    await asyncio.sleep(0)
    assert journal.waiting == 1
    await journal.aclose()
    assert journal.waiting == 0
    assert queued.done()
    assert audit(database).totals == {(DAY, TOTAL): (0, 20)}
