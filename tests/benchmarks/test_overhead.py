"""What the SDK adds to a call: one accepted draft, beside a bare httpx call in the same run.

The upstream is a process of its own on loopback that answers at once. Runs and bare calls take
turns, so that a noisy moment hits both.
"""

from __future__ import annotations

import asyncio
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
HEADER = ("one accepted draft, ms", "p50", "p99")
N_RUNS, N_WARM = 1_500, 200
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
def test_overhead_of_an_accepted_draft(
    url: str, engine: Engine, report: Any, tmp_path: Path
) -> None:
    budget = BudgetConfig(daily_limit=1e6, store=tmp_path / "ledger.db")
    rows = asyncio.run(_measure(url, engine, budget))
    for name, values in rows.items():
        p50, p99 = _quantile(values, 0.5), _quantile(values, 0.99)
        report.add("A run beside a bare call", HEADER, (name, f"{p50:.2f}", f"{p99:.2f}"))
    own = rows["overhead: the run less its waiting for the model"]
    assert _quantile(own, 0.5) <= P50_BAR_MS
    assert _quantile(own, 0.99) <= P99_BAR_MS


async def _measure(url: str, engine: Engine, budget: BudgetConfig) -> dict[str, list[float]]:
    models = [
        ModelConfig(name=name, provider="local", api_base=url, cost=cost, max_tokens=500)
        for name, cost in (("gpt-4o-mini", 0.0004), ("gpt-4o", 0.006))
    ]
    names = ("bare httpx call", "run", "run, with a budget")
    found: dict[str, list[float]] = {name: [] for name in names}
    waited: dict[str, list[float]] = {"": [], ", with a budget": []}
    async with (
        CascadeAgent(models=models, engine=engine, policy=ACCEPT_ALL) as plain,
        CascadeAgent(models=models, engine=engine, policy=ACCEPT_ALL, budget=budget) as careful,
        httpx.AsyncClient() as client,
    ):
        for index in range(N_RUNS + N_WARM):
            prompt = (
                f"How do I add the numbers {index} and {index * 7}? Explain it in two sentences."
            )
            body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
            start = time.perf_counter()
            (await client.post(f"{url}/chat/completions", json=body)).json()
            found["bare httpx call"].append((time.perf_counter() - start) * 1000)
            for agent, more in ((plain, ""), (careful, ", with a budget")):
                result = await agent.run(prompt)
                assert result.action == "accepted"
                found[f"run{more}"].append(result.latency_ms)
                waited[more].append(result.overhead_ms)
    found["run less a bare call"] = [
        run - bare for run, bare in zip(found["run"], found["bare httpx call"], strict=True)
    ]
    for more, values in waited.items():
        found[f"overhead: the run less its waiting for the model{more}"] = values
    return {name: values[N_WARM:] for name, values in found.items()}


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]
