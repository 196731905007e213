"""GET /health/live, /health/ready and /metrics: for those who run the service."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from .replies import LiveReply, NotReadyReply, OrjsonResponse, ReadyReply
from .service import service_of

__all__ = ["router"]

router = APIRouter(tags=["operation"])


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
    """200 once the artifact is loaded; until then, or if it cannot be used, 503 saying why."""
    service = service_of(request)
    if service.is_loaded:
        return OrjsonResponse(
            {"status": "ready", "artifact": service.engine.version, "missing": []}
        )
    message = f"not ready: {service.failure or 'the artifact is being loaded'}"
    return OrjsonResponse(
        {
            "error": {
                "message": message,
                "type": "server_error",
                "param": None,
                "code": "not_ready",
            },
            "status": "failed" if service.failure else "starting",
            "artifact": None,
            "missing": ["artifact"],
        },
        status_code=503,
    )


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Requests, latencies, decisions, verdicts, the artifact in use and the process itself."""
    return Response(service_of(request).metrics.render(), media_type=CONTENT_TYPE_LATEST)
