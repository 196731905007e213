"""Limits hold across processes, and a killed process takes nothing along that it has answered.

SLUICE_KILLS: how many processes are killed in the middle of their work, 10 by default.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from router.money import to_nano
from router.records.accounts import TOTAL
from router.records.database import Database
from router.records.journal import Journal
from tests.journal_books import DAY, NOW, audit, limit
from tests.journal_child import CALL_USD, LIMIT_USD, N_FORKED

ROOT = Path(__file__).resolve().parents[4]
N_KILLS = int(os.environ.get("SLUICE_KILLS", "10"))
AT_ONCE = 2


@pytest.fixture
def start(url: str) -> Iterator[Any]:
    """Starts children, and waits until all of them are ready to go."""
    with ExitStack() as stack:

        def start(mode: str, n: int) -> list[subprocess.Popen[str]]:
            children = [
                stack.enter_context(
                    subprocess.Popen(
                        [sys.executable, "-m", "tests.journal_child", mode, url],
                        cwd=ROOT,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
                for _ in range(n)
            ]
            for child in children:
                stack.callback(child.kill)
                assert child.stdout is not None
                assert child.stdout.readline() == "ready\n"
            for child in children:
                assert child.stdin is not None
                child.stdin.write("go\n")
                child.stdin.flush()
            return children

        yield start


def test_two_processes_that_open_a_store_at_once_both_find_it(start: Any, url: str) -> None:
    for child in start("spend", 3):  # each of them opened it, and nobody before
        child.communicate(timeout=60)
        assert child.returncode == 0


def test_two_processes_never_spend_more_than_a_limit_together(
    start: Any, database: Database
) -> None:
    children = start("spend", 2)
    paid = [int(child.communicate(timeout=60)[0]) for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert all(paid)
    limit_nano, call_nano = to_nano(LIMIT_USD), to_nano(CALL_USD)
    assert limit_nano - call_nano < sum(paid) <= limit_nano
    assert audit(database).totals[DAY, TOTAL] == (sum(paid), 0)


async def test_what_a_killed_process_has_answered_is_kept_exactly_once(
    start: Any, database: Database
) -> None:
    random = Random(7)
    answered: list[str] = []
    for _ in range(0, N_KILLS, AT_ONCE):
        children = start("answer", AT_ONCE)
        for child in children:
            time.sleep(random.uniform(0.05, 0.4))
            child.kill()
            told = child.communicate(timeout=30)[0]
            assert child.returncode == -signal.SIGKILL
            answered += told.splitlines()  # a line cut short would be one that is not kept
    books = audit(database)
    assert len(answered) > 20 * N_KILLS
    assert len(books.request_ids) == len(set(books.request_ids))
    assert set(answered) <= set(books.request_ids)
    # What was under way is held until its lease is over, and no longer.
    journal = Journal(database)
    assert books.totals[DAY, TOTAL][1] > 0
    await journal.release(await journal.hold(1, (limit(10**15),), lease_s=1.0, now=NOW + 61.0))
    await journal.aclose()
    assert audit(database).n_holds == 0
    assert audit(database).totals[DAY, TOTAL] == (books.totals[DAY, TOTAL][0], 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_journal_in_use_works_on_both_sides_of_a_fork(start: Any, database: Database) -> None:
    (child,) = start("fork", 1)
    child.communicate(timeout=60)
    assert child.returncode == 0
    books = audit(database)
    assert books.totals[DAY, TOTAL] == (3 * N_FORKED * 10, 0)
    assert len(books.request_ids) == 3 * N_FORKED
