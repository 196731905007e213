"""Figures of several workers as one: each writes into a private folder, any of them can sum up.

This is prometheus_client's way for several processes. It looks for the folder when it is imported,
so `share_metrics` comes before that; a process on its own keeps its figures in memory, which costs
a third.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

__all__ = ["forget_worker", "keep_metrics_private", "share_metrics", "shared_registry"]

_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_OLD_VARIABLE: Final = "prometheus_multiproc_dir"
# Of the process figures, those that make sense added up. The others are of one process.
_SUMMED: Final = (
    "process_cpu_seconds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
)


def share_metrics(folder: str) -> None:
    """Let this process write its figures into `folder`."""
    os.environ[_VARIABLE] = folder


def keep_metrics_private() -> None:
    """Let this process keep its figures to itself, whatever the environment says."""
    for name in (_VARIABLE, _OLD_VARIABLE):
        os.environ.pop(name, None)


def forget_worker(folder: str, pid: int) -> None:
    """A worker has ended: what it was doing is over, while what it had counted stays counted."""
    for path in Path(folder).glob(f"gauge_live*_{pid}.db"):
        path.unlink(missing_ok=True)


def shared_registry() -> CollectorRegistry | None:
    """All workers' figures, as they are when it is collected; None where they are not shared."""
    folder = os.environ.get(_VARIABLE)
    if folder is None:
        return None
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    registry.register(_Processes(folder))
    return registry


class _Processes:
    """What the operating system says of the workers, added up."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def collect(self) -> Iterator[Metric]:
        from prometheus_client import ProcessCollector

        total: dict[str, Metric] = {}
        for pid in self._pids():
            for metric in ProcessCollector(registry=None, pid=partial(int, pid)).collect():
                if metric.name not in _SUMMED:
                    continue
                if metric.name not in total:
                    total[metric.name] = metric
                    continue
                before, now = total[metric.name].samples[0], metric.samples[0]
                summed = before._replace(value=before.value + now.value)
                total[metric.name].samples[0] = summed
        yield from total.values()

    def _pids(self) -> list[int]:
        """The workers that live: each has a file of gauges, until `forget_worker`."""
        names = (path.stem for path in self._folder.glob("gauge_livesum_*.db"))
        return [int(name.rpartition("_")[2]) for name in names]
