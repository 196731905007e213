"""One loaded artifact, ready to answer: predict, plan and judge, behind three methods.

The command line and the service both stand on this, and both show its results in the JSON shapes
made here, so that `sluice route --json` and `POST /v1/route` cannot drift apart. An engine may
be shared between threads; it only ever learns of further models (`introduce`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .artifact import Artifact, load_artifact
from .judge import ArtifactJudge, Demands
from .planner import Planner
from .predictor import Predictor
from .profiles import PolicyFile
from .types import Draft, Plan, Prediction, Query, Verdict
from .validation.checks import Limits
from .validation.features import meaningful
from .validation.recalibration import Recalibration
from .validation.validator import Validator
from .versions import find_models_root, read_current

__all__ = ["Engine", "RouteResult", "describe_route", "describe_verdict"]

_P_DIGITS = 6
_COST_DIGITS = 10  # a short prompt to a cheap model costs 1e-6 USD and less
_MS_DIGITS = 3


@dataclass(frozen=True, kw_only=True)
class RouteResult:
    """What the artifact expects of a query, and which models to ask for it."""

    prediction: Prediction
    plan: Plan


class Engine:
    """Predictor, planner and validator of one artifact."""

    def __init__(self, artifact: Artifact) -> None:
        self._version = artifact.version
        self._predictor = Predictor(artifact)
        self._planner = Planner(artifact, abilities=self._predictor.abilities)
        self._validator = Validator(artifact)

    @classmethod
    def load(cls, root: Path | None = None, version: str | None = None) -> Engine:
        """Load from a models root (`router.versions` says where it is looked for).

        Raises ArtifactError when there is none, or when it is damaged or foreign.
        """
        return cls(load_artifact(root, version))

    @classmethod
    def shared(cls) -> Engine:
        """The engine of the current artifact, loaded once per process for all who ask here."""
        root = find_models_root()
        return _load_once(root, read_current(root))

    @property
    def version(self) -> str:
        """The artifact's version."""
        return self._version

    def route(
        self,
        query: Query,
        *,
        models: Sequence[str] | None = None,
        target_quality: float | None = None,
    ) -> RouteResult:
        """Predict and plan one query; `models` None means the artifact's own choice of models.

        Raises InputError when `target_quality` is not within 0..1.
        """
        prediction = self._predictor.predict(query, models)
        plan = self._planner.plan(prediction, models=models, target_quality=target_quality)
        return RouteResult(prediction=prediction, plan=plan)

    @property
    def policy(self) -> PolicyFile:
        """The artifact's pooled policy."""
        return self._planner.policy

    def predict(self, query: Query, models: Sequence[str]) -> Prediction:
        """What is expected of these models, before any is called."""
        return self._predictor.predict(query, models)

    def predict_many(self, queries: Sequence[Query], models: Sequence[str]) -> list[Prediction]:
        """`predict` for each query, in order; several at once cost less than one by one."""
        if len(queries) == 1:
            return [self._predictor.predict(queries[0], models)]
        return self._predictor.predict_many(queries, models)

    def judge(
        self,
        prediction: Prediction,
        *,
        demands: Demands,
        recalibration: Recalibration | None = None,
    ) -> ArtifactJudge:
        """A judge for one cascade on the query that `prediction` is of."""
        return ArtifactJudge(
            self._predictor,
            self._validator,
            recalibration=recalibration,
            demands=demands,
            prediction=prediction,
        )

    def introduce(
        self, model: str, *, input_cost: float | None = None, output_cost: float | None = None
    ) -> None:
        """Let a model that does not ship start from the prior that its name and prices (USD per
        1M tokens) suggest; one that ships is left as it is."""
        abilities = self._predictor.abilities
        if abilities.resolve(model) is None:
            self._predictor.add_ability(abilities.prior(model, input_cost, output_cost))

    def labels(self, model: str) -> int:
        """How many labelled outcomes stand behind what is known of a model; 0: its name and prices
        alone."""
        return self._predictor.abilities.get(model).n_labels

    def route_many(
        self,
        queries: Sequence[Query],
        *,
        models: Sequence[str] | None = None,
        target_quality: float | None = None,
    ) -> list[RouteResult]:
        """`route` for each query, in order; the predictions are made in batches."""
        return [
            RouteResult(
                prediction=prediction,
                plan=self._planner.plan(prediction, models=models, target_quality=target_quality),
            )
            for prediction in self._predictor.predict_many(queries, models)
        ]

    def validate(
        self,
        query: Query,
        draft: Draft,
        *,
        peers: Sequence[Draft] = (),
        limits: Limits | None = None,
    ) -> Verdict:
        """Judge a draft, with what was to be expected of its model before it answered."""
        drafts = (draft, *peers)
        names = dict.fromkeys(one.model for one in drafts if one.model is not None)
        prediction = self._predictor.predict(query, list(names))
        embeddings = self._predictor.embed_texts(list(map(meaningful, drafts)))
        return self._validator.validate(
            query, draft, peers=peers, prediction=prediction, embeddings=embeddings, limits=limits
        )


@cache
def _load_once(root: Path, version: str | None) -> Engine:
    return Engine.load(root, version)


def describe_route(result: RouteResult, *, latency_ms: float) -> dict[str, Any]:
    """The JSON object of one routed query, as the HTTP contract has it."""
    prediction, plan = result.prediction, result.plan
    return {
        "domain": prediction.domain,
        "domain_confidence": round(prediction.domain_confidence, _P_DIGITS),
        "domains": {name: round(p, _P_DIGITS) for name, p in prediction.domains.items()},
        "p_success": {name: round(p, _P_DIGITS) for name, p in prediction.p_success.items()},
        "plan": {
            "action": plan.action,
            "models": list(plan.models),
            "expected_cost_usd": _finite(plan.expected_cost_usd, _COST_DIGITS),
            "expected_quality": round(plan.expected_quality, _P_DIGITS),
        },
        "artifact": prediction.artifact,
        "latency_ms": round(latency_ms, _MS_DIGITS),
    }


def describe_verdict(verdict: Verdict, *, artifact: str, latency_ms: float) -> dict[str, Any]:
    """The JSON object of one verdict, as the HTTP contract has it."""
    return {
        "accept": verdict.accept,
        "p_acceptable": round(verdict.p_acceptable, _P_DIGITS),
        "threshold": round(verdict.threshold, _P_DIGITS),
        "checks": [
            {
                "name": check.name,
                "passed": check.passed,
                "value": _finite(check.value),
                "detail": check.detail,
            }
            for check in verdict.checks
        ],
        "artifact": artifact,
        "latency_ms": round(latency_ms, _MS_DIGITS),
    }


def _finite(value: float | None, digits: int = _P_DIGITS) -> float | None:
    """`value` where JSON has a number for it; NaN ("unknown", "nothing to judge") is null."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
