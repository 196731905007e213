"""Where a cascade's evidence comes from: before any draft, and with the drafts there are.

`ArtifactJudge` runs an artifact's predictor and validator. It reads the query and each draft once,
whatever the number of stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from .policy import Assessment
from .records.features import DraftFeatures, QueryFeatures
from .types import Draft, Embedding, Prediction, Query, Verdict
from .validation.agreement import SAME_MEANING
from .validation.checks import Limits, fails_hard
from .validation.features import DraftEvidence, QueryEvidence, meaningful, query_evidence
from .validation.recalibration import Recalibration
from .validation.validator import Validator
from .validation.verdicts import Judgement, explain

__all__ = ["NO_DEMANDS", "ArtifactJudge", "Demands", "Judge", "Predicts"]


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

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding | None]:
        """The embedding of each text, None for an empty one."""
        ...


@dataclass(frozen=True, kw_only=True)
class Demands:
    """What a caller asks of a draft beside the policy's thresholds. `hard` makes a failed hard
    check a veto; recorded drafts are replayed without, since nobody demanded anything of them."""

    limits: Limits = field(default_factory=Limits)
    p_acceptable: float = 0.0
    same_meaning: float = SAME_MEANING
    hard: bool = True


NO_DEMANDS: Final = Demands(hard=False)


class ArtifactJudge:
    """The production judge: an artifact's predictor and validator.

    Remembers what it read of the last query and its drafts, so one judge serves one cascade at a
    time. `prediction`, where it is given, is that of the first query for its chain.
    """

    def __init__(
        self,
        predictor: Predicts,
        validator: Validator,
        *,
        recalibration: Recalibration | None = None,
        demands: Demands = NO_DEMANDS,
        prediction: Prediction | None = None,
    ) -> None:
        self._predictor = predictor
        self._validator = validator
        self._recalibration = recalibration
        self._demands = demands
        self._prediction = prediction
        self._query: Query | None = None
        self._asked: QueryEvidence | None = None
        self._read: list[tuple[Draft, DraftEvidence]] = []
        self._judged: Judgement | None = None
        self._verdicts: tuple[Verdict, ...] | None = None

    def start(self, query: Query, chain: Sequence[str]) -> Assessment:
        p_success = self._predicted(query, chain).p_success
        return Assessment(p_first=p_success[chain[0]], p_verifier=p_success[chain[-1]])

    def assess(self, query: Query, chain: Sequence[str], drafts: Sequence[Draft]) -> Assessment:
        prediction = self._predicted(query, chain)
        if self._asked is None:
            self._asked = query_evidence(query)
        evidence = self._evidence(self._asked, drafts, prediction)
        judged = self._validator.weigh(
            drafts,
            evidence,
            recalibration=self._recalibration,
            same_meaning=self._demands.same_meaning,
        )
        p_verifier, correction = self._validator.weigh_verifier(
            self._asked, judged, prediction, chain[-1], recalibration=self._recalibration
        )
        self._judged, self._verdicts = judged, None
        return Assessment(
            p_first=prediction.p_success[chain[0]],
            p_verifier=p_verifier,
            p_drafts=judged.p_drafts,
            correction=correction,
            vetoed=self._vetoed(drafts, judged),
            doubted=frozenset(
                index
                for index, p_draft in enumerate(judged.p_drafts)
                if p_draft < self._demands.p_acceptable
            ),
        )

    def verdicts(self, drafts: Sequence[Draft], *, threshold: float) -> tuple[Verdict, ...]:
        """The verdicts on the drafts last assessed, for a p_acceptable to reach of `threshold`."""
        least = min(1.0, max(threshold, self._demands.p_acceptable, 0.0))
        return tuple(
            Verdict(
                accept=one.accept and one.p_acceptable >= least,
                p_acceptable=one.p_acceptable,
                threshold=least,
                checks=one.checks,
            )
            for one in self._explained(drafts)
        )

    def features(self) -> QueryFeatures | None:
        """What was read of the query and its drafts, in numbers; None before anything was."""
        prediction = self._prediction
        if prediction is None:
            return None
        return QueryFeatures(
            embedding=prediction.embedding,
            shape=prediction.shape,
            drafts=tuple(
                DraftFeatures(single=one.single, embedding=one.embedding, logprob=one.logprob)
                for _, one in self._read
            ),
        )

    def _predicted(self, query: Query, chain: Sequence[str]) -> Prediction:
        if query is not self._query:
            first = self._query is None
            self._query, self._asked = query, None
            self._judged = self._verdicts = None
            self._read.clear()
            if not first:
                self._prediction = None
        names = None if self._prediction is None else self._prediction.p_success
        if names is None or any(name not in names for name in chain):
            self._prediction = self._predictor.predict(query, tuple(chain))
        assert self._prediction is not None
        return self._prediction

    def _evidence(
        self, asked: QueryEvidence, drafts: Sequence[Draft], prediction: Prediction
    ) -> tuple[DraftEvidence, ...]:
        """What is read of each draft; those read at an earlier stage are not read again."""
        known = {id(draft): evidence for draft, evidence in self._read}
        new = [draft for draft in drafts if id(draft) not in known]
        embeddings = self._predictor.embed_texts(list(map(meaningful, new)))
        for draft, embedding in zip(new, embeddings, strict=True):
            evidence = self._validator.read(asked, draft, prediction, embedding=embedding)
            self._read.append((draft, evidence))
            known[id(draft)] = evidence
        return tuple(known[id(draft)] for draft in drafts)

    def _vetoed(self, drafts: Sequence[Draft], judged: Judgement) -> frozenset[int]:
        if not self._demands.hard:
            return frozenset()
        limits = self._demands.limits
        pairs = zip(judged.evidence, drafts, strict=True)
        return frozenset(
            index
            for index, (evidence, draft) in enumerate(pairs)
            if fails_hard(evidence.rules, draft, limits)
        )

    def _explained(self, drafts: Sequence[Draft]) -> tuple[Verdict, ...]:
        """The checks on the drafts last assessed, made once; `accept` is whether none failed that
        must not."""
        query, judged = self._query, self._judged
        if self._verdicts is None and query is not None and judged is not None:
            limits = self._demands.limits
            self._verdicts = tuple(
                explain(
                    judged,
                    index,
                    query=query,
                    draft=draft,
                    threshold=0.0,
                    limits=limits,
                    as_judged=True,
                )
                for index, draft in enumerate(drafts)
            )
        return self._verdicts or ()
