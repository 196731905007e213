"""Spending: a budget that holds across restarts and says so when it is used up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from router.config import BudgetConfig, BudgetStatus
from router.errors import BudgetExceededError
from router.store.ledger import Reservation
from router.store.spending import DEFAULT_LEDGER, Spending, ledger_path
from router.store.sqlite_ledger import SqliteLedger

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def _spending(path: Path, *, now: float = NOON, **limits: Any) -> Spending:
    return Spending(BudgetConfig(store=path, **limits), clock=lambda: now)


async def _reserve(spending: Spending, usd: float, user: str | None = None) -> Reservation:
    return await spending.reserve(upper_bound_usd=usd, model="gpt-4o", user=user, lease_s=60.0)


def _settled_usd(path: Path, user: str | None = None) -> float:
    ledger = SqliteLedger(path)
    balance = ledger.balance("monthly", user=user, now=NOON)
    ledger.close()
    assert balance.reserved_nano == 0
    return balance.settled_nano / 1e9


async def test_calls_are_held_to_the_limit(path: Path) -> None:
    spending = _spending(path, daily_limit=1.0)
    reservation = await _reserve(spending, 0.9)
    with pytest.raises(BudgetExceededError):
        await _reserve(spending, 0.2)
    await spending.settle(reservation, 0.1)
    await spending.release(await _reserve(spending, 0.9))
    await spending.aclose()
    assert _settled_usd(path) == 0.1


async def test_an_unknown_cost_counts_as_all_that_was_reserved(path: Path) -> None:
    spending = _spending(path, daily_limit=1.0)
    await spending.settle(await _reserve(spending, 0.25), None)
    await spending.aclose()
    assert _settled_usd(path) == 0.25


async def test_limits_survive_a_restart_and_end_with_their_window(path: Path) -> None:
    first = _spending(path, daily_limit=1.0)
    await first.settle(await _reserve(first, 1.0), 1.0)
    await first.aclose()
    again = _spending(path, daily_limit=1.0, now=NOON + 43_199)
    with pytest.raises(BudgetExceededError) as said:
        await _reserve(again, 0.01)
    assert said.value.resets_in_s == 1.0
    await again.aclose()
    tomorrow = _spending(path, daily_limit=1.0, now=NOON + 43_200)
    await tomorrow.release(await _reserve(tomorrow, 1.0))
    await tomorrow.aclose()


async def test_a_limit_that_is_added_later_counts_what_was_spent_before(path: Path) -> None:
    first = _spending(path, monthly_limit=100.0)
    await first.settle(await _reserve(first, 5.0, "ann"), 5.0)
    await first.aclose()
    stricter = _spending(path, per_user_daily_limit=5.0)
    with pytest.raises(BudgetExceededError) as said:
        await _reserve(stricter, 0.01, "ann")
    assert said.value.scope == "user_daily"
    await stricter.settle(await _reserve(stricter, 1.0, "bob"), 1.0)
    await stricter.settle(await _reserve(stricter, 1.0), 1.0)
    await stricter.aclose()
    assert _settled_usd(path) == 7.0


async def test_without_limits_nothing_is_kept(path: Path) -> None:
    spending = _spending(path)
    reservation = await _reserve(spending, 1e9)
    await spending.settle(reservation, None)
    await spending.release(reservation)
    await spending.aclose()
    assert not path.exists()


async def test_the_callback_is_told_once_per_refused_call(path: Path) -> None:
    told: list[BudgetStatus] = []
    spending = _spending(path, per_user_daily_limit=1.0, on_limit_exceeded=told.append)
    await spending.settle(await _reserve(spending, 0.75, "ann"), 0.75)
    for _ in range(2):
        with pytest.raises(BudgetExceededError):
            await _reserve(spending, 0.5, "ann")
    await spending.aclose()
    status = BudgetStatus(
        scope="user_daily", limit_usd=1.0, spent_usd=0.75, resets_in_s=43_200.0, user="ann"
    )
    assert told == [status, status]


async def test_the_callback_may_be_a_coroutine(path: Path) -> None:
    told: list[str] = []

    async def tell(status: BudgetStatus) -> None:
        await asyncio.sleep(0)
        told.append(status.scope)

    spending = _spending(path, daily_limit=1.0, on_limit_exceeded=tell)
    with pytest.raises(BudgetExceededError):
        await _reserve(spending, 2.0)
    await spending.aclose()
    assert told == ["daily"]


async def test_what_the_callback_raises_is_raised(path: Path) -> None:
    class PageTheOwnerError(Exception):
        pass

    def tell(_: BudgetStatus) -> None:
        raise PageTheOwnerError

    spending = _spending(path, daily_limit=1.0, on_limit_exceeded=tell)
    with pytest.raises(PageTheOwnerError) as raised:
        await _reserve(spending, 2.0)
    assert isinstance(raised.value.__context__, BudgetExceededError)
    await spending.release(await _reserve(spending, 1.0))  # nothing was reserved
    await spending.aclose()


@pytest.mark.parametrize(
    ("outcome", "raised", "settled_usd"),
    [
        ("answer", type(None), 0.25),
        ("error", ConnectionError, 0.5),
        ("cancelled", asyncio.CancelledError, 0.5),
    ],
)
async def test_whatever_becomes_of_a_call_it_is_settled(
    path: Path, outcome: str, raised: type, settled_usd: float
) -> None:
    spending = _spending(path, daily_limit=1.0)
    began = asyncio.Event()

    async def call() -> None:
        reservation = await _reserve(spending, 0.5)
        cost_usd = None
        try:
            began.set()
            await asyncio.sleep(60.0 if outcome == "cancelled" else 0.0)
            if outcome == "error":
                raise ConnectionError
            cost_usd = 0.25
        finally:
            await spending.settle(reservation, cost_usd)

    task = asyncio.create_task(call())
    await began.wait()
    if outcome == "cancelled":
        task.cancel()
    [came_to] = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(came_to, raised)
    await spending.aclose()
    assert _settled_usd(path) == settled_usd


def test_where_the_ledger_is() -> None:
    told = BudgetConfig(store=Path("~/told.db"))
    assert ledger_path(told, environment={"SLUICE_STORE": "/env.db"}) == Path.home() / "told.db"
    assert ledger_path(BudgetConfig(), environment={"SLUICE_STORE": "/env.db"}) == Path("/env.db")
    assert ledger_path(BudgetConfig(), environment={"SLUICE_STORE": ""}) == DEFAULT_LEDGER
