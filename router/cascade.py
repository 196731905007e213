"""The one cascade: it drives the policy's steps with a provider's answers and a judge's evidence.

Production gives it a provider that calls models and a judge that runs the artifact; replay gives
it recorded answers (and, for cross-fitted evaluation, recorded judgements). Nothing else decides
anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .errors import CascadeExhaustedError, InputError, UpstreamError
from .policy import Assessment, Step, Thresholds, next_step
from .providers import Provider
from .types import Draft, Embedding, Prediction, Query
from .validation.features import QueryEvidence, meaningful, query_evidence
from .validation.recalibration import Recalibration
from .validation.validator import Validator

__all__ = [
    "ArtifactJudge",
    "CascadeAction",
    "CascadeResult",
    "Judge",
    "Predicts",
    "run_cascade",
]

CascadeAction = Literal["accepted", "consensus", "escalated", "direct"]


class Judge(Protocol):
    """Where evidence comes from. `chain` ends in the verifier."""

    def start(self, query: Query, chain: Sequence[str]) -> Assessment:
        """What is expected before any draft."""
        ...

    def assess(self, query: Query, chain: Sequence[str], drafts: Sequence[Draft]) -> Assessment:
        """What is known with these drafts."""
        ...


class Predicts(Protocol):
    """What a judge needs of a predictor; replay also has one that recalls recorded predictions."""

    def predict(self, query: Query, models: Sequence[str] | None = None) -> Prediction:
        """The prediction for one query and these models."""
        ...

    def predict_beside(
        self, query: Query, texts: Sequence[str], models: Sequence[str] | None = None
    ) -> tuple[Prediction, list[Embedding | None]]:
        """The prediction, and the embedding of each text, None for an empty one."""
        ...


class ArtifactJudge:
    """The production judge: an artifact's predictor and validator."""

    def __init__(
        self,
        predictor: Predicts,
        validator: Validator,
        *,
        recalibration: Recalibration | None = None,
    ) -> None:
        self._predictor = predictor
        self._validator = validator
        self._recalibration = recalibration

    def start(self, query: Query, chain: Sequence[str]) -> Assessment:
        p_success = self._predictor.predict(query, tuple(chain)).p_success
        return Assessment(p_first=p_success[chain[0]], p_verifier=p_success[chain[-1]])

    def assess(self, query: Query, chain: Sequence[str], drafts: Sequence[Draft]) -> Assessment:
        asked: QueryEvidence = query_evidence(query)
        prediction, embeddings = self._predictor.predict_beside(
            query, list(map(meaningful, drafts)), tuple(chain)
        )
        judged = self._validator.judge(
            asked, drafts, prediction, embeddings=embeddings, recalibration=self._recalibration
        )
        p_verifier, correction = self._validator.weigh_verifier(
            asked, judged, prediction, chain[-1], recalibration=self._recalibration
        )
        return Assessment(
            p_first=prediction.p_success[chain[0]],
            p_verifier=p_verifier,
            p_drafts=judged.p_drafts,
            correction=correction,
        )


@dataclass(frozen=True, kw_only=True)
class CascadeResult:
    """How a query was answered. `cost_usd` counts every call made, NaN when a price is unknown;
    `attempts` holds the failures on the way."""

    answer: Draft
    action: CascadeAction
    drafts: tuple[Draft, ...]
    assessments: tuple[Assessment, ...]
    cost_usd: float
    attempts: tuple[UpstreamError, ...] = ()


async def run_cascade(
    query: Query,
    *,
    chain: Sequence[str],
    thresholds: Thresholds,
    judge: Judge,
    provider: Provider,
) -> CascadeResult:
    """Answer a query with the cheapest model of `chain` that the evidence allows.

    A drafter that fails is left out and the next is asked; when the verifier fails as well,
    CascadeExhaustedError names every attempt.
    """
    if not chain:
        raise InputError("'chain' is empty, expected at least a verifier", param="chain")
    drafters = list(chain[:-1])
    assessments = [judge.start(query, chain)]
    drafts: list[Draft] = []
    attempts: list[UpstreamError] = []
    while True:
        step = next_step(assessments[-1], thresholds, n_drafters=len(drafters))
        if step.kind == "accept":
            return _accepted(step, drafts, assessments, attempts)
        if step.kind == "escalate":
            break
        try:
            drafts.append(await provider.complete(query, drafters[len(drafts)]))
        except UpstreamError as exc:
            attempts.append(exc)
            del drafters[len(drafts)]
            continue
        assessments.append(judge.assess(query, chain, drafts))
    try:
        answer = await provider.complete(query, chain[-1])
    except UpstreamError as exc:
        tried = (*attempts, exc)
        names = ", ".join(one.model for one in tried)
        raise CascadeExhaustedError(
            f"no model of the chain gave an answer that could be used; failed: {names}",
            attempts=tried,
        ) from exc
    return CascadeResult(
        answer=answer,
        action="escalated" if drafts else "direct",
        drafts=tuple(drafts),
        assessments=tuple(assessments),
        cost_usd=_cost((*drafts, answer)),
        attempts=tuple(attempts),
    )


def _accepted(
    step: Step,
    drafts: Sequence[Draft],
    assessments: Sequence[Assessment],
    attempts: Sequence[UpstreamError],
) -> CascadeResult:
    return CascadeResult(
        answer=drafts[step.draft or 0],
        action="accepted" if len(drafts) == 1 else "consensus",
        drafts=tuple(drafts),
        assessments=tuple(assessments),
        cost_usd=_cost(drafts),
        attempts=tuple(attempts),
    )


def _cost(drafts: Sequence[Draft]) -> float:
    return sum(float("nan") if one.cost_usd is None else one.cost_usd for one in drafts)
