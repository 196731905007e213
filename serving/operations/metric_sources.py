"""Figures that are not counted but looked up: when somebody asks for them, and not too often."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from router.errors import SluiceError

__all__ = ["MetricSources", "SourceGauges"]

_LOG = logging.getLogger("sluice.metrics")

_BUDGET_EVERY_S: Final = 1.0
_CALIBRATION_EVERY_S: Final = 60.0
_PATIENCE_S: Final = 3.0  # with a store that does not answer

Numbers = Callable[[], Awaitable[Mapping[str, float]]]


@dataclass(frozen=True, kw_only=True)
class MetricSources:
    """Where to look. What is None has no figure.

    in_flight, waiting: requests admitted, and those in the queue. journal_depth: outcomes that wait
    to be written. rate_limits_degraded: whether each process counts by itself, as Redis is away.
    open_circuits: models and whether they are left alone just now.
    budget_left_usd: by window ("daily", "monthly"), of the gateway's own limits.
    calibration_error: of "p_success" and "p_acceptable" against labels; those there are.
    The last two are coroutines' and may raise SluiceError.
    """

    in_flight: Callable[[], int] | None = None
    waiting: Callable[[], int] | None = None
    journal_depth: Callable[[], int] | None = None
    rate_limits_degraded: Callable[[], bool] | None = None
    open_circuits: Callable[[], Mapping[str, bool]] | None = None
    budget_left_usd: Numbers | None = None
    calibration_error: Numbers | None = None


class SourceGauges:
    """The gauges of `MetricSources`. Of several workers the first four are added up, or, for the
    circuits, open where one has opened them; the others are the same for all, so the newest."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sources = MetricSources()
        self._registry = registry
        self._counts = {
            "in_flight": self._count("sluice_requests_in_flight", "Requests worked on."),
            "waiting": self._count("sluice_requests_waiting", "Requests in the queue."),
            "journal_depth": self._count("sluice_journal_depth", "Outcomes not yet written."),
            "rate_limits_degraded": self._count(
                "sluice_rate_limits_degraded", "Processes that count alone, as Redis is away."
            ),
        }
        self._circuits = Gauge(
            "sluice_circuit_open",
            "1 while a model is left alone because it failed too often.",
            ("model",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._looked_up = (
            _LookedUp("sluice_budget_left_usd", "USD left.", "window", _BUDGET_EVERY_S, registry),
            _LookedUp(
                "sluice_calibration_error",
                "Expected calibration error against feedback, 0 to 1.",
                "of",
                _CALIBRATION_EVERY_S,
                registry,
            ),
        )

    def watch(self, sources: MetricSources) -> None:
        """Look there from now on."""
        self._sources = sources

    def refresh_counts(self) -> None:
        """Set what costs nothing to look up."""
        for name, gauge in self._counts.items():
            source = getattr(self._sources, name)
            if source is not None:
                gauge.set(source())
        if self._sources.open_circuits is not None:
            for model, is_open in self._sources.open_circuits().items():
                self._circuits.labels(model).set(is_open)

    async def refresh(self) -> None:
        """Set all, the costly ones if it is time."""
        self.refresh_counts()
        budget, calibration = self._looked_up
        await asyncio.gather(
            budget.refresh(self._sources.budget_left_usd),
            calibration.refresh(self._sources.calibration_error),
        )

    def _count(self, name: str, help_text: str) -> Gauge:
        return Gauge(name, help_text, registry=self._registry, multiprocess_mode="livesum")


class _LookedUp:
    """A gauge whose values come from the store. One that cannot be had is not a number."""

    def __init__(
        self, name: str, help_text: str, label: str, every_s: float, registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._gauge = Gauge(
            name, help_text, (label,), registry=registry, multiprocess_mode="mostrecent"
        )
        self._every_s = every_s
        self._next_at = -math.inf
        self._keys: set[str] = set()
        self._lock = asyncio.Lock()

    async def refresh(self, source: Numbers | None) -> None:
        if source is None:
            return
        async with self._lock:
            if time.monotonic() < self._next_at:
                return
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    found = await source()
            except (SluiceError, TimeoutError) as exc:
                _LOG.warning("%s cannot be looked up", self._name, exc_info=exc)
                found = {}
            self._next_at = time.monotonic() + self._every_s
            self._keys |= found.keys()
            for key in self._keys:
                self._gauge.labels(key).set(found.get(key, math.nan))
