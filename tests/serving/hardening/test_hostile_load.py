"""A tenant that floods the gateway: it neither keeps others out nor spends more than it may."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import aiohttp

from router.engine import Engine
from router.records.key_secrets import read_key
from serving.config import GatewayBudget, LimitsConfig
from tests.agents import usd
from tests.behaviours import answer
from tests.serving.hardening.hardened_gateway import hardened_gateway
from tests.upstream import Upstream

WORK_S = 0.3
FLOOD = 200
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def open_session(origin: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(origin, connector=aiohttp.TCPConnector(limit=0))


async def ask(
    session: aiohttp.ClientSession, key: str, model: str, *, user: str = "", stream: bool = False
) -> int:
    """The status of one request, whose answer has to be whole."""
    body = {"model": model, "messages": QUESTION, "max_tokens": 100, "stream": stream}
    headers = {"x-api-key": key, "x-sluice-user": user}
    async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
        text = await response.text()
    if response.status == 200:
        assert text.endswith("data: [DONE]\n\n" if stream else "}")
    elif response.status == 429:
        assert float(response.headers["retry-after"]) > 0
    return response.status


async def test_a_flood_keeps_nobody_out(engine: Engine, tmp_path: Path) -> None:
    limits = LimitsConfig(max_concurrency=4, max_queue=64, queue_timeout_s=20)
    slow = answer("Paris.", pieces=["Paris."], delay_s=WORK_S / 4)  # a pause after each of 4 events
    with (
        Upstream(slow) as upstream,
        hardened_gateway(engine, upstream, tmp_path, mode="keys", limits=limits) as gateway,
    ):
        a, b = gateway.new_key(), gateway.new_key()
        statuses: Counter[int] = Counter()

        async def flood(session: aiohttp.ClientSession) -> None:
            while True:
                status = await ask(session, b, "small", stream=True)
                statuses[status] += 1
                if status == 429:
                    await asyncio.sleep(1.0)

        async with open_session(gateway.live.origin) as session, asyncio.TaskGroup() as clients:
            flooding = [clients.create_task(flood(session)) for _ in range(FLOOD)]
            while not statuses[429]:
                await asyncio.sleep(0.01)
            waited_s = []
            for _ in range(6):
                start = time.perf_counter()
                assert await ask(session, a, "small", stream=True) == 200
                waited_s.append(time.perf_counter() - start)
            for task in flooding:
                task.cancel()
        gateway.check_nothing_is_left()
    # Behind all who wait it would be 64 / 4 times as long; its turn comes with the next free place.
    assert sorted(waited_s)[3] < 4 * WORK_S, waited_s
    assert max(waited_s) < 10 * WORK_S, waited_s
    assert set(statuses) == {200, 429}


async def test_nobody_spends_more_than_he_may(engine: Engine, tmp_path: Path) -> None:
    """Whatever names it gives its users, and however many requests it makes at once."""
    budget = GatewayBudget(daily_limit=1000, user_daily_limit=500)
    with (
        Upstream(answer("Paris.")) as upstream,
        hardened_gateway(engine, upstream, tmp_path, mode="keys", budget=budget) as gateway,
    ):
        limit_usd = 20 * usd("small") + 0.003  # beside what calls under way may cost at most
        a, b = gateway.new_key(), gateway.new_key(daily_limit=limit_usd)
        statuses: Counter[int] = Counter()
        async with open_session(gateway.live.origin) as session:
            for turn in range(4):
                names = (f"user-{turn}-{number}" for number in range(50))
                requests = (ask(session, b, "small", user=name) for name in names)
                statuses.update(await asyncio.gather(*requests))
            assert await ask(session, a, "small") == 200
        owner = read_key(b)
        assert owner is not None
        spent = sum(row["cost_nano"] for row in gateway.rows() if row["key_id"] == owner.id)
        gateway.check_nothing_is_left()
    assert set(statuses) == {200, 429}
    assert statuses[200] >= 20
    assert spent <= limit_usd * 1e9
    assert len(upstream.requests) == statuses[200] + 1
