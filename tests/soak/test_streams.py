"""A thousand streams at once: none dropped, none mixed up, and the gateway hardly shows.

A hundred in the usual run; `make soak` sets SLUICE_STREAMS to a thousand and holds the bar.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path

import aiohttp
import pytest

from tests.agents import DIRECT
from tests.soak.echo_upstream import serve_echo
from tests.soak.gateway_process import gateway_process, write_config

pytestmark = pytest.mark.slow

STREAMS = int(os.environ.get("SLUICE_STREAMS", "100"))
RAMP_S = STREAMS / 120  # so that all are open at once before the first has ended
FIRST_TOKEN_S, PIECES, PIECE_S = 0.2, max(4, int(2.5 * RAMP_S)), 0.5
OVERHEAD_BAR_S = 0.05
CONTENT = re.compile(r'"content": ?"([^"]*)"')


async def test_many_streams_are_neither_dropped_nor_mixed_up(tmp_path: Path) -> None:
    with serve_echo(first_token_s=FIRST_TOKEN_S, pieces=PIECES, piece_s=PIECE_S) as upstream:
        config = write_config(tmp_path, upstream, policy=DIRECT)
        with gateway_process(config) as server:
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as session:
                open_at_once = _Peak()
                overheads = await asyncio.gather(
                    *(
                        _read(session, server.origin, index, open_at_once)
                        for index in range(STREAMS)
                    )
                )
    assert open_at_once.most == STREAMS
    p99_s = sorted(overheads)[int(0.99 * (STREAMS - 1))]
    if "SLUICE_STREAMS" in os.environ:
        print(f"{STREAMS} streams at once: first-token overhead p99 {p99_s * 1000:.1f} ms")
        assert p99_s < OVERHEAD_BAR_S


class _Peak:
    """How many were open at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __enter__(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        self.now -= 1


async def _read(session: aiohttp.ClientSession, origin: str, index: int, peak: _Peak) -> float:
    """Ask for one stream; check all of it, and give how much later than needed it began."""
    await asyncio.sleep(RAMP_S * index / STREAMS)
    number = 1_000_000 + index
    body = {
        "model": "auto",
        "messages": [{"role": "user", "content": f"What is number {number}?"}],
        "stream": True,
    }
    start = time.perf_counter()
    with peak:
        async with session.post(f"{origin}/v1/chat/completions", json=body) as response:
            assert response.status == 200, await response.text()
            first, text = 0.0, ""
            async for piece in response.content.iter_any():
                text += piece.decode()
                if not first and f"{number}" in text:
                    first = time.perf_counter()
    said = "".join(CONTENT.findall(text))
    assert said == f"{number} " * PIECES
    assert text.endswith("data: [DONE]\n\n")
    return first - start - FIRST_TOKEN_S
