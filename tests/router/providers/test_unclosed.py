"""Who forgets to close what he used hears no complaint, and leaves nothing open."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys

import pytest

from router.chat import ChatRequest
from router.config import ModelConfig
from router.providers.client import ModelClient
from router.providers.transport import Transport
from tests.upstream import Upstream

BEGINNING = """
import asyncio, sys, threading
import uvloop
from router.chat import ChatRequest
from router.config import ModelConfig
from router.providers.client import ModelClient
from router.providers.transport import Transport

def make():
    config = ModelConfig(name="m", provider="openai", api_base=sys.argv[1], max_retries=0)
    return ModelClient(config, Transport(), environ={})

async def ask(client=None):
    asyncio.get_running_loop().slow_callback_duration = 60  # which -X dev would report
    client = client or make()
    await asyncio.gather(*(client.complete(ChatRequest.of("Hi")) for _ in range(3)))
"""
RUN = """
asyncio.run(ask())
client = make()
asyncio.run(ask(client))
asyncio.run(ask(client))
uvloop.run(ask(client))
"""
BY_HAND = """
client, loop = make(), asyncio.new_event_loop()
loop.run_until_complete(ask(client))
loop.close()
other, loop = make(), asyncio.new_event_loop()
loop.run_until_complete(ask(other))
"""
IN_A_THREAD = """
client, loop = make(), asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(ask(client), loop).result()
"""


@pytest.mark.parametrize(
    ("flags", "script"),
    [(["-X", "dev"], RUN), ([], BY_HAND + IN_A_THREAD)],
    ids=["asyncio.run", "loops by hand"],
)
def test_a_script_that_ends_without_closing_is_silent(flags: list[str], script: str) -> None:
    with Upstream() as upstream:
        command = [sys.executable, *flags, "-c", BEGINNING + script, upstream.url]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


async def test_a_client_that_is_gone_leaves_no_connection() -> None:
    before = asyncio.all_tasks()
    with Upstream() as upstream:
        config = ModelConfig(name="m", provider="openai", api_base=upstream.url)
        client = ModelClient(config, Transport(), environ={})
        await client.complete(ChatRequest.of("Hi"))
        assert upstream.open_connections == 1
        del client
        gc.collect()
        assert await upstream.all_closed()
    assert asyncio.all_tasks() == before
