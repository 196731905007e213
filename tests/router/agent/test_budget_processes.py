"""One limit, two processes, 64 runs at once."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from router.budget import upper_bound_tokens
from router.chat import ChatRequest
from router.money import to_nano
from router.store.sqlite_ledger import SqliteLedger
from tests.agent_child import PROMPT
from tests.agents import COSTS, wait_past_midnight
from tests.behaviours import Received, Script
from tests.upstream import Upstream, answer

ROOT = Path(__file__).resolve().parents[3]
RUNS = 32  # in each process


def slowly(request: Received) -> Script:
    """An answer that takes a moment, so that calls of both processes are under way at once."""
    script = answer("The answer is 42.")(request)
    return replace(script, pieces=(0.02, *script.pieces))


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_64_runs_in_two_processes_stop_right_below_the_limit(tmp_path: Path) -> None:
    wait_past_midnight(margin_s=20.0)
    store = tmp_path / "ledger.db"
    per_input, per_output = COSTS["small"]
    call_usd = (upper_bound_tokens(ChatRequest.of(PROMPT)) * per_input + 20 * per_output) / 1e6
    limit_usd = 20 * call_usd
    with Upstream(slowly) as upstream, ExitStack() as stack:
        command = [sys.executable, "-m", "tests.agent_child", upstream.url, str(store)]
        starting = [_start([*command, str(limit_usd), str(RUNS)]) for _ in range(2)]
        children = [stack.enter_context(child) for child in starting]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        costs = [int(child.communicate(timeout=60)[0]) for child in children]
        calls = len(upstream.requests)
    assert [child.returncode for child in children] == [0, 0]
    assert to_nano(limit_usd) - to_nano(call_usd) < sum(costs) <= to_nano(limit_usd)
    ledger = SqliteLedger(store)
    found = ledger.balance("daily", now=time.time())
    ledger.close()
    assert (found.settled_nano, found.reserved_nano) == (sum(costs), 0)
    assert calls > 2 * RUNS
