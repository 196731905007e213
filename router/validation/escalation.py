"""Evidence on the verifier: what it would make of the query, now that drafts are known.

Drafts that disagree tell of a hard query, on which the verifier fails more often too; escalating
such a query costs the same and buys less. The first draft of the vector is the one that would be
accepted, the second its strongest peer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from ..types import Embedding
from .agreement import Agreement
from .features import DraftEvidence, QueryEvidence, feature_getter, logit

__all__ = ["ESCALATION_FEATURES", "TARGETS", "escalation_features"]

_KINDS: Final = ("choice", "number", "expression", "literal", "json", "code", "text", "none")
# Of the draft that would be accepted and of its strongest peer.
_OF_BOTH: Final = (
    "phrases",
    "marked",
    "reasoning_log_chars",
    "answer_log_chars",
    "n_wrong_equations",
    "self_corrections",
    "hedge_per_100_words",
    "new_numbers",
)
ESCALATION_FEATURES: Final = (
    "verifier_success_logit",
    "draft_success_logit",
    "p_typical_logit",
    "single_logit",
    "peer_single_logit",
    "pair_logit",
    "peer_pair_logit",
    "same_answer",
    *(f"kind_{kind}" for kind in _KINDS),
    "n_options",
    "query_log_chars",
    "peer_success_logit",
    "meaning",
    *_OF_BOTH,
    *(f"peer_{name}" for name in _OF_BOTH),
)
_NO_PEER: Final = (math.nan,) * len(_OF_BOTH)
_PREDICTED: Final = feature_getter("p_success_logit", "p_typical_logit")
_ANSWER: Final = feature_getter(*(f"kind_{kind}" for kind in _KINDS), "n_options")
_BOTH: Final = feature_getter(*_OF_BOTH)
TARGETS: Final = ("verifier", "rescue", "harm")
"""What the graph gives log-odds of: the verifier is right; it alone is; the draft alone is."""


def escalation_features(
    asked: QueryEvidence,
    evidence: Sequence[DraftEvidence],
    agreements: Sequence[Agreement | None],
    single_logits: Sequence[float],
    pair_logits: Sequence[float],
    *,
    p_verifier: float,
) -> tuple[Embedding, int, int | None]:
    """(float32 [len(ESCALATION_FEATURES)], number of the best draft, number of its peer)."""
    ranked = sorted(range(len(evidence)), key=lambda i: (-pair_logits[i], i))
    first = ranked[0]
    second = ranked[1] if len(ranked) > 1 else None
    draft, agreement = evidence[first], agreements[first]
    peer = None if second is None else evidence[second]
    vector = (
        logit(p_verifier),
        *_PREDICTED(draft.values),
        single_logits[first],
        math.nan if second is None else single_logits[second],
        math.nan if second is None else pair_logits[first],
        math.nan if second is None else pair_logits[second],
        math.nan if agreement is None else float(agreement.same),
        *_ANSWER(draft.values),
        asked.log_chars,
        math.nan if peer is None else peer.value("p_success_logit"),
        math.nan if agreement is None else agreement.meaning,
        *_BOTH(draft.values),
        *(_NO_PEER if peer is None else _BOTH(peer.values)),
    )
    return np.array(vector, dtype=np.float32), first, second
