"""Other processes for the tests of the ledger: `python -m tests.ledger_child MODE PATH`.

For all of them it is NOW.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
from pathlib import Path

from router.budget import Limit
from router.config import BudgetConfig
from router.errors import BudgetExceededError
from router.money import to_nano
from router.store.ledger import Reservation
from router.store.spending import Spending
from router.store.sqlite_ledger import SqliteLedger

NOW = 1_795_000_000.0
RUNS = 32
CHILDREN = 5
LIMIT_USD = 1.0
CALL_USD = 0.001  # what a call may cost at most
LIMITS = (Limit(scope="daily", limit_nano=10**12),)


def spend_concurrently(path: Path) -> None:
    """Once told to, make calls in RUNS concurrent runs until each is refused; print the cost."""

    async def run(spending: Spending, dice: random.Random) -> int:
        cost_nano = 0
        while True:
            try:
                reservation = await spending.reserve(
                    upper_bound_usd=CALL_USD, model="m", lease_s=600.0
                )
            except BudgetExceededError:
                return cost_nano
            await asyncio.sleep(dice.uniform(0.0, 0.02))
            cost_usd = dice.choice([0.0005, 0.0009, CALL_USD])
            await spending.settle(reservation, cost_usd)
            cost_nano += to_nano(cost_usd)

    async def spend() -> int:
        config = BudgetConfig(daily_limit=LIMIT_USD, store=path)
        spending = Spending(config, clock=lambda: NOW)
        costs = await asyncio.gather(
            *(run(spending, random.Random(os.getpid() + n)) for n in range(RUNS))
        )
        await spending.aclose()
        return sum(costs)

    _say("ready")
    sys.stdin.readline()
    _say(str(asyncio.run(spend())))


def settle_forever(path: Path) -> None:
    """Settle one nano-dollar after the other, saying so each time, with one reservation open."""
    ledger = SqliteLedger(path)

    def reserve(amount_nano: int) -> Reservation:
        return ledger.reserve(amount_nano, LIMITS, model="m", lease_s=60.0, now=NOW)

    reserve(10**9)
    while True:
        ledger.settle(reserve(10**6), 1, now=NOW)
        _say("settled")


def fork_and_settle(path: Path) -> None:
    """Settle calls in a thread, and meanwhile fork children that settle 100 each; CHILDREN + 1
    times 100 in all."""
    ledger = SqliteLedger(path)

    def settle() -> None:
        for _ in range(100):
            reservation = ledger.reserve(10, LIMITS, model="m", lease_s=60.0, now=NOW)
            ledger.settle(reservation, 1, now=NOW)

    thread = threading.Thread(target=settle)
    thread.start()
    children = []
    for _ in range(CHILDREN):
        child = os.fork()
        if child == 0:
            settle()
            os._exit(0)
        children.append(child)
    thread.join()
    ledger.close()
    sys.exit(any(os.waitpid(child, 0)[1] for child in children))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    modes = {"spend": spend_concurrently, "settle": settle_forever, "fork": fork_and_settle}
    modes[sys.argv[1]](Path(sys.argv[2]))
