"""Metrics by label, with each set of labels looked up once.

prometheus_client's own `labels()` makes texts of its arguments and takes a lock, every time. And it
has no bound: here, past so many sets of labels, all further ones are one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

__all__ = ["MAX_CHILDREN", "OTHER", "SECONDS", "Children", "counter", "histogram"]

OTHER: Final = "other"
MAX_CHILDREN: Final = 500
SECONDS: Final = (
    *(0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008),
    *(0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Bounds for what the service itself does."""

_Child = TypeVar("_Child")


class Children(Generic[_Child]):
    """What `labels` gives for label values, kept."""

    def __init__(self, labels: Callable[..., _Child]) -> None:
        self._labels = labels
        self._known: dict[tuple[str, ...], _Child] = {}

    def of(self, *values: str) -> _Child:
        """The child for these values, or, where there are too many already, for "other"."""
        found = self._known.get(values)
        if found is None:
            if len(self._known) >= MAX_CHILDREN:
                values = (OTHER,) * len(values)
            found = self._known[values] = self._labels(*values)
        return found


def counter(
    registry: CollectorRegistry, name: str, help_text: str, *labels: str
) -> Children[Counter]:
    """A counter with at least one label; its name ends in _total where it is read."""
    return Children(Counter(name, help_text, labels, registry=registry).labels)


def histogram(
    registry: CollectorRegistry,
    name: str,
    help_text: str,
    *labels: str,
    buckets: Sequence[float] = SECONDS,
) -> Children[Histogram]:
    """A histogram with at least one label."""
    metric = Histogram(name, help_text, labels, registry=registry, buckets=buckets)
    return Children(metric.labels)
