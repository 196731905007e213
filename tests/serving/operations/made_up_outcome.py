"""An outcome for the tests of what is made of outcomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from router.records.outcome import CallRecord, Outcome

__all__ = ["DRAFT_CALL", "VERIFIER_CALL", "outcome"]

_ACCEPTED = Outcome(
    request_id="slc_0193f0a1b2c3d4e5f60718293a4b5c6d",
    at=1_764_000_000.25,
    key_id="key_1",
    user="ann@example.org",
    cascade="auto",
    requested_model="whatever the client wrote",
    dialect="openai",
    streamed=True,
    status="ok",
    http_status=200,
    action="accepted",
    model="gpt-4o-mini",
    provider="openai",
    domain="CODE",
    p_success=0.93,
    p_acceptable=0.97,
    drafts='[{"model": "gpt-4o-mini", "p_acceptable": 0.97, "threshold": 0.8, "failed": []}]',
    input_tokens=120,
    output_tokens=34,
    cost_nano=38_400,
    baseline_nano=640_000,
    latency_ms=812.5,
    overhead_ms=1.25,
    first_token_ms=301.0,
    prompt="the secret prompt",
    answer="the secret answer",
)
DRAFT_CALL = CallRecord(
    at=1_764_000_000.26,
    model="gpt-4o-mini",
    provider="openai",
    cost_nano=38_400,
    charged_nano=38_400,
    input_tokens=120,
    output_tokens=34,
    cached_tokens=64,
    latency_ms=800.0,
)
VERIFIER_CALL = replace(
    DRAFT_CALL, at=1_764_000_001.1, model="gpt-4o", cost_nano=640_000, charged_nano=640_000
)


def outcome(**changed: Any) -> Outcome:
    """An accepted draft, but for what is `changed`."""
    return replace(_ACCEPTED, **changed)
