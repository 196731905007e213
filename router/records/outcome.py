"""One logged request: what was predicted, done and paid; a row of `tables.outcomes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CallRecord", "Outcome", "OutcomeStatus"]

OutcomeStatus = Literal["ok", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRecord:
    """One call to a model that costs or may cost something.

    `cost_nano` is None when price or usage is unknown, or the call was cut off; `charged_nano` is
    what the ledger counts for it: the cost, else what was reserved, else nothing.
    """

    at: float
    model: str
    provider: str
    cost_nano: int | None
    charged_nano: int
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One request as it is kept, field by field a column of `tables.outcomes`.

    `key_id` is '' in open mode, `user` '' for nobody, `cascade` '' when a model was asked by its
    name. `predictions` ({model: p_success}), `plan` and `drafts` are JSON texts. `p_success` is
    that of the model that answered, `p_acceptable` that of the draft that is the answer, None
    where the verifier answered. `propensity` is the probability with which the policy took this
    action. `features` is what `features.pack_features` makes: embeddings and numbers, never text.
    `cost_nano` is the sum of the calls' `charged_nano`; `unpriced` says that it holds a guess.
    `baseline_nano` is what the verifier alone would have cost. `prompt` (JSON of the request) and
    `answer` are only kept with `store_text`.
    """

    request_id: str
    at: float
    key_id: str
    user: str
    cascade: str
    requested_model: str
    dialect: str
    streamed: bool
    status: OutcomeStatus
    http_status: int
    error_code: str | None = None
    action: str | None = None
    cached: str | None = None
    model: str | None = None
    provider: str | None = None
    domain: str | None = None
    domain_confidence: float | None = None
    artifact: str | None = None
    target_quality: float | None = None
    p_success: float | None = None
    p_acceptable: float | None = None
    predictions: str | None = None
    plan: str | None = None
    drafts: str | None = None
    drafts_agree: bool | None = None
    propensity: float = 1.0
    features: bytes | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano: int = 0
    unpriced: bool = False
    baseline_nano: int | None = None
    latency_ms: float = 0.0
    overhead_ms: float | None = None
    first_token_ms: float | None = None
    prompt: str | None = None
    answer: str | None = None
