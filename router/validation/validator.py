"""Is this draft acceptable? Evidence in, calibrated probabilities and readable checks out.

Three small ONNX graphs of the artifact: `validator_single` judges a draft on its own,
`validator_pair` a draft beside a peer, `validator_escalation` what the verifier would make of the
query now that drafts are known. Pure apart from the sessions; one validator serves any set of
models and may be shared between threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ..artifact import Artifact, bind_arrays
from ..errors import ArtifactForeignError
from ..types import Draft, Embedding, Prediction, Query, Verdict
from .agreement import SAME_MEANING
from .checks import Limits, most_credible
from .escalation import ESCALATION_FEATURES, TARGETS, escalation_features
from .features import (
    PAIR_FEATURES,
    SINGLE_FEATURES,
    DraftEvidence,
    QueryEvidence,
    compare_drafts,
    draft_evidence,
    pair_features,
    query_evidence,
)
from .features import (
    logit as log_odds,
)
from .phrases import PhraseWeights
from .recalibration import (
    Recalibration,
    logprob_logit,
    pair_inputs,
    sigmoid,
    single_inputs,
    verifier_inputs,
)
from .tool_calls import SAME_CALLS_LOGIT
from .verdicts import Judgement, explain

__all__ = ["Validator"]

_COLUMNS: Final = {
    "single": SINGLE_FEATURES,
    "pair": PAIR_FEATURES,
    "escalation": ESCALATION_FEATURES,
}
_P_TRIED: Final = 0.95  # of a draft that did, when run, what the query says it should


class _OneRow(threading.local):
    """A graph bound to arrays that each thread makes once, for one vector of features at a time."""

    def __init__(self, session: Any, *, n_features: int, n_targets: int) -> None:
        self._session = session
        self._features = np.zeros((1, n_features), np.float32)
        self._logits = np.zeros((1, n_targets), np.float32)
        (output,) = session.get_outputs()
        inputs, outputs = {"features": self._features}, {output.name: self._logits}
        self._binding = bind_arrays(session, inputs=inputs, outputs=outputs)

    def run(self, features: Embedding) -> list[float]:
        """Logits, one for each target, for float32 [n_features]."""
        self._features[0] = features
        self._session.run_with_iobinding(self._binding)
        found: list[float] = self._logits[0].tolist()
        return found


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
        self._one = _OneRow(self._single, n_features=len(SINGLE_FEATURES), n_targets=1)
        self._escalation = _OneRow(
            artifact.session("validator_escalation"),
            n_features=len(ESCALATION_FEATURES),
            n_targets=len(TARGETS),
        )
        self._phrases = PhraseWeights.from_arrays(
            artifact.read_arrays("validator_phrases.npz"),
            where=f"validator_phrases.npz of artifact {artifact.version}",
        )

    def validate(
        self,
        query: Query,
        draft: Draft,
        *,
        prediction: Prediction,
        peers: Sequence[Draft] = (),
        embeddings: Sequence[Embedding | None] | None = None,
        limits: Limits | None = None,
    ) -> Verdict:
        """The verdict on one draft, in the light of `peers` (other models' drafts), if any.

        `embeddings`: as in `judge`, of the draft and its peers.
        """
        drafts = (draft, *peers)
        judged = self.judge(query_evidence(query), drafts, prediction, embeddings=embeddings)
        return explain(
            judged,
            0,
            query=query,
            draft=draft,
            threshold=self.thresholds["pair" if peers else "single"],
            limits=limits or Limits(),
        )

    def judge(
        self,
        asked: QueryEvidence,
        drafts: Sequence[Draft],
        prediction: Prediction,
        *,
        embeddings: Sequence[Embedding | None] | None = None,
        recalibration: Recalibration | None = None,
    ) -> Judgement:
        """P(right) of each draft, each in the light of the others.

        `embeddings`: of the drafts, float [d] of unit norm, as the predictor gives them beside the
        query's; None, or None for a draft, where there is none: meaning is then not judged.
        """
        evidence = tuple(
            self.read(asked, draft, prediction, embedding=embedding)
            for draft, embedding in zip(drafts, embeddings or [None] * len(drafts), strict=True)
        )
        return self.weigh(drafts, evidence, recalibration=recalibration)

    def read(
        self,
        asked: QueryEvidence,
        draft: Draft,
        prediction: Prediction,
        *,
        embedding: Embedding | None = None,
    ) -> DraftEvidence:
        """What is read of one draft, whatever other drafts there are."""
        return draft_evidence(
            asked,
            draft,
            p_success=prediction.p_success.get(draft.model or "", prediction.p_typical),
            p_typical=prediction.p_typical,
            phrases=self._phrases,
            query_embedding=prediction.embedding,
            embedding=embedding,
        )

    def weigh(
        self,
        drafts: Sequence[Draft],
        evidence: tuple[DraftEvidence, ...],
        *,
        recalibration: Recalibration | None = None,
        same_meaning: float = SAME_MEANING,
    ) -> Judgement:
        """`judge`, when the drafts have been read already. `same_meaning` is the cosine from which
        two drafts of prose count as saying the same."""
        weights = recalibration or self.recalibration
        if len(evidence) == 1:
            raw = self._one.run(evidence[0].single)
        else:
            rows = np.stack([one.single for one in evidence])
            raw = [row[0] for row in _run(self._single, rows)]
        for index, one in enumerate(evidence):
            if one.calls:  # nothing is learned of calls beyond the model that makes them
                raw[index] = one.value("p_success_logit")
        if len(drafts) == 1:
            most = most_credible(evidence[0].rules, drafts[0], agreed=False)
            inputs = single_inputs(min(raw[0], _ceiling(most)), evidence[0].logprob)
            return Judgement(
                p_drafts=(_tried(weights.apply("single", inputs), drafts[0]),),
                evidence=evidence,
                agreements=(None,),
                single_logits=tuple(raw),
                pair_logits=tuple(raw),
            )
        return self._judge_peers(drafts, evidence, raw, weights, same_meaning)

    def weigh_verifier(
        self,
        asked: QueryEvidence,
        judged: Judgement,
        prediction: Prediction,
        verifier: str,
        *,
        recalibration: Recalibration | None = None,
    ) -> tuple[float, float]:
        """(P(verifier right) now that the drafts are known, correction of the gain).

        Without log-probabilities it is the mean of two estimates: the graph's own, and P(best
        draft right) + P(only the verifier right) - P(only the draft right). What is compared with
        a threshold is the difference to P(best draft right), and the second knows that best.
        """
        if any(one.calls for one in judged.evidence):
            return prediction.p_success[verifier], 0.0
        weights = recalibration or self.recalibration
        features, first, second = escalation_features(
            asked,
            judged.evidence,
            judged.agreements,
            judged.single_logits,
            judged.pair_logits,
            p_verifier=prediction.p_success[verifier],
        )
        logit, rescue, harm = self._escalation.run(features)
        if math.isnan(judged.evidence[first].logprob):
            p_draft = max(judged.p_drafts)
            mean = 0.5 * (sigmoid(logit) + p_draft + sigmoid(rescue) - sigmoid(harm))
            logit = log_odds(mean)
        agreement = judged.agreements[first]
        inputs = verifier_inputs(
            logit,
            judged.evidence[first].logprob,
            math.nan if second is None else judged.evidence[second].logprob,
            same=agreement is not None and agreement.same,
        )
        p_verifier = weights.apply("verifier", inputs)
        head = "gain_first" if second is None else "gain_later"
        if not weights.corrects(head):
            return p_verifier, 0.0
        return p_verifier, weights.weigh(head, _correction_inputs(judged, features, logit))

    def _judge_peers(
        self,
        drafts: Sequence[Draft],
        evidence: tuple[DraftEvidence, ...],
        raw: list[float],
        weights: Recalibration,
        same_meaning: float,
    ) -> Judgement:
        """Every draft beside every other. With more than one peer their evidence adds up in
        log-odds, damped by the square root of their number, since models err alike."""
        n = len(evidence)
        order = [(i, j) for i in range(n) for j in range(n) if i != j]
        compared = {
            (i, j): compare_drafts(evidence[i], evidence[j], same_meaning=same_meaning)
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
        found = _run(self._pair, np.stack(rows))
        logits = {pair: row[0] for pair, row in zip(order, found, strict=True)}
        for i, j in order:
            if evidence[i].calls or evidence[j].calls:
                shift = SAME_CALLS_LOGIT if both[i, j].same else -SAME_CALLS_LOGIT
                logits[i, j] = raw[i] + shift
        p_drafts, pair_logits, agreements = [], [], []
        for i in range(n):
            peers = [j for j in range(n) if j != i]
            shift = sum(logits[i, j] - raw[i] for j in peers) / math.sqrt(len(peers))
            telling = max(peers, key=lambda j: (both[i, j].same, raw[j], -j))
            agreed = both[i, telling].same
            most = most_credible(evidence[i].rules, drafts[i], agreed=agreed)
            inputs = pair_inputs(
                min(raw[i] + shift, _ceiling(most)),
                evidence[i].logprob,
                evidence[telling].logprob,
                same=agreed,
            )
            p_drafts.append(_tried(weights.apply("pair", inputs), drafts[i]))
            pair_logits.append(raw[i] + shift)
            agreements.append(both[i, telling])
        return Judgement(
            p_drafts=tuple(p_drafts),
            evidence=evidence,
            agreements=tuple(agreements),
            single_logits=tuple(raw),
            pair_logits=tuple(pair_logits),
        )


def _tried(p: float, draft: Draft) -> float:
    """`p` in the light of checks made outside the text: examples that held when run say much."""
    held = any(check.passed is True for check in draft.checks)
    return max(p, _P_TRIED) if held else p


def _correction_inputs(
    judged: Judgement, features: Embedding, verifier_logit: float
) -> tuple[float, ...]:
    """The inputs of CORRECTION_INPUTS, from the escalation features of the same drafts."""
    one, several = judged.evidence[0], len(judged.evidence) > 1
    last = judged.evidence[-1]
    agreement = judged.agreements[0]
    tail = (0.0,) * 5
    if several:
        tail = (
            judged.pair_logits[-1],
            sigmoid(judged.pair_logits[-1]),
            _known(logprob_logit(last.logprob)),
            last.value("phrases"),
            last.value("reasoning_log_chars"),
        )
    return (
        1.0,
        judged.pair_logits[0],
        sigmoid(judged.pair_logits[0]),
        _known(logprob_logit(one.logprob)),
        one.value("phrases"),
        one.value("reasoning_log_chars"),
        *tail,
        float(agreement is not None and agreement.same),
        verifier_logit,
        sigmoid(verifier_logit),
        _known(one.value("p_success_logit")),
        _known(float(features[0])),
        one.value("n_options"),
    )


def _ceiling(most: float) -> float:
    """The log-odds that a probability of at most `most` allows; infinite for 1.0."""
    return math.inf if most >= 1.0 else log_odds(most)


def _known(value: float) -> float:
    """0 for what is not known."""
    return 0.0 if math.isnan(value) else value


def _run(session: Any, features: np.ndarray[Any, np.dtype[np.float32]]) -> list[list[float]]:
    """Logits [batch, n_targets] of one graph for float32 [batch, n_features]."""
    found: list[list[float]] = session.run(None, {"features": features})[0].tolist()
    return found
