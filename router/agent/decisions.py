"""What is settled of a run before any call: prediction, chain, plan, thresholds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..affinity import Affinities, Conversation
from ..chat import ChatRequest, Usage
from ..config import QualityConfig, StreamPolicy, nearest
from ..domains import DOMAINS
from ..engine import Engine
from ..errors import InputError
from ..judge import ArtifactJudge, Demands
from ..planner import plan_chain, steadied
from ..policy import Thresholds
from ..profiles import PolicyFile, Profile
from ..store.purse import Purse
from ..types import Plan, Prediction, Query
from ..validation.agreement import SAME_MEANING
from ..validation.checks import Limits
from .roster import Roster

__all__ = ["Decider", "Decision", "RunOptions"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What one call says beside its request. None: as the agent has it.

    `models` are names of configured models to choose from, cheap to dear by their prices; with one
    name it answers, whatever is predicted. `domain` forces a domain. `user` is whom budgets count
    the call for, `conversation` an id that the caller knows a conversation by. `tenant` keeps
    conversations of different callers apart. `purse` is what this run may spend, in place of the
    agent's budget. `request_id` is the result's; one is made up where there is none.
    """

    quality: QualityConfig | None = None
    models: tuple[str, ...] | None = None
    domain: str | None = None
    user: str | None = None
    conversation: str | None = None
    stream_policy: StreamPolicy | None = None
    tenant: str = ""
    purse: Purse | None = None
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """`chain` ends in the verifier. `optimistic`: the first drafter's draft is passed on as it
    comes, before it is judged, and is the answer then."""

    query: Query
    quality: QualityConfig
    prediction: Prediction
    domain: str
    chain: tuple[str, ...]
    conversation: Conversation
    profile: Profile
    plan: Plan
    optimistic: bool

    @property
    def verifier(self) -> str:
        return self.chain[-1]

    @property
    def thresholds(self) -> Thresholds:
        """The profile's, bent to the plan, which may know of a conversation that escalated."""
        thresholds = self.profile.thresholds
        if self.plan.action == "direct":
            return replace(thresholds, direct=-math.inf)
        return steadied(thresholds) if self.conversation.escalated else thresholds


@dataclass(frozen=True, kw_only=True)
class Decider:
    """Decides for the requests of one agent. Does no I/O; `now` is in Unix seconds."""

    engine: Engine
    policy: PolicyFile
    roster: Roster
    quality: QualityConfig
    stream_policy: StreamPolicy
    affinities: Affinities

    def decide(
        self,
        request: ChatRequest,
        options: RunOptions,
        *,
        streamed: bool,
        now: float,
        prediction: Prediction | None = None,
    ) -> Decision:
        """`prediction` is that of the request for the roster's names, where it is known already.
        Raises InputError or UnknownModelError naming the option that is wrong."""
        query, quality = request.query(), options.quality or self.quality
        if prediction is None:
            prediction = self.engine.predict(query, self.roster.names)
        domain = _domain(options, prediction)
        chain = self._chain(options, domain, prediction)
        conversation = self.affinities.recall(
            query, options.conversation, now, tenant=options.tenant
        )
        profile = self.policy.for_target(quality.target_quality, n_drafters=len(chain) - 1)
        plan = plan_chain(
            prediction,
            chain,
            costs={name: self._expected_usd(name, prediction, conversation, now) for name in chain},
            profile=profile,
            steady=conversation.escalated,
        )
        return Decision(
            query=query,
            quality=quality,
            prediction=prediction,
            domain=domain,
            chain=chain,
            conversation=conversation,
            profile=profile,
            plan=plan,
            optimistic=streamed
            and (options.stream_policy or self.stream_policy) == "optimistic"
            and plan.action == "draft"
            and prediction.p_success[chain[0]] >= quality.optimistic_above,
        )

    def judge(self, decision: Decision) -> ArtifactJudge:
        """The judge of the run's drafts."""
        quality = decision.quality
        similarity = quality.semantic_similarity
        demands = Demands(
            limits=Limits(min_chars=quality.min_length, max_chars=quality.max_length),
            p_acceptable=quality.confidence_threshold or 0.0,
            same_meaning=SAME_MEANING if similarity is None else similarity,
        )
        return self.engine.judge(
            decision.prediction, demands=demands, recalibration=self.policy.recalibration
        )

    def _chain(self, options: RunOptions, domain: str, prediction: Prediction) -> tuple[str, ...]:
        if options.models is None:
            return self.roster.chain(domain, prediction)
        if not options.models:
            raise InputError("'models' is empty, expected at least one name", param="models")
        names = self.roster.ordered(dict.fromkeys(options.models))
        return self.roster.shortened(names, prediction)

    def _expected_usd(
        self, name: str, prediction: Prediction, conversation: Conversation, now: float
    ) -> float:
        """What a call is expected to cost, its cached beginning at the price of that; NaN when no
        price is known."""
        price = self.roster.member(name).price
        if price is None:
            return math.nan
        prompt = round(prediction.input_tokens)
        usage = Usage(
            prompt_tokens=prompt,
            completion_tokens=round(prediction.output_tokens[name]),
            cached_tokens=min(prompt, conversation.cached_tokens(name, now)),
        )
        return price.cost_usd(usage)


def _domain(options: RunOptions, prediction: Prediction) -> str:
    domain = options.domain or prediction.domain
    if domain not in DOMAINS:
        known = ", ".join(DOMAINS)
        hint = nearest(domain.upper(), DOMAINS)
        raise InputError(
            f"unknown domain {domain!r}, expected one of {known}{hint}", param="domain"
        )
    return domain
