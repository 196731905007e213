"""From a prediction to a plan: which models to ask, in what order, at what expected cost.

The plan is what the cascade is expected to do; the cascade itself decides step by step, by the
same thresholds, as evidence comes in. Pure; costs nothing but arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .abilities import Abilities, Ability
from .artifact import Artifact
from .errors import InputError
from .policy import Assessment, Thresholds, next_step
from .profiles import PolicyFile, Profile
from .types import Plan, PlanAction, Prediction

__all__ = ["MAX_DRAFTERS", "Planner", "plan_chain", "steadied"]

MAX_DRAFTERS = 3
_WORTH_A_TRY = 0.35  # below this chance of accepting one draft, two are made at once


class Planner:
    """Plans with an artifact's pooled policy."""

    def __init__(
        self,
        artifact: Artifact,
        *,
        policy: PolicyFile | None = None,
        abilities: Abilities | None = None,
    ) -> None:
        where = f"policy.json of artifact {artifact.version}"
        self.policy = policy or PolicyFile.from_json(artifact.read_json("policy.json"), where=where)
        self._abilities = abilities or Abilities.from_artifact(artifact)

    def plan(
        self,
        prediction: Prediction,
        *,
        models: Sequence[str] | None = None,
        target_quality: float | None = None,
    ) -> Plan:
        """The plan for one query.

        `models`: those that may be asked, in any order; by default the policy's own chain. The
        expected cost is NaN when a price is unknown. Raises InputError for an empty list or a
        target outside 0..1.
        """
        if models is not None and not models:
            raise InputError("'models' is empty, expected at least one name", param="models")
        chain, costs = self._chain(prediction, models or self.policy.chain)
        profile = self.policy.for_target(target_quality, n_drafters=len(chain) - 1)
        return plan_chain(prediction, chain, costs=costs, profile=profile)

    def chain(self, prediction: Prediction, models: Sequence[str]) -> tuple[str, ...]:
        """`models` as a chain: drafters from cheap to dear, then the verifier.

        The verifier is the ablest model; models as dear as it can never save anything and are left
        out. Where a price is unknown, ability stands in for it.
        """
        return self._chain(prediction, models)[0]

    def _chain(
        self, prediction: Prediction, models: Sequence[str]
    ) -> tuple[tuple[str, ...], dict[str, float]]:
        """`chain`, and the expected cost of each of `models` in USD."""
        abilities = {name: self._abilities.get(name) for name in models}
        _, verifier = max((one.bias, name) for name, one in abilities.items())
        costs = {name: _cost(prediction, name, one) for name, one in abilities.items()}
        rank = costs
        if any(map(math.isnan, costs.values())):
            rank = {name: one.bias for name, one in abilities.items()}
        most = rank[verifier]
        cheaper = [name for name in abilities if name != verifier and rank[name] < most]
        if len(cheaper) > MAX_DRAFTERS:
            best = sorted(cheaper, key=lambda n: (-prediction.p_success[n], rank[n]))
            cheaper = best[:MAX_DRAFTERS]
        return (*sorted(cheaper, key=lambda n: (rank[n], n)), verifier), costs


def plan_chain(
    prediction: Prediction,
    chain: Sequence[str],
    *,
    costs: Mapping[str, float],
    profile: Profile,
    steady: bool = False,
) -> Plan:
    """The plan for a chain in its order, the verifier last; `costs` are expected USD per call, NaN
    where a price is unknown.

    `steady`: the conversation has escalated before. It stays with the verifier, which knows it and
    has its beginning in the prompt cache, unless a draft looks good enough to be accepted at once
    and the way over drafts is expected to cost less.
    """
    thresholds = steadied(profile.thresholds) if steady else profile.thresholds
    verifier = chain[-1]
    p_verifier = prediction.p_success[verifier]
    before = Assessment(p_first=prediction.p_success[chain[0]], p_verifier=p_verifier)
    if next_step(before, thresholds, n_drafters=len(chain) - 1).kind == "draft":
        found = _drafting(tuple(chain), [costs[name] for name in chain], profile, before)
        if not (steady and found.expected_cost_usd >= costs[verifier]):
            return found
    return Plan(
        action="direct",
        models=(verifier,),
        expected_cost_usd=costs[verifier],
        expected_quality=p_verifier,
    )


def steadied(thresholds: Thresholds) -> Thresholds:
    """`thresholds` for a conversation that has escalated: drafts are tried again only where the
    first would be accepted by what is predicted alone."""
    return replace(thresholds, direct=min(thresholds.direct, thresholds.accept_first))


def _drafting(
    chain: tuple[str, ...], costs: Sequence[float], profile: Profile, before: Assessment
) -> Plan:
    expected = profile.expect(before.gain)
    action: PlanAction = "draft"
    if len(chain) == 2:
        cost = costs[0] + (1.0 - expected.accepted_first) * costs[-1]
    elif expected.accepted_first >= _WORTH_A_TRY:
        later = costs[1] + (1.0 - expected.accepted_later) * costs[-1]
        cost = costs[0] + (1.0 - expected.accepted_first) * later
    else:
        action = "consensus"
        cost = costs[0] + costs[1] + (1.0 - expected.accepted_pair) * costs[-1]
    return Plan(
        action=action,
        models=chain,
        expected_cost_usd=cost,
        expected_quality=min(1.0, expected.retention * before.p_verifier),
    )


def _cost(prediction: Prediction, name: str, ability: Ability) -> float:
    if ability.input_cost is None or ability.output_cost is None:
        return math.nan
    tokens_out = prediction.output_tokens[name]
    return (prediction.input_tokens * ability.input_cost + tokens_out * ability.output_cost) / 1e6
