"""One run, from request to result: decide, drive the cascade, tell what happens, count.

`CascadeAgent.run`, its streams and its batches are all `Runner.answer`; a stream listens to it.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..cascade import CascadeResult, run_cascade
from ..chat import ChatRequest, Completion
from ..errors import (
    BudgetExceededError,
    CascadeExhaustedError,
    SluiceError,
    UpstreamError,
    UsageError,
)
from ..money import to_nano, to_usd
from ..policy import Assessment, Step, acceptable_gain
from ..providers.meter import CUT_OFF
from ..sandbox.sandbox import Sandbox
from ..store.purse import Purse
from ..store.spending import Spending
from ..types import Prediction, Verdict
from .analytics import AnalyticsLog
from .calls import BrokenStreamError, Calls
from .decisions import Decider, RunOptions
from .events import EscalationEvent, RoutingEvent, VerdictEvent
from .results import RunResult
from .telling import Listener, Telling

__all__ = ["Run", "Runner"]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """What the runs of one agent share. `drafters_only`: what to do when the verifier does not fit
    into the budget any more. `spending` is the budget of runs that bring no purse."""

    decider: Decider
    spending: Spending | None = None
    drafters_only: bool = False
    sandbox: Sandbox | None = None
    analytics: AnalyticsLog | None = None

    def begin(
        self,
        request: ChatRequest,
        options: RunOptions,
        listener: Listener | None = None,
        *,
        prediction: Prediction | None = None,
    ) -> Run:
        """A run that is decided upon, but has not called anyone yet; raises UsageError.
        `prediction`: see `Decider.decide`."""
        return Run(self, request, options, listener, prediction)

    async def answer(self, request: ChatRequest, options: RunOptions) -> RunResult:
        """Answer one request; raises CascadeExhaustedError, BudgetExceededError or UsageError."""
        return await self.begin(request, options).answer()

    def purse(self, options: RunOptions) -> Purse | None:
        """What a run may spend; None: whatever it likes."""
        if options.purse is not None or self.spending is None:
            return options.purse
        return self.spending.purse(options.user)


class Run:
    """One request on its way; answered once. `decision`, `judge` and `calls` tell how far it has
    come, and stay when it fails."""

    def __init__(
        self,
        runner: Runner,
        request: ChatRequest,
        options: RunOptions,
        listener: Listener | None,
        prediction: Prediction | None,
    ) -> None:
        self._started = time.perf_counter()
        self._runner = runner
        self._request = request
        self._options = options
        self._telling = telling = Telling(listener, started=self._started)
        self._out_of_budget = False
        decider = runner.decider
        self.decision = decision = decider.decide(
            request,
            options,
            streamed=telling.is_heard,
            now=time.time(),
            prediction=prediction,
        )
        self.judge = decider.judge(decision)
        self.calls = Calls(
            request,
            decider.roster,
            telling,
            verifier=decision.verifier,
            live=telling.is_heard,
            purse=runner.purse(options),
            sandbox=runner.sandbox,
        )

    async def answer(self) -> RunResult:
        """The answer; raises CascadeExhaustedError, BudgetExceededError or UsageError."""
        analytics = self._runner.analytics
        try:
            result = await self._answer()
        except BaseException:
            if analytics is not None:
                analytics.add_failure(self._spent_usd())
            raise
        if analytics is not None:
            analytics.add(result, day=datetime.now(UTC).date().isoformat())
        return result

    async def _answer(self) -> RunResult:
        decision = self.decision
        if self._telling.is_heard:
            self._telling.tell(
                RoutingEvent(
                    domain=decision.domain, plan=decision.plan, prediction=decision.prediction
                )
            )
        try:
            found = (decision.optimistic and await self._draft_at_once()) or await self._cascade()
        except BrokenStreamError as exc:
            raise exc.error from None
        await self._telling.pass_on_whole(found.answer)
        self._remember(found)
        return self._result(found)

    async def _cascade(self) -> CascadeResult[Completion]:
        decision = self.decision
        try:
            return await run_cascade(
                decision.query,
                chain=decision.chain,
                thresholds=decision.thresholds,
                judge=self.judge,
                provider=self.calls,
                at_once=2 if decision.plan.action == "consensus" else 1,
                watch=self._judged,
                settle_for_draft=self._may_settle,
            )
        except CascadeExhaustedError as exc:
            # When no model can be asked so, the request is what is wrong, not the models.
            faults = [one.__cause__ for one in exc.attempts]
            if all(isinstance(fault, UsageError) for fault in faults) and faults[-1] is not None:
                raise faults[-1] from None
            raise

    async def _draft_at_once(self) -> CascadeResult[Completion] | None:
        """The first drafter's draft, passed on as it comes and judged afterwards; None when the
        drafter failed before it had said anything."""
        decision = self.decision
        draft = await self.calls.complete_at_once(decision.query, decision.chain[0])
        if draft is None:
            return None
        assessment = self.judge.assess(decision.query, decision.chain, (draft,))
        self._judged(assessment, (draft,), Step(kind="accept", draft=0))
        return CascadeResult(
            answer=draft,
            action="optimistic",
            drafts=(draft,),
            assessments=(assessment,),
            cost_usd=math.nan if draft.cost_usd is None else draft.cost_usd,
        )

    def _spent_usd(self) -> float:
        """What the answers that came have cost, as far as it is known."""
        return sum(one.cost_usd for one in self.calls.completions if one.cost_usd is not None)

    # -- along the way --------------------------------------------------------------------------

    def _judged(self, assessment: Assessment, drafts: Sequence[Completion], step: Step) -> None:
        if not self._telling.is_heard:
            return
        for draft, verdict in zip(drafts, self._verdicts(assessment, drafts), strict=True):
            self._telling.tell(VerdictEvent(model=draft.model or "", verdict=verdict))
        if step.kind == "escalate":
            self._telling.tell(EscalationEvent(model=self.decision.verifier))

    def _verdicts(
        self, assessment: Assessment, drafts: Sequence[Completion]
    ) -> tuple[Verdict, ...]:
        """In terms of p_acceptable what the policy asks in terms of the gain of escalating."""
        limit = acceptable_gain(self.decision.profile.thresholds, made=len(drafts))
        threshold = assessment.p_verifier + assessment.correction - limit
        return self.judge.verdicts(drafts, threshold=threshold)

    def _may_settle(self, error: SluiceError) -> bool:
        """Whether a rejected draft may be the answer now that the verifier could not be asked."""
        if isinstance(error, BudgetExceededError):
            self._out_of_budget = self._runner.drafters_only
            return self._out_of_budget
        return self.decision.quality.return_rejected_draft

    # -- once there is an answer ----------------------------------------------------------------

    def _remember(self, found: CascadeResult[Completion]) -> None:
        seen = {
            one.model or "": one.usage.prompt_tokens + one.usage.completion_tokens
            for one in (*found.drafts, found.answer)
            if one.usage is not None
        }
        self._runner.decider.affinities.remember(
            self.decision.query,
            found.answer.text,
            self._options.conversation,
            self.decision.conversation,
            escalated=found.action == "escalated",
            seen=seen,
            now=time.time(),
            tenant=self._options.tenant,
        )

    def _result(self, found: CascadeResult[Completion]) -> RunResult:
        decision, calls = self.decision, self.calls
        latency_ms = self._elapsed_ms()
        return RunResult(
            request_id=self._options.request_id or f"slc_{secrets.token_hex(16)}",
            completion=found.answer,
            action=found.action,
            domain=decision.domain,
            plan=decision.plan,
            prediction=decision.prediction,
            drafts=found.drafts,
            calls=tuple(calls.completions),
            verdicts=self._verdicts(found.assessments[-1], found.drafts) if found.drafts else (),
            total_cost=_total([one.cost_usd for one in calls.completions]),
            verifier_cost=self._verifier_usd(found),
            latency_ms=latency_ms,
            overhead_ms=max(0.0, latency_ms - calls.waited_ms),
            first_token_ms=self._telling.first_token_ms,
            attempts=tuple(calls.attempts),
            warnings=self._warnings(found.attempts),
        )

    def _verifier_usd(self, found: CascadeResult[Completion]) -> float | None:
        """What the verifier alone would have cost: its own call, else the answer's tokens at its
        price."""
        if found.action in ("escalated", "direct"):
            return found.answer.cost_usd
        verifier = self._runner.decider.roster.member(self.decision.verifier)
        price, usage = verifier.price_for(self._request), found.answer.usage
        return None if price is None or usage is None else price.cost_usd(usage)

    def _warnings(self, failed: Sequence[UpstreamError]) -> tuple[str, ...]:
        """What a caller has to be told of the calls, each thing once."""
        said = {f"{one.model}: did not answer ({one.cause})": None for one in failed}
        if self._out_of_budget:
            said["the verifier did not fit into the budget: a draft stands in"] = None
        roster = self._runner.decider.roster
        for one in self.calls.completions:
            if one.usage is None:
                said[f"{one.model}: the provider gave no usage, so the cost is not known"] = None
            elif one.cost_usd is None:
                said[f"{one.model}: no price is known; give the model a 'cost'"] = None
            for name in roster.member(one.model or "").client.dropped(self._request):
                said[f"{one.model}: its provider knows nothing like '{name}'; not sent"] = None
        errors = [one.error for one in self.calls.attempts if one.error is not None]
        cut_off = [error.model for error in errors if error.cause in CUT_OFF]
        for model in cut_off:
            count = cut_off.count(model)
            said[f"{model}: calls cut off, at a cost that is not known: {count}"] = None
        return tuple(said)

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000


def _total(costs: Sequence[float | None]) -> float | None:
    """The exact sum; None when one is unknown."""
    known = [to_nano(cost) for cost in costs if cost is not None]
    return to_usd(sum(known)) if len(known) == len(costs) else None
