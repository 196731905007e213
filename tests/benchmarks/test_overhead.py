"""What the SDK adds to a call: one accepted draft, beside a bare httpx call in the same run.

The upstream is a process of its own on loopback that answers at once, and so is the program that
asks. Runs and bare calls take turns, so that a noisy moment hits both; of three rounds the best
counts. The overhead is all of a run but the waiting for the model.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.agent.agent import CascadeAgent
from router.config import BudgetConfig, ModelConfig
from router.engine import Engine
from tests.agents import ACCEPT_ALL

ROOT = Path(__file__).resolve().parents[2]
DRAFT = (
    "Line the numbers up by place value and add the units first, carrying where a sum passes "
    "nine; then add the tens in the same way, and so on. Here that gives a total of 42."
)
SERVER = f"""
import sys
from tests.upstream import Upstream, answer
with Upstream(answer({DRAFT!r})) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
ASK = """
import asyncio, json, sys
from tests.benchmarks.test_overhead import measure
print(json.dumps(asyncio.run(measure(*sys.argv[1:]))))
"""
HEADER = ("one accepted draft, ms", "p50", "p99")
N_ROUNDS, N_RUNS, N_WARM = 3, 1_000, 100
P50_BAR_MS, P99_BAR_MS = 1.0, 2.5


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.benchmark
def test_overhead_of_an_accepted_draft(url: str, report: Any, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, url, str(tmp_path / "ledger.db")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    rows: dict[str, list[float]] = json.loads(done.stdout)
    for name, values in rows.items():
        p50, p99 = _quantile(values, 0.5), _quantile(values, 0.99)
        report.add("A run beside a bare call", HEADER, (name, f"{p50:.2f}", f"{p99:.2f}"))
    assert _quantile(rows["overhead"], 0.5) <= P50_BAR_MS
    assert _quantile(rows["overhead"], 0.99) <= P99_BAR_MS


async def measure(url: str, store: str) -> dict[str, list[float]]:
    """Milliseconds of each kind, run by run."""
    engine, budget = Engine.load(), BudgetConfig(daily_limit=1e6, store=Path(store))
    models = [
        ModelConfig(name=name, provider="local", api_base=url, cost=cost, max_tokens=500)
        for name, cost in (("gpt-4o-mini", 0.0004), ("gpt-4o", 0.006))
    ]
    found: dict[str, list[float]] = {}
    for more, limits in (("", None), (", with a budget", budget)):
        async with CascadeAgent(
            models=models, engine=engine, policy=ACCEPT_ALL, budget=limits
        ) as agent:
            rounds = [await _take_turns(agent, url) for _ in range(N_ROUNDS)]
        bare, run, overhead = min(rounds, key=lambda one: _quantile(one[-1], 0.5))
        found.setdefault("bare httpx call", bare)
        found[f"run{more}"] = run
        found[f"run less a bare call{more}"] = [a - b for a, b in zip(run, bare, strict=True)]
        found[f"overhead{more}"] = overhead
    return found


async def _take_turns(agent: CascadeAgent, url: str) -> tuple[list[float], ...]:
    """Milliseconds of bare calls, of runs, and of what those did not wait for the model."""
    bare, run, overhead = [], [], []
    async with httpx.AsyncClient() as client:
        for index in range(N_RUNS + N_WARM):
            prompt = f"How do I add the numbers {index} and {index * 7}? Explain it briefly."
            body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
            start = time.perf_counter()
            (await client.post(f"{url}/chat/completions", json=body)).json()
            bare.append((time.perf_counter() - start) * 1000)
            result = await agent.run(prompt)
            assert result.action == "accepted"
            run.append(result.latency_ms)
            overhead.append(result.overhead_ms)
    return bare[N_WARM:], run[N_WARM:], overhead[N_WARM:]


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]
