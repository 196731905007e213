"""Where the metrics look for what is not counted: queues, budgets, circuits, calibration."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from router.agent.roster import ModelPool
from router.budget import day_key, month_key
from router.money import to_usd
from router.records.accounts import TOTAL
from router.records.calibration import calibrate_labels
from router.records.scope import Scope

from ..operations.metric_sources import MetricSources
from .gateway import Gateway

__all__ = ["metric_sources"]

_CALIBRATED_OVER_S: Final = 7 * 86_400.0  # labels come late


def metric_sources(gateway: Gateway) -> MetricSources:
    """What there is to see of a gateway."""
    budget = gateway.config.budget
    limited = budget.daily_limit is not None or budget.monthly_limit is not None
    return MetricSources(
        in_flight=lambda: gateway.admission.in_flight,
        waiting=lambda: gateway.admission.waiting,
        journal_depth=lambda: gateway.journal.waiting,
        rate_limits_degraded=lambda: gateway.rate_limits.is_degraded,
        open_circuits=partial(_open_circuits, gateway.cascades.pool),
        budget_left_usd=partial(_budget_left_usd, gateway) if limited else None,
        calibration_error=partial(_calibration_error, gateway),
    )


def _open_circuits(pool: ModelPool) -> Mapping[str, bool]:
    """A model is left alone when all of its endpoints are."""
    now = time.monotonic()
    return {
        member.name: all(state == "open" for _, state in member.client.circuits(now))
        for member in pool.members
    }


async def _budget_left_usd(gateway: Gateway) -> Mapping[str, float]:
    budget = gateway.config.budget
    now = time.time()
    balances = await gateway.journal.balances([TOTAL], now=now)
    windows = (
        ("daily", day_key(now), budget.daily_limit),
        ("monthly", month_key(now), budget.monthly_limit),
    )
    return {
        name: limit_usd - to_usd(balances[window, TOTAL].taken_nano)
        for name, window, limit_usd in windows
        if limit_usd is not None
    }


async def _calibration_error(gateway: Gateway) -> Mapping[str, float]:
    now = time.time()
    scope = Scope(from_at=now - _CALIBRATED_OVER_S, to_at=now)
    found = await gateway.database.run(partial(calibrate_labels, scope=scope))
    errors = {"p_success": found.p_success.ece, "p_acceptable": found.p_acceptable.ece}
    return {name: error for name, error in errors.items() if error is not None}
