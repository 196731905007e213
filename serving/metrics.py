"""Prometheus figures of one service, in a registry of its own, and the middleware that keeps them.

Labels hold only what is bounded: routes as declared, status codes, actions, domains.
"""

from __future__ import annotations

import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.types import Plan, Prediction, Verdict

__all__ = ["MeasuredApp", "Metrics"]

_SECONDS = (
    *(0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008),
    *(0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_UNMATCHED = "unmatched"


class Metrics:
    """Counters and histograms of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "sluice_requests", "Requests answered.", ("route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "sluice_request_seconds",
            "Seconds from a request's head to its answer's end.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._decisions = Counter(
            "sluice_decisions", "Queries planned.", ("action", "domain"), registry=self.registry
        )
        self._verdicts = Counter(
            "sluice_verdicts", "Drafts judged.", ("accept",), registry=self.registry
        )
        self._artifact = Gauge(
            "sluice_artifact_info",
            "1 for the artifact in use.",
            ("version",),
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """One answered request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_decision(self, prediction: Prediction, plan: Plan) -> None:
        """One planned query."""
        self._decisions.labels(plan.action, prediction.domain).inc()

    def count_verdict(self, verdict: Verdict) -> None:
        """One judged draft."""
        self._verdicts.labels("true" if verdict.accept else "false").inc()

    def set_artifact(self, version: str) -> None:
        """Say which artifact is in use; an earlier one is in use no more."""
        self._artifact.clear()
        self._artifact.labels(version).set(1)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)


class MeasuredApp:
    """ASGI middleware that counts each request by the route that took it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # what the server answers for an exception that comes through here
        start = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", _UNMATCHED)
            self._metrics.count_request(route, status, time.perf_counter() - start)
