"""The last step from evidence to probability: a small logistic layer over the graphs' logits.

It is where token log-probabilities come in, which only some providers give, and where a
deployment's own outcomes correct what was learned elsewhere: `sluice calibrate` refits these few
weights, with the shipped ones as the prior. Formula: p = sigmoid(w . x), x as listed per head; of
the two corrections, which change the gain of escalating, w . x itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ..errors import InputError

__all__ = [
    "CORRECTION_INPUTS",
    "HEADS",
    "UNCHANGED",
    "Recalibration",
    "logprob_logit",
    "pair_inputs",
    "sigmoid",
    "single_inputs",
    "verifier_inputs",
]

CORRECTION_INPUTS: Final = (
    "one",
    "first_logit",
    "first_p",
    "first_logprob",
    "first_phrases",
    "first_reasoning",
    "last_logit",
    "last_p",
    "last_logprob",
    "last_phrases",
    "last_reasoning",
    "same",
    "verifier_logit",
    "verifier_p",
    "first_success",
    "verifier_success",
    "n_options",
)
"""Of a chain's first and last draft so far, in its order: here a deployment tells its models
apart. The "last" are 0 where there is one draft."""
HEADS: Final = {
    "single": ("logit", "logit_with_logprob", "logprob", "has_logprob", "one"),
    "pair": (
        "logit",
        "logit_with_logprob",
        "logprob",
        "peer_logprob_same",
        "peer_logprob_other",
        "has_logprob",
        "has_logprob_same",
        "one",
    ),
    "verifier": ("logit", "logprob", "peer_logprob", "same", "has_logprob", "one"),
    "gain_first": CORRECTION_INPUTS,
    "gain_later": CORRECTION_INPUTS,
}
"""The inputs of each head, in order."""

_MAX_LOGIT: Final = 20.0


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """Weights of the heads, in the order of HEADS. The corrections are nothing unless fitted."""

    single: tuple[float, ...]
    pair: tuple[float, ...]
    verifier: tuple[float, ...]
    gain_first: tuple[float, ...] = (0.0,) * len(CORRECTION_INPUTS)
    gain_later: tuple[float, ...] = (0.0,) * len(CORRECTION_INPUTS)

    def __post_init__(self) -> None:
        for head, names in HEADS.items():
            weights = getattr(self, head)
            if len(weights) != len(names) or not all(map(math.isfinite, weights)):
                raise InputError(
                    f"recalibration head '{head}' needs {len(names)} finite weights "
                    f"({', '.join(names)}), found {len(weights)}",
                    param=head,
                )

    def apply(self, head: str, inputs: tuple[float, ...]) -> float:
        """The probability of one head for inputs made by the function of its name."""
        return sigmoid(self.weigh(head, inputs))

    def weigh(self, head: str, inputs: tuple[float, ...]) -> float:
        """w . x of one head."""
        weights: tuple[float, ...] = getattr(self, head)
        return sum([w * x for w, x in zip(weights, inputs, strict=True)])

    def corrects(self, head: str) -> bool:
        """Whether a correction was fitted: without one its w . x is 0, whatever x is."""
        return any(getattr(self, head))


UNCHANGED: Final = Recalibration(
    single=(1.0, -1.0, 0.219, 0.072, 0.0),
    pair=(1.0, -0.5, 0.25, 0.15, -0.1, 0.0, 0.0, 0.0),
    verifier=(1.0, 0.08, 0.05, 0.0, 0.0, 0.0),
)
"""Leaves probabilities as the graphs give them where no log-probabilities are known. Where they
are, a draft on its own is judged by them alone (slope and shift fitted to 42,000 recorded answers
of nine models): on bare answers the graph's evidence is noise beside them."""


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    grown = math.exp(x)
    return grown / (1.0 + grown)


def logprob_logit(logprob: float) -> float:
    """The log-odds of the probability exp(logprob), clipped to +-20; NaN stays NaN.

    log(p / (1 - p)) = logprob - log(-expm1(logprob)), which keeps apart probabilities that differ
    only in their distance from 1.
    """
    if math.isnan(logprob):
        return math.nan
    below = min(logprob, -1e-9)
    return max(-_MAX_LOGIT, min(_MAX_LOGIT, below - math.log(-math.expm1(below))))


def single_inputs(logit: float, logprob: float) -> tuple[float, ...]:
    """Inputs of head "single" from the graph's logit and the draft's log-probability."""
    x = logprob_logit(logprob)
    if math.isnan(x):
        return (logit, 0.0, 0.0, 0.0, 1.0)
    return (logit, logit, x, 1.0, 1.0)


def pair_inputs(
    logit: float, logprob: float, peer_logprob: float, *, same: bool
) -> tuple[float, ...]:
    """Inputs of head "pair": the peer's log-probability counts for or against."""
    x, peer = logprob_logit(logprob), logprob_logit(peer_logprob)
    has = not math.isnan(x)
    peer = 0.0 if math.isnan(peer) else peer
    return (
        logit,
        logit if has else 0.0,
        x if has else 0.0,
        peer if same else 0.0,
        0.0 if same else peer,
        float(has),
        float(has and same),
        1.0,
    )


def verifier_inputs(
    logit: float, logprob: float, peer_logprob: float, *, same: bool
) -> tuple[float, ...]:
    """Inputs of head "verifier": an unsure draft tells of a hard query."""
    x, peer = logprob_logit(logprob), logprob_logit(peer_logprob)
    has = not math.isnan(x)
    return (
        logit,
        x if has else 0.0,
        0.0 if math.isnan(peer) else peer,
        float(same),
        float(has),
        1.0,
    )
