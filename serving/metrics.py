"""Prometheus figures of the service, and the middleware that counts requests.

Labels hold only what is bounded: routes as declared, status codes, actions, domains, error codes,
names from the configuration. Never keys, users, or anything else that a request brings.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.chat import Attempt
from router.records.outcome import CallRecord, Outcome
from router.types import Plan, Prediction, Verdict

from .errors import ApiError, error_response
from .operations.metric_family import counter, histogram
from .operations.metric_sources import MetricSources, SourceGauges
from .operations.outcome_metrics import OutcomeMetrics
from .operations.shared_metrics import shared_registry

__all__ = ["MeasuredApp", "Metrics"]

_UNMATCHED: Final = "unmatched"
_CLIENT_LEFT: Final = 499  # nginx's number for a request that needs no answer any more
_SHARE_EVERY_S: Final = 1.0


class Metrics:
    """Counters, histograms and gauges of one service; of several workers each has its own, and
    `scrape` sums them up."""

    def __init__(self) -> None:
        # A second sample for each counter, which Prometheus makes nothing of.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self._requests = counter(
            registry, "sluice_requests", "Requests answered.", "route", "status"
        )
        self._seconds = histogram(
            registry,
            "sluice_request_seconds",
            "Seconds from a request's head to its answer's end.",
            "route",
        )
        self._decisions = counter(
            registry, "sluice_decisions", "Queries planned.", "action", "domain"
        )
        self._verdicts = counter(registry, "sluice_verdicts", "Drafts judged.", "accept")
        self._errors = counter(registry, "sluice_errors", "Requests refused or failed.", "code")
        self._failures = counter(
            registry, "sluice_upstream_failures", "Calls to models that failed.", "model", "cause"
        )
        self._outcomes = OutcomeMetrics(registry, errors=self._errors, verdicts=self._verdicts)
        self._artifact = Gauge(
            "sluice_artifact_info",
            "1 for the artifact in use.",
            ("version",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._artifact_in_use: str | None = None
        self._sources = SourceGauges(registry)
        ProcessCollector(registry=registry)
        self._shared = shared_registry()

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """One answered request."""
        self._requests.of(route, str(status)).inc()
        self._seconds.of(route).observe(seconds)

    def count_refusal(self, status: int) -> None:
        """One request that was refused before any route saw it."""
        self._requests.of(_UNMATCHED, str(status)).inc()

    def count_decision(self, prediction: Prediction, plan: Plan) -> None:
        """One planned query."""
        self._decisions.of(plan.action, prediction.domain).inc()

    def count_verdict(self, verdict: Verdict) -> None:
        """One judged draft."""
        self._verdicts.of("true" if verdict.accept else "false").inc()

    def count_error(self, code: str) -> None:
        """One request without an outcome that was refused or failed, by its error's code."""
        self._errors.of(code).inc()

    def count_attempts(self, attempts: Iterable[Attempt]) -> None:
        """The calls among `attempts` that failed, whatever became of the request."""
        for attempt in attempts:
            if attempt.error is not None:
                self._failures.of(attempt.model, attempt.error.cause).inc()

    def count_outcome(self, outcome: Outcome, calls: Sequence[CallRecord] = ()) -> None:
        """One request to a model or a cascade, and the calls made for it; its error too."""
        self._outcomes.count(outcome, calls)

    def set_artifact(self, version: str) -> None:
        """Say which artifact is in use; an earlier one is in use no more."""
        if self._artifact_in_use is not None:
            self._artifact.labels(self._artifact_in_use).set(0)
        self._artifact.labels(version).set(1)
        self._artifact_in_use = version

    def watch(self, sources: MetricSources) -> None:
        """Where to look for what is not counted."""
        self._sources.watch(sources)

    async def scrape(self) -> bytes:
        """The exposition text, of all workers. It takes some milliseconds, so a thread makes it."""
        await self._sources.refresh()
        return await asyncio.to_thread(self.render)

    def render(self) -> bytes:
        """The exposition text of what is known."""
        return generate_latest(self.registry if self._shared is None else self._shared)

    async def keep_shared(self) -> None:
        """Let the other workers see what this one is doing, until cancelled; where there are none
        it ends at once."""
        while self._shared is not None:
            self._sources.refresh_counts()
            await asyncio.sleep(_SHARE_EVERY_S)


class MeasuredApp:
    """ASGI middleware that counts each request by the route that took it.

    It also is the last to see a request that is cancelled because the service ends: one that has
    no answer yet gets one.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        start = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except asyncio.CancelledError:
            if status == 0:
                await error_response(_ENDING)(scope, receive, watch)
            raise
        except BaseException:
            status = status or 500  # what the server makes of it
            raise
        finally:
            path = getattr(scope.get("route"), "path", _UNMATCHED)
            elapsed_s = time.perf_counter() - start
            self._metrics.count_request(path, status or _CLIENT_LEFT, elapsed_s)


_ENDING: Final = ApiError(
    503,
    "the service is shutting down; try again",
    code="not_ready",
    kind="server_error",
    headers={"retry-after": "1", "connection": "close"},
)
