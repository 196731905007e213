"""A request's outcome, put together from what its run knows by then."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from router.agent.results import RunResult
from router.agent.runs import Run
from router.chat import Completion, Dialect
from router.money import to_nano
from router.records.features import pack_features
from router.records.outcome import Outcome, OutcomeStatus

from ..access.tenants import Tenant
from ..response_cache import CachedAnswer
from .asks import Ask
from .cascades import Route
from .tab import Tab

__all__ = ["Case", "describe_cached", "describe_failure", "describe_result"]

_DIGITS = 4


@dataclass(kw_only=True)
class Case:
    """One request under way: who asks what of whom, since when, and what it has spent. `run` is
    there once it is decided upon."""

    request_id: str
    dialect: Dialect
    tenant: Tenant
    ask: Ask
    route: Route
    tab: Tab
    keeps_text: bool
    at: float = field(default_factory=time.time)
    started: float = field(default_factory=time.perf_counter)
    run: Run | None = None

    @property
    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000

    @property
    def overhead_ms(self) -> float:
        """All of the time so far but the waiting for models."""
        waited_ms = 0.0 if self.run is None else self.run.calls.waited_ms
        return max(0.0, self.elapsed_ms - waited_ms)

    def common(self) -> dict[str, Any]:
        """The fields of an outcome that do not depend on how it ended."""
        ask = self.ask
        known: dict[str, Any] = {
            "request_id": self.request_id,
            "at": self.at,
            "key_id": self.tenant.key_id,
            "user": ask.user,
            "cascade": self.route.cascade,
            "requested_model": ask.model,
            "dialect": self.dialect,
            "streamed": ask.streamed,
            "cost_nano": self.tab.charged_nano,
            "unpriced": self.tab.unpriced,
            "latency_ms": self.elapsed_ms,
            "overhead_ms": self.overhead_ms,
            "prompt": self._prompt() if self.keeps_text else None,
        }
        if self.run is not None:
            known.update(self._decided(self.run))
        return known

    def _decided(self, run: Run) -> dict[str, Any]:
        decision, features = run.decision, run.judge.features()
        prediction, plan = decision.prediction, decision.plan
        return {
            "domain": decision.domain,
            "domain_confidence": prediction.domain_confidence,
            "artifact": prediction.artifact,
            "features": None if features is None else pack_features(features),
            "target_quality": decision.profile.target,
            "predictions": _json(
                {name: round(prediction.p_success[name], _DIGITS) for name in decision.chain}
            ),
            "plan": _json(
                {
                    "action": plan.action,
                    "models": plan.models,
                    "expected_cost_usd": plan.expected_cost_usd,
                    "expected_quality": round(plan.expected_quality, _DIGITS),
                }
            ),
        }

    def _prompt(self) -> str:
        request = self.ask.request
        return _json({"messages": request.messages, "params": request.params})


def describe_result(case: Case, result: RunResult) -> Outcome:
    """The outcome of a request that is answered."""
    answer = result.completion
    usage = result.usage
    return Outcome(
        **case.common(),
        status="ok",
        http_status=200,
        action="bypass" if case.route.is_bypass else result.action,
        model=answer.model,
        provider=answer.provider,
        p_success=result.prediction.p_success.get(answer.model or ""),
        p_acceptable=_p_acceptable(result),
        drafts=_drafts(result, with_text=case.keeps_text) if result.drafts else None,
        drafts_agree=result.drafts_agree,
        input_tokens=None if usage is None else usage.prompt_tokens,
        output_tokens=None if usage is None else usage.completion_tokens,
        baseline_nano=None if result.verifier_cost is None else to_nano(result.verifier_cost),
        first_token_ms=result.first_token_ms,
        answer=_kept(answer) if case.keeps_text else None,
    )


def describe_cached(case: Case, found: CachedAnswer) -> Outcome:
    """The outcome of a request that is answered from the cache, at no cost."""
    usage = found.completion.usage
    known = case.common() | {"domain": found.domain, "artifact": case.route.engine.version}
    return Outcome(
        **known,
        status="ok",
        http_status=200,
        action="cached",
        cached=found.kind,
        model=found.completion.model,
        provider=found.completion.provider,
        input_tokens=None if usage is None else usage.prompt_tokens,
        output_tokens=None if usage is None else usage.completion_tokens,
        baseline_nano=found.verifier_nano,
        answer=_kept(found.completion) if case.keeps_text else None,
    )


def describe_failure(
    case: Case, *, status: OutcomeStatus, http_status: int, error_code: str
) -> Outcome:
    """The outcome of a request that got no answer, or not the whole of it."""
    return Outcome(**case.common(), status=status, http_status=http_status, error_code=error_code)


def _p_acceptable(result: RunResult) -> float | None:
    """That of the draft that is the answer; None where no draft is."""
    for draft, verdict in zip(result.drafts, result.verdicts, strict=False):
        if draft is result.completion:
            return verdict.p_acceptable
    return None


def _drafts(result: RunResult, *, with_text: bool) -> str:
    return _json(
        [
            {
                "model": draft.model,
                "p_acceptable": round(verdict.p_acceptable, _DIGITS),
                "threshold": round(verdict.threshold, _DIGITS),
                "failed": [check.name for check in verdict.checks if check.passed is False],
                **_draft_facts(draft),
                **({"text": _kept(draft)} if with_text else {}),
            }
            for draft, verdict in zip(result.drafts, result.verdicts, strict=True)
        ]
    )


def _draft_facts(draft: Completion) -> dict[str, Any]:
    return {
        "finish_reason": draft.finish_reason,
        "output_tokens": draft.output_tokens,
        "cost_nano": None if draft.cost_usd is None else to_nano(draft.cost_usd),
        "latency_ms": round(draft.latency_ms, 3),
    }


def _kept(completion: Completion) -> str:
    return completion.text.replace("\x00", "\ufffd")  # which PostgreSQL cannot keep


def _json(value: Any) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> Any:
    """What orjson does not take by itself: read-only mappings."""
    return dict(value)
