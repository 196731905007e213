"""The parts that the chat endpoints work with, put together from a configuration."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from router.budget import Limit
from router.providers.transport import Transport
from router.records.accounts import TOTAL, account_limits, key_account, user_account
from router.records.allowances import Allowances
from router.records.database import Database
from router.records.journal import Journal

from ..access.access import Access
from ..access.rate_limits import RateLimits
from ..access.tenants import Tenant
from ..config import GatewayConfig
from ..errors import ApiError
from ..operations.admission import Admission
from ..operations.tracing import Tracing
from ..response_cache import ResponseCache
from .cascades import Cascades, Route
from .embedding_models import EmbeddingModels
from .recorder import Recorder

__all__ = ["Gateway", "new_request_id"]

_KEYS_KEPT: Final = 1_000  # whose limits need not be put together again


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """One process's gateway. `cache` is None where no cascade has one, `tracing` where nobody
    wants spans."""

    config: GatewayConfig
    database: Database
    journal: Journal
    allowances: Allowances
    access: Access
    rate_limits: RateLimits
    admission: Admission
    cascades: Cascades
    embeddings: EmbeddingModels
    transport: Transport
    recorder: Recorder
    cache: ResponseCache | None
    tracing: Tracing | None

    def route(self, model: str, tenant: Tenant) -> Route:
        """Where `model` leads this tenant; ApiError (404) when it leads nowhere. What a tenant may
        not use does not exist for it."""
        route = self.cascades.find(model)
        if route is not None and _may_use(tenant, route, model):
            return route
        if not self.cascades.pool.names:
            message = "no models are configured: name some in sluice.yaml ('sluice init' writes it)"
        else:
            message = "there is no such model; GET /v1/models lists what this key may ask"
        raise ApiError(404, message, code="model_not_found", param="model")

    def limits(self, tenant: Tenant, user: str) -> tuple[Limit, ...]:
        """Every limit on money that a call for `user` of `tenant` falls under."""
        budget, own = self.config.budget, tenant.settings
        limits = _total_and_key_limits(
            budget.daily_limit,
            budget.monthly_limit,
            key_account(tenant.key_id),
            own.daily_limit,
            own.monthly_limit,
        )
        if not user:
            return limits
        return limits + account_limits(
            user_account(tenant.key_id, user),
            {
                "user_daily": _either(own.user_daily_limit, budget.user_daily_limit),
                "user_monthly": _either(own.user_monthly_limit, budget.user_monthly_limit),
            },
        )

    async def aclose(self) -> None:
        """Let go of connections and files, once everything is recorded."""
        await self.transport.aclose()
        await self.allowances.aclose()
        await self.journal.aclose()
        await self.rate_limits.aclose()
        if self.cache is not None:
            await self.cache.aclose()
        if self.tracing is not None:
            await self.tracing.aclose()
        self.database.close()


def new_request_id(now: float | None = None) -> str:
    """An id that nobody can guess and that sorts by time, so that an index grows at its end."""
    milliseconds = int((time.time() if now is None else now) * 1000)
    return f"slc_{milliseconds:012x}{secrets.token_hex(10)}"


def _may_use(tenant: Tenant, route: Route, asked: str) -> bool:
    if route.is_bypass:
        return tenant.may_use_model(asked)
    return tenant.may_use_cascade(route.cascade)


@lru_cache(maxsize=_KEYS_KEPT)
def _total_and_key_limits(
    daily: float | None,
    monthly: float | None,
    key: str,
    key_daily: float | None,
    key_monthly: float | None,
) -> tuple[Limit, ...]:
    """The limits that every call of a key falls under, `key` being its account."""
    return account_limits(TOTAL, {"daily": daily, "monthly": monthly}) + account_limits(
        key, {"key_daily": key_daily, "key_monthly": key_monthly}
    )


def _either(own: float | None, general: float | None) -> float | None:
    return general if own is None else own
