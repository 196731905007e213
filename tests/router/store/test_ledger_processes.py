"""Limits hold across processes, and a killed process takes nothing along that was settled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from router.budget import Limit
from router.errors import BudgetExceededError
from router.money import to_nano
from router.store.sqlite_ledger import SqliteLedger
from tests.ledger_child import CALL_USD, CHILDREN, LIMIT_USD, NOW, RUNS

ROOT = Path(__file__).resolve().parents[3]


def _start(mode: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger_child", mode, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_64_runs_in_two_processes_stop_right_below_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    processes = [_start("spend", path) for _ in range(64 // RUNS)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    costs = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert all(costs)
    limit_nano, call_nano = to_nano(LIMIT_USD), to_nano(CALL_USD)
    assert limit_nano - call_nano < sum(costs) <= limit_nano
    ledger = SqliteLedger(path)
    balance = ledger.balance("daily", now=NOW)
    ledger.close()
    assert (balance.settled_nano, balance.reserved_nano) == (sum(costs), 0)


@pytest.mark.parametrize("lines", [1, 150])
def test_a_killed_process_loses_nothing_and_its_reservations_run_out(
    tmp_path: Path, lines: int
) -> None:
    path = tmp_path / "ledger.db"
    process = _start("settle", path)
    assert process.stdout is not None
    seen = sum(process.stdout.readline() == "settled\n" for _ in range(lines))
    process.kill()
    seen += process.stdout.read().count("settled\n")
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL

    ledger = SqliteLedger(path)
    balance = ledger.balance("daily", now=NOW)
    assert seen <= balance.settled_nano <= seen + 1  # the last may not have been told
    assert balance.reserved_nano in (10**9, 10**9 + 10**6)
    room = (Limit(scope="daily", limit_nano=10**9),)
    with pytest.raises(BudgetExceededError):
        ledger.reserve(10**6, room, model="m", lease_s=60.0, now=NOW)
    ledger.reserve(10**6, room, model="m", lease_s=60.0, now=NOW + 61.0)
    freed = ledger.balance("daily", now=NOW)
    ledger.close()
    assert (freed.settled_nano, freed.reserved_nano) == (balance.settled_nano, 10**6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_ledger_in_use_works_on_both_sides_of_a_fork(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    process = _start("fork", path)
    process.communicate(timeout=30)
    assert process.returncode == 0
    ledger = SqliteLedger(path)
    assert ledger.balance("daily", now=NOW).settled_nano == 100 * (CHILDREN + 1)
    ledger.close()
