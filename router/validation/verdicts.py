"""What is known of a set of drafts, and the verdict on one of them with the checks behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ..types import Check, Draft, Query, Verdict
from .agreement import Agreement
from .checks import HARD_CHECKS, Limits, most_credible, render_checks
from .features import DraftEvidence

__all__ = ["Judgement", "explain"]

_NO_LIMITS: Final = Limits()


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is known of a set of drafts. All tuples are in the order of the drafts.

    `p_drafts`: P(draft right), peers counted. `evidence` is what was read of each.
    `agreements[i]` compares draft i with its most telling peer, None when it has none.
    """

    p_drafts: tuple[float, ...]
    evidence: tuple[DraftEvidence, ...]
    agreements: tuple[Agreement | None, ...]
    single_logits: tuple[float, ...]
    pair_logits: tuple[float, ...]


def explain(
    judged: Judgement,
    index: int,
    *,
    query: Query,
    draft: Draft,
    threshold: float,
    limits: Limits = _NO_LIMITS,
    as_judged: bool = False,
) -> Verdict:
    """The verdict on draft number `index` of a judgement, with the checks behind it.

    A draft that fails a hard check, or one made outside its text, has p_acceptable 0. `as_judged`
    leaves the probability as the policy has it, which the rules have bounded before recalibration.
    """
    agreement = judged.agreements[index]
    agreed = agreement is not None and agreement.same
    evidence = judged.evidence[index]
    p = judged.p_drafts[index]
    if not as_judged:
        p = min(p, most_credible(evidence.rules, draft, agreed=agreed))
    checks = [*render_checks(evidence.rules, query, draft, limits), *draft.checks]
    relevance = evidence.value("relevance")
    if not math.isnan(relevance):
        detail = "cosine of query and draft"
        checks.append(Check(name="relevance", passed=None, value=relevance, detail=detail))
    if agreement is not None:
        checks.append(_agreement_check(agreement))
    faults = [check for check in checks if check.passed is False]
    failed = any(check.name in HARD_CHECKS or check in draft.checks for check in faults)
    return Verdict(
        accept=not failed and p >= threshold,
        p_acceptable=0.0 if failed else p,
        threshold=threshold,
        checks=tuple(checks),
    )


def _agreement_check(agreement: Agreement) -> Check:
    same = agreement.same
    detail = "the drafts say the same" if same else "the drafts do not say the same"
    if not math.isnan(agreement.meaning):
        detail = f"{detail}; cosine of their embeddings {agreement.meaning:.2f}"
    return Check(name="agreement", passed=same, value=agreement.overlap, detail=detail)
