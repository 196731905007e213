"""GET /health/live, /health/ready and /metrics: for those who run the service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import Connection, select

from router.errors import StoreError
from router.records.tables import outcomes

from .replies import ErrorReply, LiveReply, NotReadyReply, OrjsonResponse, ReadyReply
from .service import service_of

__all__ = ["router"]

router = APIRouter(tags=["operation"])
_LOG = logging.getLogger("sluice.serving")
_STORE_WITHIN_S: Final = 5.0


@router.get("/health/live", summary="Is the process alive?", response_model=LiveReply)
async def live(request: Request) -> Response:
    """200 as soon as the process answers at all."""
    return OrjsonResponse({"status": "alive"})


@router.get(
    "/health/ready",
    summary="Can it route?",
    response_model=ReadyReply,
    responses={503: {"model": NotReadyReply, "description": "Not yet, or not at all."}},
)
async def ready(request: Request) -> Response:
    """200 while it takes requests; 503 before, when it goes down, and while artifact or store
    cannot be used, saying which."""
    service = service_of(request)
    if getattr(request.app.state, "draining", False):
        return _not_ready("draining", "the service is going down")
    if service.failure is not None:
        return _not_ready("failed", str(service.failure), missing=["artifact"])
    if not service.is_loaded:
        return _not_ready("starting", "the artifact is being loaded", missing=["artifact"])
    version = service.engine.version
    try:
        async with asyncio.timeout(_STORE_WITHIN_S):
            await service.database.run(_look)
    except (StoreError, TimeoutError) as exc:
        _LOG.error("the store cannot be used: %s", str(exc) or "no answer in time")
        said = "the store cannot be used; the log says why"  # not to strangers
        return _not_ready("failed", said, missing=["store"], artifact=version)
    return OrjsonResponse({"status": "ready", "artifact": version, "missing": []})


def _look(connection: Connection) -> None:
    connection.execute(select(outcomes.c.id).limit(1))


def _not_ready(
    status: str, said: str, *, missing: Sequence[str] = (), artifact: str | None = None
) -> Response:
    error = {
        "message": f"not ready: {said}",
        "type": "server_error",
        "param": None,
        "code": "not_ready",
    }
    content = {"error": error, "status": status, "artifact": artifact, "missing": missing}
    return OrjsonResponse(content, status_code=503)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        401: {"model": ErrorReply, "description": "No key, where keys are wanted."},
        403: {"model": ErrorReply, "description": "Not the admin key."},
        503: {"model": ErrorReply, "description": "Not ready."},
    },
)
async def metrics(request: Request) -> Response:
    """Requests, latencies, costs, decisions and verdicts, budgets and calibration, the artifact in
    use and the process itself. With keys it is for the admin, unless it is public."""
    service = service_of(request)
    if service.config.auth.mode == "keys" and not service.config.metrics.public:
        await service.access.identify_admin(request.headers)
    return Response(await service.metrics.scrape(), media_type=CONTENT_TYPE_LATEST)
