"""What a request spends is held from before each call until its outcome is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.budget import Limit
from router.errors import BudgetExceededError
from router.records.allowances import Allowances
from router.records.database import Database
from router.records.journal import Journal
from serving.gateway.failures import api_error
from serving.gateway.tab import Tab
from tests.journal_books import DAY, NOW, limit

TIGHT = (limit(10**9),)
NEXT_DAY = NOW + 12 * 3600 + 1


@pytest.fixture
async def allowances(tmp_path: Path) -> AsyncIterator[Allowances]:
    database = Database.open(f"sqlite:///{tmp_path / 'sluice.db'}")
    journal = Journal(database)
    allowances = Allowances(journal)
    yield allowances
    await allowances.aclose()
    await journal.aclose()
    database.close()


def tab(allowances: Allowances, *limits: Limit, now: float = NOW, within_s: float = 600.0) -> Tab:
    return Tab(allowances, limits, at=NOW, recorded_within_s=within_s, clock=lambda: now)


async def reserve(tab: Tab, usd: float) -> object:
    return await tab.reserve(upper_bound_usd=usd, model="m", provider="p", lease_s=30.0)


async def test_what_a_call_cost_is_held_for_as_long_as_its_request_may_take(
    allowances: Allowances,
) -> None:
    spent = tab(allowances, *TIGHT)
    await spent.settle(await reserve(spent, 0.9), 0.9, completion=None)  # type: ignore[arg-type]
    [hold] = spent.holds
    assert hold.expires_at >= NOW + 600.0


async def test_calls_count_in_the_day_of_their_request(allowances: Allowances) -> None:
    late = tab(allowances, *TIGHT, now=NEXT_DAY)
    await late.settle(await reserve(late, 0.9), 0.9, completion=None)  # type: ignore[arg-type]
    [hold] = late.holds
    assert [key for key, _ in hold.windows] == [DAY]
    with pytest.raises(BudgetExceededError):
        await reserve(tab(allowances, *TIGHT), 0.2)


async def test_a_call_that_cost_nothing_gives_its_room_back(allowances: Allowances) -> None:
    first = tab(allowances, *TIGHT)
    await first.release(await reserve(first, 0.9))  # type: ignore[arg-type]
    assert await reserve(tab(allowances, *TIGHT), 0.9)


async def test_without_limits_nothing_is_held(allowances: Allowances) -> None:
    free = tab(allowances)
    assert not free.limited
    entry = await free.reserve(upper_bound_usd=None, model="m", provider="p", lease_s=30.0)
    await free.settle(entry, None, completion=None)
    assert (free.holds, free.charged_nano, free.unpriced) == ([], 0, True)


@pytest.mark.parametrize(("scope", "told"), [("daily", False), ("key_daily", True)])
def test_what_all_tenants_spend_is_told_to_none(scope: str, told: bool) -> None:
    error = BudgetExceededError(
        "12.345678 of the limit of 100.000000 USD are spent",
        scope=scope,
        limit_usd=100.0,
        spent_usd=12.345678,
        resets_in_s=60.0,
    )
    answer = api_error(error)
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (
        *(429, "budget_exceeded"),
        "60",
    )
    assert ("12.345678" in answer.message) == told
