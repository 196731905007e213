"""Two hundred thousand requests leave nothing behind: no memory, no connection, no task.

Four thousand in the usual run, as many as SLUICE_REQUESTS says in `make soak`.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.benchmarks.load_client import Load, measure
from tests.benchmarks.quick_upstream import serve_quickly
from tests.soak.gateway_process import gateway_process, write_config

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("SLUICE_REQUESTS", "4000"))
WARM_UP = max(2_000, REQUESTS // 10)
GROWTH_BAR = 20 * 2**20


def test_memory_stays_flat(tmp_path: Path) -> None:
    with serve_quickly() as upstream:
        config = write_config(tmp_path, upstream, budget={"daily_limit": 1e6})
        with gateway_process(config) as server:
            process = psutil.Process(server.pid)
            url = f"{server.origin}/v1/chat/completions"
            load = Load(url=url, model="auto", connections=32, seconds=1.0, warm_up_s=0.0)
            _ask(load, WARM_UP)
            warm, files = process.memory_info().rss, _files(process)
            asked = _ask(load, REQUESTS)
            time.sleep(1.0)
            grown = process.memory_info().rss - warm
            assert len(process.net_connections()) <= 34  # to the upstream, kept for the next calls
            assert _files(process) <= files + 2
            assert process.num_threads() <= 16
    if "SLUICE_REQUESTS" in os.environ:
        print(f"{asked:,} requests: {grown / 2**20:.1f} MB grown from {warm / 2**20:.0f} MB")
    assert grown < GROWTH_BAR


def _ask(load: Load, requests: int) -> int:
    """Ask at least so often; how often."""
    asked = 0
    while asked < requests:
        seconds = min(30.0, max(1.0, (requests - asked) / 1000))
        found = measure(replace(load, seconds=seconds))
        assert not found.failed
        asked += round(found.requests_per_s * seconds)
    return asked


def _files(process: psutil.Process) -> int:
    """Open files but connections, whose number depends on what was asked at once."""
    return process.num_fds() - len(process.net_connections())
