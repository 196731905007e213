"""The decision core: state + evidence -> next action. Pure; no I/O, no clock, no randomness.

A chain is a list of models, cheapest first, whose last is the verifier. The policy walks it: it
may go straight to the verifier, let a drafter draft, accept a draft, ask the next drafter, or
escalate. Every decision compares one number with a threshold: the **gain** of escalating,

    gain = P(verifier right | evidence) - P(best draft right | evidence),

which is what quality escalation buys at this point. Where both models would fail, escalation buys
nothing, and a draft is accepted although it is probably wrong; where the draft is probably right
but the verifier surely is, it may not be. Production and replay both call `next_step`; the
threshold search in `training` runs over arrays and is tested to take the very same decisions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from .errors import InputError

__all__ = [
    "CONSERVATIVE",
    "Assessment",
    "Step",
    "StepKind",
    "Thresholds",
    "acceptable_gain",
    "next_step",
]

StepKind = Literal["draft", "accept", "escalate"]


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Gains at which a policy changes its mind; each in -1..1, or infinite for never/always.

    direct: go straight to the verifier when the predicted gain is above this.
    accept_first: accept the first draft when the gain is at most this.
    escalate_first: after the first draft, skip further drafters when the gain is above this.
    accept_later: after the second or a later draft, accept the best when the gain is at most this.
    """

    direct: float
    accept_first: float
    escalate_first: float
    accept_later: float

    def __post_init__(self) -> None:
        for name in ("direct", "accept_first", "escalate_first", "accept_later"):
            if math.isnan(getattr(self, name)):
                raise InputError(f"threshold '{name}' is NaN, expected a number", param=name)


CONSERVATIVE: Final = Thresholds(
    direct=-math.inf, accept_first=-math.inf, escalate_first=-math.inf, accept_later=-math.inf
)
"""Always the verifier: what holds when nothing is known."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Evidence so far: `p_drafts[i]` is P(draft i right), `p_verifier` P(verifier right), given
    all drafts made; before any draft `p_drafts` is empty and `p_first` the predicted P(first
    drafter right). `correction` is what a deployment has learned to add to the gain. `vetoed`
    names, by number, the drafts that must not be the answer whatever they are worth, `doubted`
    those that the caller does not trust enough to accept."""

    p_first: float
    p_verifier: float
    p_drafts: tuple[float, ...] = ()
    correction: float = 0.0
    vetoed: frozenset[int] = frozenset()
    doubted: frozenset[int] = frozenset()

    @property
    def gain(self) -> float:
        """What escalating now is worth in quality; -1..1 unless corrected, and infinite when no
        draft may be the answer."""
        if not self.p_drafts:
            return self.p_verifier - self.p_first + self.correction
        best = self.best
        return math.inf if best is None else self.gain_over(best)

    @property
    def best(self) -> int | None:
        """The number of the most probably right draft that may be accepted, the earliest of
        equals; None when there is none."""
        return self._best_but(self.vetoed | self.doubted)

    @property
    def stand_in(self) -> int | None:
        """The same of those that may be the answer when the verifier cannot be asked."""
        return self._best_but(self.vetoed)

    def gain_over(self, draft: int) -> float:
        """What the verifier's answer is worth beyond draft number `draft`."""
        return self.p_verifier - self.p_drafts[draft] + self.correction

    def _best_but(self, excluded: frozenset[int]) -> int | None:
        best = None
        for index, p_draft in enumerate(self.p_drafts):
            if index not in excluded and (best is None or p_draft > self.p_drafts[best]):
                best = index
        return best


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do next. `draft` asks the next drafter; `accept` returns draft number `draft`."""

    kind: StepKind
    draft: int | None = None


_DRAFT: Final = Step(kind="draft")
_ESCALATE: Final = Step(kind="escalate")


def acceptable_gain(thresholds: Thresholds, *, made: int) -> float:
    """The gain of escalating up to which the best of `made` drafts is accepted."""
    return thresholds.accept_first if made == 1 else thresholds.accept_later


def next_step(assessment: Assessment, thresholds: Thresholds, *, n_drafters: int) -> Step:
    """The next action of a cascade with `n_drafters` drafters before its verifier."""
    made = len(assessment.p_drafts)
    if made == 0:
        if n_drafters == 0 or assessment.gain > thresholds.direct:
            return _ESCALATE
        return _DRAFT
    best = assessment.best
    gain = math.inf if best is None else assessment.gain_over(best)
    if best is not None and gain <= acceptable_gain(thresholds, made=made):
        return Step(kind="accept", draft=best)
    if made >= n_drafters or (made == 1 and gain > thresholds.escalate_first):
        return _ESCALATE
    return _DRAFT
