"""Shares of funds: few transactions where there is room, the last call where there is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.budget import Limit
from router.errors import BudgetExceededError
from router.records.accounts import TOTAL
from router.records.allowances import Allowances, Share
from router.records.database import Database
from router.records.journal import Journal
from tests.journal_books import ACCOUNTS, DAY, NOW, audit, limit, made_call, made_outcome

ROOMY = (limit(10**9),)
CALL = 100


@pytest.fixture
async def allowances(journal: Journal) -> AsyncIterator[Allowances]:
    allowances = Allowances(journal)
    yield allowances
    await allowances.aclose()


async def take(
    allowances: Allowances, amount: int = CALL, limits: Sequence[Limit] = ROOMY
) -> Share:
    return await allowances.take(amount, limits, lease_s=60.0, now=NOW)


async def pay(
    journal: Journal, allowances: Allowances, share: Share, request_id: str, cost: int
) -> None:
    holds = [] if share.hold is None else [share.hold]
    outcome = made_outcome(request_id, cost)
    await journal.record(outcome, [made_call(cost)], holds, ACCOUNTS)
    allowances.settle(share, cost)


def held(database: Database) -> int:
    return audit(database).totals.get((DAY, TOTAL), (0, 0))[1]


async def test_calls_share_one_hold_where_there_is_room(
    journal: Journal, allowances: Allowances, database: Database
) -> None:
    for number in range(200):
        share = await take(allowances)
        assert share.hold is None
        assert audit(database).n_holds == 1
        await pay(journal, allowances, share, f"r{number}", 5)
    assert audit(database).totals[DAY, TOTAL][0] == 1000


async def test_what_is_under_way_is_held_at_every_moment(
    journal: Journal, allowances: Allowances, database: Database
) -> None:
    shares = [await take(allowances, CALL) for _ in range(300)]
    settled, taken = audit(database).totals[DAY, TOTAL]
    assert (settled, taken >= 300 * CALL) == (0, True)
    for number, share in enumerate(shares):
        await pay(journal, allowances, share, f"r{number}", CALL)
    settled, _ = audit(database).totals[DAY, TOTAL]
    assert settled == 300 * CALL


async def test_a_fund_that_is_idle_goes_back(
    journal: Journal, allowances: Allowances, database: Database
) -> None:
    share = await take(allowances)
    await pay(journal, allowances, share, "r1", 5)
    assert held(database) > 0
    await asyncio.sleep(2.3)
    assert (held(database), audit(database).n_holds) == (0, 0)


async def test_closing_gives_everything_back(
    journal: Journal, allowances: Allowances, database: Database
) -> None:
    await allowances.release(await take(allowances))
    await allowances.aclose()
    assert held(database) == 0


async def test_near_a_limit_every_call_has_its_own_hold_up_to_the_last(
    journal: Journal, allowances: Allowances, database: Database
) -> None:
    tight = (limit(10 * CALL + 30),)
    shares = [await take(allowances, CALL, tight) for _ in range(10)]
    assert all(share.hold is not None for share in shares)
    with pytest.raises(BudgetExceededError):
        await take(allowances, CALL, tight)
    for number, share in enumerate(shares):
        await pay(journal, allowances, share, f"r{number}", CALL)
    assert audit(database).totals[DAY, TOTAL] == (10 * CALL, 0)


async def test_a_call_too_large_for_the_fund_has_its_own_hold(
    journal: Journal, allowances: Allowances
) -> None:
    await take(allowances, CALL)
    large = await take(allowances, 1_000 * CALL)
    assert large.hold is not None
    assert (await take(allowances, CALL)).hold is None  # the fund is still there


async def test_a_share_outlasts_its_call(journal: Journal, allowances: Allowances) -> None:
    first = await allowances.take(CALL, ROOMY, lease_s=60.0, now=NOW)
    late = await allowances.take(CALL, ROOMY, lease_s=60.0, now=NOW + 90.0)
    assert first.fund is not None
    assert late.fund is not None
    assert first.fund is not late.fund
    assert late.fund.hold.expires_at >= NOW + 150.0


async def test_two_processes_never_spend_more_than_a_limit(
    journal: Journal, database: Database
) -> None:
    other = Journal(database, wait_s=5.0)
    limits = (limit(20_000 * CALL),)  # funds at first, then holds one by one
    spent = 0

    async def spend(books: Journal, name: str) -> None:
        nonlocal spent
        allowances = Allowances(books)
        try:
            for number in range(2_000):
                share = await allowances.take(10 * CALL, limits, lease_s=60.0, now=NOW)
                await pay(books, allowances, share, f"{name}{number}", 10 * CALL)
                spent += 10 * CALL
        except BudgetExceededError:
            return
        finally:
            await allowances.aclose()

    await asyncio.gather(spend(journal, "a"), spend(other, "b"))
    await spend(journal, "c")  # what the others' funds kept from them
    assert audit(database).totals[DAY, TOTAL] == (spent, 0)
    assert 20_000 * CALL - 10 * CALL < spent <= 20_000 * CALL
    await other.aclose()


@settings(max_examples=40)
@given(
    steps=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 100), st.booleans()), max_size=60),
    limit_nano=st.integers(100, 10**6),
)
def test_settled_and_under_way_never_exceed_a_limit(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, int, bool]],
    limit_nano: int,
) -> None:
    """Steps: an amount, the percentage of it that is paid, and whether one before is paid first."""
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('books')}/sluice.db")

    async def spend() -> None:
        journal = Journal(database)
        allowances = Allowances(journal)
        under_way: list[tuple[Share, int]] = []
        settled = 0
        for number, (amount, percent, pay_first) in enumerate(steps):
            if pay_first and under_way:
                share, cost = under_way.pop(0)
                await pay(journal, allowances, share, f"r{number}", cost)
                settled += cost
            try:
                share = await take(allowances, amount, (limit(limit_nano),))
            except BudgetExceededError:
                continue
            under_way.append((share, amount * percent // 100))
            at_most = settled + sum(share.amount_nano for share, _ in under_way)
            counted = audit(database).totals.get((DAY, TOTAL), (0, 0))
            assert at_most <= sum(counted) <= limit_nano
        for number, (share, cost) in enumerate(under_way):
            await pay(journal, allowances, share, f"last{number}", cost)
            settled += cost
        await allowances.aclose()
        assert audit(database).totals.get((DAY, TOTAL), (0, 0)) == (settled, 0)
        await journal.aclose()

    asyncio.run(spend())
    database.close()
