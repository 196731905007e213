"""What the policies are measured against, on the same prompts and splits.

Rules with a threshold choose it on the calibration side, as the policies do. Single draft +
validation and pre-dispatch only are the production cascade with the other thresholds switched off;
plain agreement is the cascade with a judge that knows nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router.policy import Assessment, Thresholds
from router.types import Draft, Query
from router.validation.agreement import compare_answers
from router.validation.answers import read_answer
from router.validation.features import query_evidence

from ..baselines import always, knn_success, oracle, random_mix
from ..metrics import retention, saving
from ..replay import Stages, collect_stages
from .choosing import Chosen, Masks, Sums, choose_point, sum_by_split
from .evidence import Candidate, Evidence

__all__ = [
    "AgreementJudge",
    "FixedRule",
    "figures",
    "fixed_rules",
    "mix_retention",
    "rival_sums",
    "thresholded_rules",
]

Floats = npt.NDArray[np.float64]
_STEPS = 60
_AGREE = Thresholds(
    direct=math.inf, accept_first=-math.inf, escalate_first=math.inf, accept_later=0
)


@dataclass(frozen=True, kw_only=True)
class FixedRule:
    """A rule without a threshold, prompt by prompt: quality and cost_usd float64 [n]."""

    name: str
    quality: Floats
    cost_usd: Floats


class AgreementJudge:
    """Escalating is worth nothing where two drafts' final answers agree, and everything else."""

    def start(self, query: Query, chain: Sequence[str]) -> Assessment:
        return Assessment(p_first=0.0, p_verifier=1.0)

    def assess(self, query: Query, chain: Sequence[str], drafts: Sequence[Draft]) -> Assessment:
        asked = query_evidence(query)
        answers = [
            read_answer(one.text, options=asked.options, json_wanted=asked.json_wanted).answer
            for one in drafts
        ]
        same = any(
            compare_answers(one, two).same for i, one in enumerate(answers) for two in answers[:i]
        )
        p = 1.0 if same else 0.0
        return Assessment(p_first=0.0, p_verifier=1.0, p_drafts=(p,) * len(drafts))


def fixed_rules(evidence: Evidence) -> list[FixedRule]:
    """Always one model, plain agreement, and the oracle."""
    data = evidence.candidates[0].data
    verifier = len(data.chain) - 1
    rules = [
        FixedRule(name=f"always {name}", quality=data.correct[:, j], cost_usd=data.cost_usd[:, j])
        for j, name in enumerate(data.chain)
    ]
    if verifier >= 2:
        stages = collect_stages(data, [AgreementJudge()] * len(data))
        agreed = stages.gain[:, -1] <= _AGREE.accept_later
        spent = stages.draft_cost[:, -1]
        rules.append(
            FixedRule(
                name="plain agreement",
                quality=np.where(agreed, stages.accepted[:, -1], stages.verifier),
                cost_usd=spent + np.where(agreed, 0.0, stages.verifier_cost),
            )
        )
    chosen = oracle(data.correct, data.cost_usd, verifier=verifier).chosen
    rows = np.arange(len(data))
    best = FixedRule(
        name="oracle", quality=data.correct[rows, chosen], cost_usd=data.cost_usd[rows, chosen]
    )
    return [*rules, best]


def mix_retention(evidence: Evidence, wanted: float) -> float:
    """Retention of a coin toss between a drafter and the verifier at this saving; the best one."""
    data = evidence.candidates[0].data
    verifier = len(data.chain) - 1
    found = [
        float(random_mix(data.correct, data.cost_usd, wanted, drafter=j, verifier=verifier))
        for j in range(verifier)
        if always(data.correct, data.cost_usd, model=j, verifier=verifier).saving > 0
    ]
    kept = [one for one in found if not math.isnan(one)]
    return max(kept) if kept else math.nan


def rival_sums(
    evidence: Evidence,
    masks: Masks,
    *,
    embedding: npt.NDArray[np.floating] | None = None,
    seed: int = 0,
) -> dict[str, Sums]:
    """Rule with a threshold -> the sums of all its thresholds (and drafters).

    `embedding`: [n_prompts, d] for nearest neighbours, None to leave them out.
    """
    stages = [candidate.stages for candidate in evidence.candidates]
    rules = {
        "single draft + validation": (stages, [_single(one) for one in stages]),
        "pre-dispatch only": (stages, [_pre_dispatch(one) for one in stages]),
    }
    if embedding is not None:
        near = [_nearest(one, embedding, seed) for one in evidence.candidates]
        rules["kNN"] = (near, [_pre_dispatch(one) for one in near])
    return {
        name: sum_by_split(own, masks, policies=policies) for name, (own, policies) in rules.items()
    }


def thresholded_rules(
    sums: Mapping[str, Sums], targets: Sequence[float]
) -> dict[str, list[Chosen]]:
    """Rule -> what it did at each target, its threshold and drafter chosen per split."""
    return {name: [choose_point(own, target) for target in targets] for name, own in sums.items()}


def figures(rule: FixedRule, evidence: Evidence) -> tuple[float, float]:
    """(retention, saving) of a fixed rule on all prompts."""
    return (
        retention(rule.quality, evidence.verifier),
        saving(rule.cost_usd, evidence.verifier_cost),
    )


def _single(stages: Stages) -> list[Thresholds]:
    limits = _quantiles(stages.gain[:, 1])
    return [
        Thresholds(direct=math.inf, accept_first=a, escalate_first=a, accept_later=-math.inf)
        for a in limits
    ]


def _pre_dispatch(stages: Stages) -> list[Thresholds]:
    limits = _quantiles(stages.gain[:, 0])
    return [
        Thresholds(direct=d, accept_first=math.inf, escalate_first=math.inf, accept_later=math.inf)
        for d in limits
    ]


def _quantiles(gain: Floats) -> list[float]:
    found = np.quantile(gain, np.linspace(0, 1, _STEPS))
    return [-math.inf, *sorted({float(value) for value in found})]


def _nearest(candidate: Candidate, embedding: npt.NDArray[np.floating], seed: int) -> Stages:
    """The stages with the gain before any draft as the nearest neighbours' outcomes tell it."""
    near = knn_success(embedding, candidate.data.correct, candidate.data.group, seed=seed)
    gain = candidate.stages.gain.copy()
    gain[:, 0] = near[:, -1] - near[:, 0]
    return replace(candidate.stages, gain=gain)
