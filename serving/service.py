"""The one thing that requests share: configuration, metrics, the engine and the gateway."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Final

from fastapi import Request

from router.agent.roster import ModelPool
from router.engine import Engine
from router.errors import SluiceError, StoreError
from router.records.database import Database
from router.records.retention import prune_outcomes
from router.types import Draft, Query

from .access.access import Access
from .access.rate_limits import RateLimits
from .config import GatewayConfig, ServerConfig
from .errors import ApiError
from .gateway.assembly import build_gateway
from .gateway.gateway import Gateway
from .gateway.watching import metric_sources
from .metrics import Metrics
from .response_cache import ResponseCache

__all__ = ["Service", "service_of"]

_LOG = logging.getLogger("sluice.serving")

_DAY_S: Final = 86_400.0
_PRUNE_EVERY_S: Final = 3_600.0


class Service:
    """What the handlers work with; not ready until `load` has run. `environ` is where providers'
    keys are looked up, by default the process's environment."""

    def __init__(
        self,
        config: GatewayConfig | None = None,
        *,
        engine: Engine | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config or GatewayConfig()
        self.metrics = Metrics()
        self.failure: SluiceError | None = None
        self._environ = environ
        self._engine = engine
        self._gateway: Gateway | None = None

    @property
    def settings(self) -> ServerConfig:
        """The server's section of the configuration."""
        return self.config.server

    @property
    def engine(self) -> Engine:
        """The engine; raises ApiError (503) while the service is not ready."""
        self._check_ready()
        assert self._engine is not None
        return self._engine

    @property
    def gateway(self) -> Gateway:
        """The gateway; raises ApiError (503) while the service is not ready."""
        if self._gateway is None:
            self._check_ready()
        assert self._gateway is not None
        return self._gateway

    @property
    def access(self) -> Access:
        return self.gateway.access

    @property
    def rate_limits(self) -> RateLimits:
        return self.gateway.rate_limits

    @property
    def database(self) -> Database:
        return self.gateway.database

    @property
    def pool(self) -> ModelPool:
        return self.gateway.cascades.pool

    @property
    def cache(self) -> ResponseCache | None:
        return None if self._gateway is None else self._gateway.cache

    @property
    def is_loaded(self) -> bool:
        return self._gateway is not None

    def load(self) -> None:
        """Load the artifact and open the store; a refusal is kept in `failure`. Meant for a worker
        thread."""
        try:
            engine = self._engine or Engine.load(self.settings.models_root)
            _warm_up(engine)
            gateway = build_gateway(self.config, engine, self.metrics, environ=self._environ)
        except SluiceError as exc:
            self.failure = exc
            return
        self.metrics.set_artifact(engine.version)
        self.metrics.watch(metric_sources(gateway))
        self._engine, self._gateway = engine, gateway

    async def keep_up(self, loading: asyncio.Task[None] | None) -> None:
        """Once it is loaded, do what has to be done from time to time; until cancelled."""
        if loading is not None:
            await asyncio.wait({loading})
        days = self.config.store.retention_days
        if self._gateway is None or days is None:
            return
        while True:
            try:
                await prune_outcomes(self._gateway.database, before=time.time() - days * _DAY_S)
            except StoreError as exc:
                _LOG.error("outcomes past their time stay until the next attempt: %s", exc)
            await asyncio.sleep(_PRUNE_EVERY_S)

    async def aclose(self) -> None:
        """Record what is under way and let go of everything."""
        if self._gateway is not None:
            await self._gateway.aclose()

    def _check_ready(self) -> None:
        if self._gateway is None:
            message = "the service could not start" if self.failure else "the service is starting"
            headers = {} if self.failure else {"retry-after": "1"}
            raise ApiError(503, message, code="not_ready", kind="server_error", headers=headers)


def _warm_up(engine: Engine) -> None:
    """Ask once for everything, so that the first request does not pay for what is made lazily."""
    query = Query.from_prompt("What is 17 + 25?")
    engine.route(query)
    engine.validate(query, Draft(text="17 + 25 = 42"), peers=[Draft(text="It is 42.")])


def service_of(request: Request) -> Service:
    """The service that a request was made to."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service
