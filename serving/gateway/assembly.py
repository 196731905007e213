"""A gateway from its configuration."""

from __future__ import annotations

from collections.abc import Mapping

from router.engine import Engine
from router.providers.transport import Transport
from router.records.allowances import Allowances
from router.records.database import Database
from router.records.journal import Journal

from ..access.access import Access
from ..access.rate_limits import open_rate_limits
from ..config import GatewayConfig
from ..metrics import Metrics
from ..operations.admission import Admission
from ..operations.request_log import log_request
from ..operations.tracing import Tracing
from ..response_cache import ResponseCache
from ..version import installed_version
from .cascades import Cascades
from .embedding_models import EmbeddingModels
from .gateway import Gateway
from .recorder import Recorder, Sink

__all__ = ["build_gateway"]


def build_gateway(
    config: GatewayConfig,
    engine: Engine,
    metrics: Metrics,
    *,
    environ: Mapping[str, str] | None = None,
) -> Gateway:
    """All parts of a gateway; its store is opened, and made where there is none.

    Raises ConfigError or UsageError for what the configuration says wrongly, StoreError for a
    store that cannot be used.
    """
    transport = Transport()
    cascades = Cascades(config, engine, transport, environ=environ)
    embeddings = EmbeddingModels(config.embeddings, transport, environ=environ)
    rate_limits = open_rate_limits(config.redis)
    cache = ResponseCache.from_config(config)
    database = Database.open(config.store.url)
    journal = Journal(database)
    tracing = _open_tracing(config)
    sinks: list[Sink] = []
    if config.server.log_requests:
        sinks.append(log_request)
    if tracing is not None:
        sinks.append(tracing.record)
    limits = config.limits
    return Gateway(
        config=config,
        database=database,
        journal=journal,
        allowances=Allowances(journal),
        access=Access(config.auth, database),
        rate_limits=rate_limits,
        admission=Admission(
            max_concurrency=limits.max_concurrency,
            max_queue=limits.max_queue,
            queue_timeout_s=limits.queue_timeout_s,
        ),
        cascades=cascades,
        embeddings=embeddings,
        transport=transport,
        recorder=Recorder(journal=journal, metrics=metrics, sinks=tuple(sinks)),
        cache=cache,
        tracing=tracing,
    )


def _open_tracing(config: GatewayConfig) -> Tracing | None:
    wanted = config.tracing
    if wanted is None:
        return None
    return Tracing(wanted.endpoint, service_name=wanted.service_name, version=installed_version())
