"""One line of the log for each request: who asked what, what came of it, what it cost and took.

Names are the configuration's, ids are Sluice's own; nothing of the request itself is in it, the
user's name neither.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from router.money import to_usd
from router.records.outcome import CallRecord, Outcome

from .logs import REQUESTS

__all__ = ["log_request"]

_LOG = logging.getLogger(REQUESTS)


def log_request(outcome: Outcome, calls: Sequence[CallRecord] = ()) -> None:
    """Write the line, at level "info"."""
    if not _LOG.isEnabledFor(logging.INFO):
        return
    # Made by hand: logging's own way looks for the caller's line first, which takes as long as
    # everything else.
    record = logging.LogRecord(REQUESTS, logging.INFO, __file__, 0, "request", (), None)
    vars(record).update(_describe(outcome, calls))
    _LOG.handle(record)


def _describe(outcome: Outcome, calls: Sequence[CallRecord]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "request_id": outcome.request_id,
        "key_id": outcome.key_id,
        "dialect": outcome.dialect,
        "streamed": outcome.streamed,
        "cascade": outcome.cascade,
        "status": outcome.status,
        "http_status": outcome.http_status,
        "action": outcome.action,
        "model": outcome.model,
        "provider": outcome.provider,
        "domain": outcome.domain,
        "calls": len(calls),
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "cost_usd": to_usd(outcome.cost_nano),
        "latency_ms": round(outcome.latency_ms, 2),
    }
    if outcome.error_code is not None:
        told["error_code"] = outcome.error_code
    if outcome.cached is not None:
        told["cached"] = outcome.cached
    if outcome.baseline_nano is not None:
        told["saved_usd"] = to_usd(outcome.baseline_nano - outcome.cost_nano)
    if outcome.overhead_ms is not None:
        told["overhead_ms"] = round(outcome.overhead_ms, 2)
    if outcome.first_token_ms is not None:
        told["first_token_ms"] = round(outcome.first_token_ms, 2)
    return told
