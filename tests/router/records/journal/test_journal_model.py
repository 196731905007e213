"""Whatever happens in whatever order, the totals are their sums and no limit is passed by holds."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from sqlalchemy import Connection, delete

from router.budget import Limit, window_key
from router.errors import BudgetExceededError
from router.records.accounts import TOTAL, accounts_of, key_account, user_account
from router.records.database import Database
from router.records.journal import Hold, Journal
from router.records.tables import METADATA
from tests.journal_books import audit, made_call, made_outcome
from tests.key_databases import postgres_database

START = datetime(2026, 12, 30, 20, tzinfo=UTC).timestamp()  # a year ends within a few steps
CALLERS = (("k", ""), ("k", "ann"), ("k", "bob"), ("other", "ann"))
LEASE_S = 9_000.0
amounts = st.integers(0, 70)
callers = st.sampled_from(CALLERS)


def limits_of(key_id: str, user: str) -> tuple[Limit, ...]:
    limits: list[Limit] = [
        Limit(scope="daily", limit_nano=100, user=TOTAL),
        Limit(scope="monthly", limit_nano=160, user=None),
        Limit(scope="key_daily", limit_nano=80, user=key_account(key_id)),
    ]
    if user:
        limits.append(Limit(scope="user_monthly", limit_nano=60, user=user_account(key_id, user)))
    return tuple(limits)


@dataclass(kw_only=True)
class Call:
    """A call under way; `caller` is key and user."""

    caller: tuple[str, str]
    hold: Hold
    is_over: bool = False


class JournalMachine(RuleBasedStateMachine):
    """`url` gives an empty store."""

    calls: Bundle[Call] = Bundle("calls")
    numbers = itertools.count()

    def url(self) -> str:
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        return f"sqlite:///{folder}/sluice.db"

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.database = Database.open(self.url())
        self.stack.callback(self.database.close)
        self.journal = Journal(self.database)
        self.now = START
        self.overdrawn = False  # whether a call has cost more than was held for it

    @rule(target=calls, amount=amounts, caller=callers)
    def hold(self, amount: int, caller: tuple[str, str]) -> Any:
        limits = limits_of(*caller)
        full = {limit.scope for limit in limits if self.taken(limit) + amount > limit.limit_nano}
        refused_by = None
        try:
            held = self.run(self.journal.hold(amount, limits, lease_s=LEASE_S, now=self.now))
        except BudgetExceededError as refusal:
            refused_by = refusal.scope
        # Where something has expired, there may be more room than the balances said before.
        assert refused_by is None or refused_by in full
        return multiple() if refused_by else Call(caller=caller, hold=held)

    @rule(call=calls, costs=st.lists(amounts, max_size=3))
    def record(self, call: Call, costs: list[int]) -> None:
        self.overdrawn |= call.is_over or sum(costs) > call.hold.amount_nano
        self.overdrawn |= self.now >= call.hold.expires_at
        self.run(self.recording(call, costs))

    @rule(call=calls)
    def release(self, call: Call) -> None:
        self.run(self.journal.release(call.hold))
        call.is_over = True

    @rule(
        target=calls,
        wanted=st.lists(st.tuples(amounts, callers, st.booleans()), max_size=6),
        ended=st.lists(st.tuples(calls, st.booleans()), max_size=4),
    )
    def much_at_once(
        self,
        wanted: list[tuple[int, tuple[str, str], bool]],
        ended: list[tuple[Call, bool]],
    ) -> Any:
        """Holds, some of them cancelled, beside calls that end; in one turn of the loop."""
        return multiple(*self.run(self.doing_at_once(wanted, ended)))

    @rule(seconds=st.sampled_from([1, 600, 7_200, 30_000]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.run(self.journal.aclose())
        self.journal = Journal(self.database)

    @invariant()
    def books_are_right(self) -> None:
        totals = audit(self.database).totals
        if self.overdrawn:
            return
        for limit in {limit for caller in CALLERS for limit in limits_of(*caller)}:
            window = window_key(limit.scope, self.now)
            assert sum(totals.get((window, limit.user or TOTAL), (0, 0))) <= limit.limit_nano

    async def doing_at_once(
        self,
        wanted: Sequence[tuple[int, tuple[str, str], bool]],
        ended: Sequence[tuple[Call, bool]],
    ) -> list[Call]:
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(
                self.journal.hold(amount, limits_of(*caller), lease_s=LEASE_S, now=self.now)
            )
            for amount, caller, _ in wanted
        ]
        for call, pays in ended:
            cost = 0 if call.is_over or self.now >= call.hold.expires_at else call.hold.amount_nano
            ending = self.recording(call, [cost]) if pays else self.journal.release(call.hold)
            tasks.append(asyncio.create_task(ending))
            call.is_over = True
        await asyncio.sleep(0)  # all are in the queue
        for task, (_, _, is_cancelled) in zip(tasks, wanted, strict=False):
            if is_cancelled:
                task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        while self.journal.waiting:
            await asyncio.sleep(0)
        granted = []
        for result, (_, caller, is_cancelled) in zip(found, wanted, strict=False):
            if isinstance(result, Hold):
                granted.append(Call(caller=caller, hold=result))
            else:
                assert isinstance(result, BudgetExceededError) or is_cancelled
        assert all(result is None for result in found[len(wanted) :])
        return granted

    async def recording(self, call: Call, costs: Sequence[int]) -> None:
        key_id, user = call.caller
        outcome = made_outcome(
            f"r{next(self.numbers)}", sum(costs), at=self.now, key_id=key_id, user=user
        )
        paid = [made_call(cost) for cost in costs]
        await self.journal.record(outcome, paid, [call.hold], accounts_of(key_id, user))
        call.is_over = True

    def taken(self, limit: Limit) -> int:
        window = (window_key(limit.scope, self.now), limit.user or TOTAL)
        balances = self.run(self.journal.balances([window[1]], now=self.now))
        return balances[window].taken_nano

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.run(self.journal.aclose())
        self.stack.close()


class PostgresMachine(JournalMachine):
    """All examples on one database, which is emptied between them."""

    server = ExitStack()
    shared_url = ""

    def url(self) -> str:
        if not self.shared_url:
            type(self).shared_url = self.server.enter_context(postgres_database())
        database = Database.open(self.shared_url)
        database.run_sync(_empty)
        database.close()
        return self.shared_url


def _empty(connection: Connection) -> None:
    for table in METADATA.tables.values():
        connection.execute(delete(table))


JournalMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
PostgresMachine.TestCase.settings = settings(max_examples=8, stateful_step_count=15, deadline=None)


class TestInSqlite(JournalMachine.TestCase):  # type: ignore[name-defined, misc]
    """The machine, found by pytest."""


class TestInPostgres(PostgresMachine.TestCase):  # type: ignore[name-defined, misc]
    """The same for the other database."""

    @classmethod
    def tearDownClass(cls) -> None:
        PostgresMachine.server.close()
