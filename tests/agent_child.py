"""Another process that runs an agent: `python -m tests.agent_child API_BASE STORE LIMIT RUNS`.

Runs one query, says "ready" and waits for a line; then runs queries until the budget refuses, RUNS
at a time, and prints what all answers cost in nano-USD.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from router.agent.agent import CascadeAgent
from router.config import BudgetConfig
from router.errors import BudgetExceededError
from router.money import to_nano
from tests.agents import ACCEPT_ALL, model

__all__ = ["PROMPT", "spend"]

PROMPT = "What is 6 times 7?"


async def spend(api_base: str, store: Path, limit_usd: float, runs: int) -> int:
    """What all answers cost together, in nano-USD."""
    models = [model(name, api_base, max_tokens=20) for name in ("small", "large")]
    budget = BudgetConfig(daily_limit=limit_usd, store=store)

    async def run_once(agent: CascadeAgent) -> int:
        result = await agent.run(PROMPT)
        assert result.total_cost is not None
        return to_nano(result.total_cost)

    async def run_until_refused(agent: CascadeAgent) -> int:
        cost_nano = 0
        with suppress(BudgetExceededError):
            while True:
                cost_nano += await run_once(agent)
        return cost_nano

    async with CascadeAgent(models=models, policy=ACCEPT_ALL, budget=budget) as agent:
        first_nano = await run_once(agent)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        costs = await asyncio.gather(*(run_until_refused(agent) for _ in range(runs)))
        return first_nano + sum(costs)


if __name__ == "__main__":
    base, path, limit, at_once = sys.argv[1:]
    sys.stdout.write(f"{asyncio.run(spend(base, Path(path), float(limit), int(at_once)))}\n")
