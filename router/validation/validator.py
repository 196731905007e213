"""Is this draft acceptable? Evidence in, calibrated probabilities and readable checks out.

Three small ONNX graphs of the artifact: `validator_single` judges a draft on its own,
`validator_pair` a draft beside a peer, `validator_escalation` what the verifier would make of the
query now that drafts are known. Pure apart from the sessions; one validator serves any set of
models and may be shared between threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ..artifact import Artifact
from ..errors import ArtifactForeignError
from ..types import Check, Draft, Prediction, Query, Verdict
from .agreement import Agreement, compare_answers
from .checks import HARD_CHECKS, Limits, render_checks
from .escalation import ESCALATION_FEATURES, escalation_features
from .features import (
    PAIR_FEATURES,
    SINGLE_FEATURES,
    DraftEvidence,
    QueryEvidence,
    draft_evidence,
    pair_features,
    query_evidence,
)
from .recalibration import (
    Recalibration,
    pair_inputs,
    sigmoid,
    single_inputs,
    verifier_inputs,
)

__all__ = ["Judgement", "Validator"]

_COLUMNS: Final = {
    "single": SINGLE_FEATURES,
    "pair": PAIR_FEATURES,
    "escalation": ESCALATION_FEATURES,
}
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


class Validator:
    """Judges drafts with one artifact's graphs.

    Raises ArtifactForeignError when the artifact was trained on other features than this code
    computes.
    """

    def __init__(self, artifact: Artifact) -> None:
        about = artifact.read_json("validator.json")
        for name, columns in _COLUMNS.items():
            if about[f"{name}_features"] != list(columns):
                raise ArtifactForeignError(
                    f"artifact {artifact.version} was trained on other '{name}' features than this "
                    "version of Sluice computes; use the version that trained it, or train anew"
                )
        self.thresholds: dict[str, float] = about["accept_thresholds"]
        self.recalibration = Recalibration(
            **{head: tuple(weights) for head, weights in about["recalibration"].items()}
        )
        self._single = artifact.session("validator_single")
        self._pair = artifact.session("validator_pair")
        self._escalation = artifact.session("validator_escalation")

    def validate(
        self,
        query: Query,
        draft: Draft,
        *,
        prediction: Prediction,
        peers: Sequence[Draft] = (),
        limits: Limits | None = None,
    ) -> Verdict:
        """The verdict on one draft, in the light of `peers` (other models' drafts), if any."""
        drafts = (draft, *peers)
        judged = self.judge(query_evidence(query), drafts, prediction)
        p = judged.p_drafts[0]
        checks = list(render_checks(judged.evidence[0].rules, query, draft, limits or _NO_LIMITS))
        agreement = judged.agreements[0]
        if agreement is not None:
            detail = "the final answers agree" if agreement.same else "the final answers differ"
            checks.append(
                Check(
                    name="agreement", passed=agreement.same, value=agreement.overlap, detail=detail
                )
            )
        failed = any(check.passed is False and check.name in HARD_CHECKS for check in checks)
        threshold = self.thresholds["pair" if peers else "single"]
        return Verdict(
            accept=not failed and p >= threshold,
            p_acceptable=0.0 if failed else p,
            threshold=threshold,
            checks=tuple(checks),
        )

    def judge(
        self,
        asked: QueryEvidence,
        drafts: Sequence[Draft],
        prediction: Prediction,
        *,
        recalibration: Recalibration | None = None,
    ) -> Judgement:
        """P(right) of each draft, each in the light of the others."""
        weights = recalibration or self.recalibration
        evidence = tuple(
            draft_evidence(
                asked,
                draft,
                p_success=prediction.p_success.get(draft.model or "", prediction.p_typical),
                p_typical=prediction.p_typical,
            )
            for draft in drafts
        )
        raw = _run(self._single, np.stack([one.single for one in evidence]))
        if len(drafts) == 1:
            inputs = single_inputs(raw[0], evidence[0].logprob)
            return Judgement(
                p_drafts=(weights.apply("single", inputs),),
                evidence=evidence,
                agreements=(None,),
                single_logits=tuple(raw),
                pair_logits=tuple(raw),
            )
        return self._judge_peers(evidence, raw, weights)

    def p_verifier(
        self,
        asked: QueryEvidence,
        judged: Judgement,
        prediction: Prediction,
        verifier: str,
        *,
        recalibration: Recalibration | None = None,
    ) -> float:
        """P(verifier right) now that the drafts are known."""
        weights = recalibration or self.recalibration
        features, first, second = escalation_features(
            asked,
            judged.evidence,
            judged.agreements,
            judged.single_logits,
            judged.pair_logits,
            p_verifier=prediction.p_success[verifier],
        )
        logit = _run(self._escalation, features[None])[0]
        agreement = judged.agreements[first]
        inputs = verifier_inputs(
            logit,
            judged.evidence[first].logprob,
            math.nan if second is None else judged.evidence[second].logprob,
            same=agreement is not None and agreement.same,
        )
        return weights.apply("verifier", inputs)

    def _judge_peers(
        self, evidence: tuple[DraftEvidence, ...], raw: list[float], weights: Recalibration
    ) -> Judgement:
        """Every draft beside every other. With more than one peer their evidence adds up in
        log-odds, damped by the square root of their number, since models err alike."""
        n = len(evidence)
        order = [(i, j) for i in range(n) for j in range(n) if i != j]
        compared = {
            (i, j): compare_answers(evidence[i].answer, evidence[j].answer)
            for i, j in order
            if i < j
        }
        both = {(i, j): compared[min(i, j), max(i, j)] for i, j in order}
        rows = [
            pair_features(
                evidence[i],
                evidence[j],
                both[i, j],
                single=sigmoid(raw[i]),
                peer_single=sigmoid(raw[j]),
            )
            for i, j in order
        ]
        logits = dict(zip(order, _run(self._pair, np.stack(rows)), strict=True))
        p_drafts, pair_logits, agreements = [], [], []
        for i in range(n):
            peers = [j for j in range(n) if j != i]
            shift = sum(logits[i, j] - raw[i] for j in peers) / math.sqrt(len(peers))
            telling = max(peers, key=lambda j: (both[i, j].same, raw[j], -j))
            inputs = pair_inputs(
                raw[i] + shift,
                evidence[i].logprob,
                evidence[telling].logprob,
                same=both[i, telling].same,
            )
            p_drafts.append(weights.apply("pair", inputs))
            pair_logits.append(raw[i] + shift)
            agreements.append(both[i, telling])
        return Judgement(
            p_drafts=tuple(p_drafts),
            evidence=evidence,
            agreements=tuple(agreements),
            single_logits=tuple(raw),
            pair_logits=tuple(pair_logits),
        )


def _run(session: Any, features: np.ndarray[Any, np.dtype[np.float32]]) -> list[float]:
    """Logits of one graph for float32 [batch, n_features]."""
    found: list[float] = session.run(None, {"features": features})[0].ravel().tolist()
    return found
