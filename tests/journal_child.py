"""A process with a journal of its own: `python -m tests.journal_child MODE URL`.

It says "ready" once it is, and begins when it is told "go".
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from random import Random

from router.budget import Limit
from router.errors import BudgetExceededError
from router.money import to_nano
from router.records.accounts import TOTAL, accounts_of, key_account
from router.records.database import Database
from router.records.journal import Journal
from tests.journal_books import NOW, made_call, made_outcome

__all__ = ["CALL_USD", "LIMIT_USD", "N_FORKED", "N_TASKS"]

LIMIT_USD = 1.0
CALL_USD = 0.007
N_TASKS = 16
N_FORKED = 40
KEYS = ("a", "b", "c")
PLENTY = Limit(scope="daily", limit_nano=to_nano(1e5), user=TOTAL)


async def spend(journal: Journal) -> None:
    """Spend a limit in many tasks until nothing is left of it, and print what was paid."""
    limits = (
        Limit(scope="daily", limit_nano=to_nano(LIMIT_USD)),
        Limit(scope="key_monthly", limit_nano=to_nano(10 * LIMIT_USD), user=key_account("a")),
    )
    call_nano = to_nano(CALL_USD)

    async def task(random: Random) -> int:
        paid_nano = 0
        while True:
            try:
                hold = await journal.hold(call_nano, limits, lease_s=60.0, now=NOW)
            except BudgetExceededError:
                return paid_nano
            await asyncio.sleep(random.uniform(0.0, 0.004))
            if random.random() < 0.2:
                await journal.release(hold)
                continue
            outcome = made_outcome(secrets.token_hex(8), call_nano, key_id="a", user="")
            await journal.record(outcome, [made_call(call_nano)], [hold], accounts_of("a", ""))
            paid_nano += call_nano

    tasks = (task(Random(secrets.randbits(32))) for _ in range(N_TASKS))
    _say(f"{sum(await asyncio.gather(*tasks))}")


async def answer(journal: Journal) -> None:
    """Answer requests until killed: print the id of each once it is recorded."""

    async def task(random: Random) -> None:
        while True:
            request_id, key = secrets.token_hex(8), random.choice(KEYS)
            bound, cost = random.randint(50, 100), random.randint(0, 60)
            limits = (PLENTY, Limit(scope="key_monthly", limit_nano=10**12, user=key_account(key)))
            hold = await journal.hold(bound, limits, lease_s=60.0, now=NOW)
            if random.random() < 0.1:
                await journal.release(hold)
                continue
            user = random.choice(("", "ann"))
            outcome = made_outcome(request_id, cost, key_id=key, user=user)
            calls = [made_call(cost // 2), made_call(cost - cost // 2)]
            await journal.record(outcome, calls, [hold], accounts_of(key, user))
            _say(request_id)

    await asyncio.gather(*(task(Random(secrets.randbits(32))) for _ in range(N_TASKS)))


async def work_around_forks(journal: Journal, database: Database) -> None:
    """Record in a process and in its children, all of them while the others do."""

    async def record(own: Journal, n: int) -> None:
        for _ in range(n):
            hold = await own.hold(10, (PLENTY,), lease_s=60.0, now=NOW)
            outcome = made_outcome(secrets.token_hex(8), 10)
            accounts = accounts_of("k", "ann")
            await own.record(outcome, [made_call(10)], [hold], accounts)

    async def record_in_child() -> None:
        own = Journal(database)
        await asyncio.gather(*(record(own, N_FORKED // 4) for _ in range(4)))
        await own.aclose()

    busy = asyncio.create_task(record(journal, N_FORKED))
    await database.run(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
    children = []
    for _ in range(2):
        await asyncio.sleep(0.005)
        child = os.fork()
        if child == 0:
            asyncio.events._set_running_loop(None)  # the parent's
            asyncio.run(record_in_child())
            database.close()
            os._exit(0)
        children.append(child)
    await busy
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # nothing stays in a buffer of ours


async def main(mode: str, url: str) -> None:
    database = Database.open(url)
    journal = Journal(database)
    _say("ready")
    sys.stdin.readline()
    modes: dict[str, Callable[[], Awaitable[None]]] = {
        "spend": lambda: spend(journal),
        "answer": lambda: answer(journal),
        "fork": lambda: work_around_forks(journal, database),
    }
    await modes[mode]()
    await journal.aclose()
    database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
