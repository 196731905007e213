"""Benchmarks run when asked for (`make bench`, pytest -m benchmark), not beside other tests.

Their bars hold on a machine that does nothing else; SLUICE_WRITE_DOCS=1 writes docs/latency.md.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from router.engine import Engine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "latency.md"
HEAD = """# Latency

Written by `SLUICE_WRITE_DOCS=1 make bench` (tests/benchmarks), on {machine}.
Decisions: one thread, in process, every call on another text, the best of three rounds; times in
milliseconds. The bars: p50 at most
0.5 ms and p99 below 2 ms at every length, importing `router` below 150 ms, ready within 2 s,
resident memory of the service below 300 MB. A run of `CascadeAgent` with one accepted draft: p50 at
most 1.0 ms and p99 at most 2.5 ms beside the waiting for the model, which is a process on loopback
that answers at once; the best of three rounds. Transports: the same upstream, from one process.
"""


@dataclass(kw_only=True)
class Report:
    """Tables to print and, when asked, to write."""

    tables: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)

    def add(self, title: str, header: tuple[str, ...], row: tuple[str, ...]) -> None:
        self.tables.setdefault(title, [header]).append(row)

    def print(self) -> None:
        console = Console(width=110)
        for title, (header, *rows) in self.tables.items():
            table = Table(title=title, title_justify="left")
            for index, name in enumerate(header):
                table.add_column(name, justify="right" if index else "left")
            for row in rows:
                table.add_row(*row)
            console.print()
            console.print(table)

    def write(self, artifact: str) -> None:
        cores = os.cpu_count()
        machine = f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, "
        lines = [HEAD.format(machine=f"{machine}artifact {artifact}")]
        for title, (header, *rows) in self.tables.items():
            lines += [f"## {title}", "", _markdown(header)]
            lines += [_markdown(("---", *("---:" for _ in header[1:])))]
            lines += [*(_markdown(row) for row in rows), ""]
        PAGE.write_text("\n".join(lines), encoding="utf-8")


def _markdown(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "benchmark" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("benchmark"):
            item.add_marker(pytest.mark.skip(reason="measured by `make bench`"))


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine.load()


@pytest.fixture(scope="session")
def report(engine: Engine) -> Iterator[Report]:
    report = Report()
    yield report
    report.print()
    if os.environ.get("SLUICE_WRITE_DOCS") == "1":
        report.write(engine.version)
