"""What a finished request adds to the figures: what was done, how fast, for how much."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from router.money import NANO_PER_USD
from router.records.outcome import CallRecord, Outcome

from .metric_family import SECONDS, Children, counter, histogram

__all__ = ["OutcomeMetrics"]

_NONE: Final = "none"
_MODEL_SECONDS: Final = (
    *(0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 4.0, 6.0, 10.0),
    *(15.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)


class OutcomeMetrics:
    """Counts outcomes. `errors` (by code) and `verdicts` ("true", "false") count others too."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        errors: Children[Counter],
        verdicts: Children[Counter],
    ) -> None:
        self._errors = errors
        self._verdicts = verdicts
        self._outcomes = counter(
            registry,
            "sluice_outcomes",
            "Requests to models and cascades.",
            *("status", "action", "cascade", "domain"),
        )
        self._answer_seconds = histogram(
            registry,
            "sluice_answer_seconds",
            "Seconds until an answer was whole.",
            "action",
            buckets=_MODEL_SECONDS,
        )
        self._overhead = Histogram(
            "sluice_overhead_seconds",
            "Seconds of a request that were not spent waiting for models.",
            registry=registry,
            buckets=SECONDS,
        )
        self._first_token = Histogram(
            "sluice_first_token_seconds",
            "Seconds until a stream's first piece of an answer.",
            registry=registry,
            buckets=_MODEL_SECONDS,
        )
        self._cached = counter(
            registry, "sluice_cache_hits", "Requests answered from the cache.", "kind"
        )
        self._agreements = counter(
            registry, "sluice_agreements", "Pairs of drafts that agreed or not.", "agree"
        )
        self._unpriced = Counter(
            "sluice_unpriced",
            "Requests whose cost is a bound, as the true one is not known.",
            registry=registry,
        )
        self._models = _ModelMetrics(registry)

    def count(self, outcome: Outcome, calls: Sequence[CallRecord]) -> None:
        """One finished request and its calls."""
        action = outcome.action or _NONE
        self._outcomes.of(
            outcome.status, action, outcome.cascade or _NONE, outcome.domain or _NONE
        ).inc()
        if outcome.error_code is not None:
            self._errors.of(outcome.error_code).inc()
        if outcome.status == "ok":
            self._answer_seconds.of(action).observe(outcome.latency_ms / 1000)
        if outcome.overhead_ms is not None:
            self._overhead.observe(outcome.overhead_ms / 1000)
        if outcome.first_token_ms is not None:
            self._first_token.observe(outcome.first_token_ms / 1000)
        if outcome.cached is not None:
            self._cached.of(outcome.cached).inc()
        if outcome.drafts_agree is not None:
            self._agreements.of(_word(outcome.drafts_agree)).inc()
        if outcome.drafts is not None:
            for draft in orjson.loads(outcome.drafts):
                accepted = draft["p_acceptable"] >= draft["threshold"] and not draft["failed"]
                self._verdicts.of(_word(accepted)).inc()
        if outcome.unpriced:
            self._unpriced.inc()
        self._models.count(outcome, calls)


class _ModelFigures:
    """Calls, tokens and dollars of one model."""

    def __init__(self, metrics: _ModelMetrics, model: str) -> None:
        self.calls = metrics.calls.labels(model)
        self.seconds = metrics.seconds.labels(model)
        self.input, self.output, self.cached = (
            metrics.tokens.labels(model, direction) for direction in ("input", "output", "cached")
        )
        self.cost = metrics.cost.labels(model)
        self.baseline = metrics.baseline.labels(model)
        self.saved = metrics.saved.labels(model)


class _ModelMetrics:
    """The same by model, looked up once for each."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "sluice_calls", "Calls to models that count.", ("model",), registry=registry
        )
        self.seconds = Histogram(
            "sluice_call_seconds",
            "Seconds that a call to a model took.",
            ("model",),
            registry=registry,
            buckets=_MODEL_SECONDS,
        )
        self.tokens = Counter(
            "sluice_tokens",
            "Tokens, as providers count them.",
            ("model", "direction"),
            registry=registry,
        )
        self.cost = Counter(
            "sluice_cost_usd", "USD spent on a model's calls.", ("model",), registry=registry
        )
        self.baseline = Counter(
            "sluice_baseline_usd",
            "USD that the verifier alone would have cost, by the model that answered.",
            ("model",),
            registry=registry,
        )
        # No counter: an answer that took drafts and the verifier saves less than nothing.
        self.saved = Gauge(
            "sluice_saved_usd",
            "USD saved so far against the verifier alone, by the model that answered.",
            ("model",),
            registry=registry,
            multiprocess_mode="sum",
        )
        self._models: Children[_ModelFigures] = Children(partial(_ModelFigures, self))

    def count(self, outcome: Outcome, calls: Sequence[CallRecord]) -> None:
        for call in calls:
            figures = self._models.of(call.model)
            figures.calls.inc()
            if call.charged_nano:
                figures.cost.inc(call.charged_nano / NANO_PER_USD)
            if call.input_tokens:
                figures.input.inc(call.input_tokens)
            if call.output_tokens:
                figures.output.inc(call.output_tokens)
            if call.cached_tokens:
                figures.cached.inc(call.cached_tokens)
            if call.latency_ms is not None:
                figures.seconds.observe(call.latency_ms / 1000)
        if outcome.baseline_nano is not None and outcome.model is not None:
            figures = self._models.of(outcome.model)
            figures.baseline.inc(outcome.baseline_nano / NANO_PER_USD)
            figures.saved.inc((outcome.baseline_nano - outcome.cost_nano) / NANO_PER_USD)


def _word(is_so: bool) -> str:
    return "true" if is_so else "false"
