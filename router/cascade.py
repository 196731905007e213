"""The one cascade: it drives the policy's steps with a provider's answers and a judge's evidence.

Production gives it a provider that calls models and a judge that runs the artifact; replay gives
it recorded answers (and, for cross-fitted evaluation, recorded judgements). Nothing else decides
anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from .errors import (
    BudgetExceededError,
    CascadeExhaustedError,
    InputError,
    SluiceError,
    UpstreamError,
)
from .judge import ArtifactJudge, Judge, Predicts
from .policy import Assessment, Step, Thresholds, next_step
from .providers import Provider
from .types import Draft, Query

__all__ = [
    "ArtifactJudge",
    "CascadeAction",
    "CascadeResult",
    "Judge",
    "Predicts",
    "Watcher",
    "exhausted",
    "run_cascade",
]

CascadeAction = Literal[
    "accepted", "consensus", "optimistic", "escalated", "direct", "rejected_draft"
]
D = TypeVar("D", bound=Draft)
Watcher = Callable[[Assessment, Sequence[D], Step], None]
"""Told of every assessment of drafts, and of what is done upon it."""


@dataclass(frozen=True, kw_only=True)
class CascadeResult(Generic[D]):
    """How a query was answered. `cost_usd` counts every call that answered, NaN when a price is
    unknown; `attempts` holds the failures on the way.

    `action` is "rejected_draft" when the verifier could not be asked and the caller allowed a
    rejected draft to stand in, and "optimistic" when a draft was passed on before it was judged.
    """

    answer: D
    action: CascadeAction
    drafts: tuple[D, ...]
    assessments: tuple[Assessment, ...]
    cost_usd: float
    attempts: tuple[UpstreamError, ...] = ()


def _never(error: SluiceError) -> bool:
    return False


async def run_cascade(
    query: Query,
    *,
    chain: Sequence[str],
    thresholds: Thresholds,
    judge: Judge,
    provider: Provider[D],
    at_once: int = 1,
    watch: Watcher[D] | None = None,
    settle_for_draft: Callable[[SluiceError], bool] = _never,
) -> CascadeResult[D]:
    """Answer a query with the cheapest model of `chain` that the evidence allows.

    `at_once` drafters draft side by side at first; their drafts are then judged together. A
    drafter that fails is left out and the next is asked; when the verifier fails as well,
    CascadeExhaustedError names every attempt. `settle_for_draft` says of the verifier's failure
    (or of a budget that it does not fit) whether a rejected draft may be the answer then; one that
    is vetoed never is.
    """
    if not chain:
        raise InputError("'chain' is empty, expected at least a verifier", param="chain")
    run = _Run(query, chain, thresholds, judge, provider, watch)
    step = await run.draft(at_once)
    if step.kind == "accept":
        return run.accepted(step)
    try:
        answer = await provider.complete(query, chain[-1])
    except (UpstreamError, BudgetExceededError) as exc:
        if settle_for_draft(exc):
            stand_in = await run.stand_in()
            if stand_in is not None:
                if isinstance(exc, UpstreamError):
                    run.attempts.append(exc)
                return run.result(run.drafts[stand_in], "rejected_draft")
        if isinstance(exc, BudgetExceededError):
            raise
        raise exhausted((*run.attempts, exc)) from exc
    return run.result(answer, "escalated" if run.drafts else "direct", paid=(answer,))


class _Run(Generic[D]):
    """One query on its way through a chain."""

    def __init__(
        self,
        query: Query,
        chain: Sequence[str],
        thresholds: Thresholds,
        judge: Judge,
        provider: Provider[D],
        watch: Watcher[D] | None,
    ) -> None:
        self.drafts: list[D] = []
        self.attempts: list[UpstreamError] = []
        self._query = query
        self._chain = chain
        self._thresholds = thresholds
        self._judge = judge
        self._provider = provider
        self._watch = watch
        self._drafters = list(chain[:-1])
        self._assessments = [judge.start(query, chain)]

    async def draft(self, at_once: int) -> Step:
        """Let drafters draft until the policy accepts or escalates."""
        step = self._next()
        while step.kind == "draft":
            wanted = 1 if self.drafts else max(1, at_once)
            came = await self._ask(wanted)
            if came:
                self._assess()
            step = self._next()
            if came and self._watch is not None:
                self._watch(self._assessments[-1], self.drafts, step)
        return step

    async def stand_in(self) -> int | None:
        """The best draft that is not vetoed; further drafters are asked until there is one."""
        while self._assessments[-1].stand_in is None and len(self.drafts) < len(self._drafters):
            if await self._ask(1):
                self._assess()
        return self._assessments[-1].stand_in

    def accepted(self, step: Step) -> CascadeResult[D]:
        answer = self.drafts[step.draft or 0]
        return self.result(answer, "accepted" if len(self.drafts) == 1 else "consensus")

    def result(
        self, answer: D, action: CascadeAction, *, paid: Sequence[D] = ()
    ) -> CascadeResult[D]:
        return CascadeResult(
            answer=answer,
            action=action,
            drafts=tuple(self.drafts),
            assessments=tuple(self._assessments),
            cost_usd=_cost((*self.drafts, *paid)),
            attempts=tuple(self.attempts),
        )

    def _next(self) -> Step:
        return next_step(self._assessments[-1], self._thresholds, n_drafters=len(self._drafters))

    def _assess(self) -> None:
        self._assessments.append(self._judge.assess(self._query, self._chain, self.drafts))

    async def _ask(self, wanted: int) -> bool:
        """Ask the next `wanted` drafters; those that fail are left out. Whether a draft came."""
        made = len(self.drafts)
        names = self._drafters[made : made + wanted]
        if len(names) == 1:
            found = [await self._attempt(names[0])]
        else:
            found = await self._attempt_all(names)
        refused: SluiceError | None = None
        for name, one in zip(names, found, strict=True):
            if isinstance(one, Draft):
                self.drafts.append(one)
                continue
            self._drafters.remove(name)
            if isinstance(one, UpstreamError):
                self.attempts.append(one)
            else:
                refused = one
        if refused is not None and not self.drafts:
            raise refused
        return len(self.drafts) > made

    async def _attempt_all(self, models: Sequence[str]) -> list[D | SluiceError]:
        """`_attempt` for each, side by side. What is raised is raised as if one were alone."""
        fault: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._attempt(model)) for model in models]
        except BaseExceptionGroup as exc:
            fault = exc.exceptions[0]
        if fault is not None:
            raise fault
        return [task.result() for task in tasks]

    async def _attempt(self, model: str) -> D | SluiceError:
        """A draft, or why there is none: an error must not cancel the draft beside it."""
        try:
            return await self._provider.complete(self._query, model)
        except (UpstreamError, BudgetExceededError) as exc:
            return exc


def exhausted(failed: Sequence[UpstreamError]) -> CascadeExhaustedError:
    """One error that names every model that failed; one that has fallbacks stands for them all."""
    tried: list[UpstreamError] = []
    for one in failed:
        tried.extend(one.attempts if isinstance(one, CascadeExhaustedError) else (one,))
    said = ", ".join(f"{one.model} ({one.provider}: {one.cause}; {_reason(one)})" for one in tried)
    error = CascadeExhaustedError(
        f"no model gave an answer that could be used; failed: {said}", attempts=tuple(tried)
    )
    error.calls = tuple(call for one in tried for call in one.calls)
    return error


def _reason(error: UpstreamError) -> str:
    """What a model's error says beyond model, provider and address, which stand in front."""
    return str(error).rpartition("): ")[2] if "): " in str(error) else str(error)


def _cost(drafts: Sequence[Draft]) -> float:
    return sum(float("nan") if one.cost_usd is None else one.cost_usd for one in drafts)
