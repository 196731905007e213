"""kill -9 under load: what a client has received is in the store, once, and the ledger adds up.

Four kills in the usual run, as many as SLUICE_KILLS says in `make soak`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.server_process import ServerProcess
from tests.soak.echo_upstream import serve_echo
from tests.soak.gateway_process import gateway_process, write_config

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("SLUICE_KILLS", "4"))
CLIENTS = 16


async def test_what_was_answered_is_in_the_store_once(tmp_path: Path) -> None:
    chance = random.Random(4)
    answered: list[str] = []
    with serve_echo(pieces=3) as upstream:
        config = write_config(tmp_path, upstream, budget={"daily_limit": 1e6})
        for _ in range(KILLS):
            with gateway_process(config) as server:
                await _ask_until_killed(server, answered, after_s=chance.uniform(0.05, 1.0))
    assert len(answered) >= 20 * KILLS, "hardly anything was answered"
    assert len(set(answered)) == len(answered)
    _check_store(tmp_path / "sluice.db", answered)


async def _ask_until_killed(server: ServerProcess, answered: list[str], *, after_s: float) -> None:
    """Ask from several clients, plain and streamed in turn, and kill the server meanwhile."""
    async with aiohttp.ClientSession() as session:
        clients = [
            asyncio.create_task(_ask(session, server.origin, answered, first=index))
            for index in range(CLIENTS)
        ]
        await asyncio.sleep(after_s)
        os.killpg(server.pid, signal.SIGKILL)
        await asyncio.gather(*clients)


async def _ask(
    session: aiohttp.ClientSession, origin: str, answered: list[str], *, first: int
) -> None:
    """Ask until nobody answers any more; `answered` gets the ids of what came whole."""
    with suppress(aiohttp.ClientError):
        for turn in range(10_000):
            number = first + CLIENTS * turn
            body = {
                "model": "auto",
                "messages": [{"role": "user", "content": f"What is number {number}?"}],
                "stream": number % 2 == 1,
            }
            async with session.post(f"{origin}/v1/chat/completions", json=body) as response:
                text = await response.text()
                assert response.status == 200, text
                assert str(number) in text
                if body["stream"]:
                    assert "data: [DONE]" in text
                answered.append(response.headers["x-sluice-request-id"])


def _check_store(path: Path, answered: list[str]) -> None:
    with sqlite3.connect(path) as db:
        kept = [row[0] for row in db.execute("SELECT request_id FROM outcomes")]
        assert len(kept) == len(set(kept))
        missing = set(answered) - set(kept)
        assert not missing, f"{len(missing)} of {len(answered)} answers are not in the store"
        day = time.strftime("%Y-%m-%d", time.gmtime())
        [outcomes] = db.execute("SELECT sum(cost_nano) FROM outcomes").fetchone()
        [calls] = db.execute("SELECT sum(charged_nano) FROM calls").fetchone()
        totals = dict(
            db.execute("SELECT account, settled_nano FROM totals WHERE window = ?", (day,))
        )
    db.close()
    assert outcomes == calls == totals[""] == totals["key:"]
