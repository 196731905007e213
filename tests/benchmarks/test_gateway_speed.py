"""The gateway beside LiteLLM's proxy and Portkey's gateway, in one run on one machine.

In turns, so that a noisy moment hits all; of each gateway's rounds the median counts. The load and
the upstream are processes of their own and share the cores with whoever is measured.
SLUICE_WRITE_DOCS=1 writes docs/gateway-speed.md.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.contenders import litellm, portkey, sluice
from tests.benchmarks.load_client import Load, Measured, measure
from tests.benchmarks.quick_upstream import serve_quickly

pytestmark = pytest.mark.benchmark

PAGE = Path(__file__).resolve().parents[2] / "docs" / "gateway-speed.md"
DRAFT = (
    "Line the numbers up by place value and add the units first, carrying where a sum passes "
    "nine; then add the tens in the same way, and so on. Here that gives a total of 42."
)
N_ROUNDS, SECONDS = 3, 2.0
ADDED_BAR_MS, LITELLM_BAR = 1.5, 10.0
NAMES = {
    "direct": "no gateway",
    "sluice": "Sluice",
    "litellm": "LiteLLM proxy",
    "portkey": "Portkey gateway",
}
Results = dict[tuple[str, int], Measured]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    with ExitStack() as stack:
        upstream = stack.enter_context(serve_quickly(DRAFT))
        direct = Load(url=f"{upstream}/chat/completions", model="m", connections=1, seconds=SECONDS)
        loads = {"direct": direct}
        for name, start in (("sluice", sluice), ("litellm", litellm), ("portkey", portkey)):
            folder = tmp_path_factory.mktemp(name)
            loads[name] = stack.enter_context(start(upstream, folder))
        rounds: dict[tuple[str, int], list[Measured]] = {}
        for _ in range(N_ROUNDS):
            for connections in (1, 32):
                for name, load in loads.items():
                    found = measure(replace(load, connections=connections, seconds=SECONDS))
                    rounds.setdefault((name, connections), []).append(found)
        yield {key: _median(found) for key, found in rounds.items()}


def test_the_gateway_is_faster_than_the_others(results: Results) -> None:
    rows = list(_rows(results))
    for row in rows:
        print(" | ".join(row))
    if os.environ.get("SLUICE_WRITE_DOCS"):
        _write(rows)
    assert not any(found.failed for found in results.values())
    ours, theirs = results["sluice", 32].requests_per_s, results["litellm", 32].requests_per_s
    assert ours >= LITELLM_BAR * theirs
    assert ours >= results["portkey", 32].requests_per_s
    added = {name: results[name, 1].p50_ms - results["direct", 1].p50_ms for name in NAMES}
    assert added["sluice"] <= ADDED_BAR_MS
    assert added["sluice"] < min(added["litellm"], added["portkey"])


def _median(found: list[Measured]) -> Measured:
    return Measured(
        requests_per_s=statistics.median(one.requests_per_s for one in found),
        p50_ms=statistics.median(one.p50_ms for one in found),
        p99_ms=statistics.median(one.p99_ms for one in found),
        failed=sum(one.failed for one in found),
    )


def _rows(results: Results) -> Iterator[tuple[str, ...]]:
    yield ("", "requests/s at 32", "p50 ms", "p99 ms", "requests/s at 1", "p50 ms", "added p50 ms")
    direct = results["direct", 1].p50_ms
    for name, title in NAMES.items():
        many, one = results[name, 32], results[name, 1]
        yield (
            title,
            f"{many.requests_per_s:,.0f}",
            *(f"{value:.2f}" for value in (many.p50_ms, many.p99_ms)),
            f"{one.requests_per_s:,.0f}",
            *(f"{value:.2f}" for value in (one.p50_ms, one.p50_ms - direct)),
        )


def _write(rows: list[tuple[str, ...]]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- measured -->\n", "<!-- end -->\n"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [f"On {machine}; medians of {N_ROUNDS} rounds of {SECONDS:g} s.", ""]
    lines += [f"| {' | '.join(rows[0])} |", "| --- |" + " ---: |" * (len(rows[0]) - 1)]
    lines += [f"| {' | '.join(row)} |" for row in rows[1:]]
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(before + begin + "\n".join(lines) + "\n" + end + after, encoding="utf-8")
