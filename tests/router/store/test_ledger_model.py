"""Whatever happens in whatever order, the ledger does what a few lines of arithmetic do."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from router.budget import Limit, limits_of, window_key
from router.config import BudgetConfig
from router.errors import BudgetExceededError
from router.store.ledger import Reservation
from router.store.sqlite_ledger import SqliteLedger

START = datetime(2026, 12, 30, 20, tzinfo=UTC).timestamp()  # a year ends within a few steps
CONFIG = BudgetConfig(
    daily_limit=100e-9,
    monthly_limit=160e-9,
    per_user_daily_limit=60e-9,
    per_user_monthly_limit=90e-9,
)
USERS = (None, "ann", "bob")
amounts = st.integers(0, 70)


@dataclass(kw_only=True)
class Call:
    """A call as the model remembers it; times in Unix seconds."""

    at: float
    user: str | None
    reserved: int
    expires_at: float
    settled: int | None = None
    is_open: bool = True
    reservation: Reservation | None = None

    def counts_for(self, limit: Limit, now: float) -> bool:
        in_window = window_key(limit.scope, self.at) == window_key(limit.scope, now)
        return in_window and (limit.user is None or limit.user == self.user)


class LedgerMachine(RuleBasedStateMachine):
    calls: Bundle[Call] = Bundle("calls")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = SqliteLedger(Path(self.folder.name) / "ledger.db")
        self.now = START
        self.known: list[Call] = []

    @rule(target=calls, amount=amounts, user=st.sampled_from(USERS), lease_s=st.integers(0, 9_000))
    def reserve(self, amount: int, user: str | None, lease_s: int) -> Call:
        for call in self.known:
            call.is_open = call.is_open and call.expires_at > self.now
        limits = limits_of(CONFIG, user)
        full = {limit.scope for limit in limits if self.taken(limit) + amount > limit.limit_nano}
        new = Call(at=self.now, user=user, reserved=amount, expires_at=self.now + lease_s)
        refused_by = None
        try:
            new.reservation = self.ledger.reserve(
                amount, limits, model="m", user=user, lease_s=lease_s, now=self.now
            )
            self.known.append(new)
        except BudgetExceededError as refusal:
            refused_by = refusal.scope
        assert refused_by in (full or {None})
        return new

    @rule(call=calls, amount=amounts)
    def settle(self, call: Call, amount: int) -> None:
        if call.reservation is None:
            return
        self.ledger.settle(call.reservation, amount, now=self.now)
        call.is_open = False
        call.settled = amount if call.settled is None else call.settled

    @rule(call=calls)
    def release(self, call: Call) -> None:
        if call.reservation is not None:
            self.ledger.release(call.reservation)
            call.is_open = False

    @rule(seconds=st.sampled_from([1, 600, 7_200, 30_000]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger = SqliteLedger(self.ledger.path)

    @invariant()
    def balances_agree(self) -> None:
        for user in USERS:
            for limit in limits_of(CONFIG, user):
                balance = self.ledger.balance(limit.scope, user=limit.user, now=self.now)
                assert balance.taken_nano == self.taken(limit)

    def taken(self, limit: Limit) -> int:
        counted = [call for call in self.known if call.counts_for(limit, self.now)]
        settled = sum(call.settled or 0 for call in counted)
        return settled + sum(call.reserved for call in counted if call.is_open)

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


class TestLedger(LedgerMachine.TestCase):  # type: ignore[name-defined, misc]
    """The machine, found by pytest."""
