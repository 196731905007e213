"""POST /v1/route: predict and plan, for one query or a batch."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fastapi import APIRouter, Request, Response

from router.engine import describe_route
from router.types import Query

from .bodies import read_model
from .errors import bad_request
from .openapi import BODY_ERRORS, json_body
from .replies import OrjsonResponse, RouteBatchReply, RouteReply
from .service import Service, service_of
from .wire import RouteRequest

__all__ = ["router"]

router = APIRouter(tags=["routing"])
_EXAMPLE = {"prompt": "What is the capital of France?"}


@router.post(
    "/v1/route",
    summary="Predict and plan",
    response_model=RouteReply | RouteBatchReply,
    responses=BODY_ERRORS,
    openapi_extra=json_body(RouteRequest, _EXAMPLE),
)
async def route(request: Request) -> Response:
    """Domain, each model's probability of success and the cheapest plan, for a query or several.

    One query costs some tenths of a millisecond: less than handing it to a thread, so it is
    answered in the event loop. A batch goes to a thread.
    """
    start = time.perf_counter()
    service = service_of(request)
    tenant = await service.access.identify(request.headers)
    await service.rate_limits.admit(tenant)
    wanted = await read_model(request, RouteRequest, service.settings)
    if wanted.prompts is None:
        [reply] = _plan(service, wanted, wanted.queries(), start)
        return OrjsonResponse(reply)
    limit = service.settings.max_batch
    if len(wanted.prompts) > limit:
        message = f"'prompts' holds {len(wanted.prompts)} prompts, at most {limit} are taken"
        raise bad_request(message, param="prompts", code="batch_too_large")
    replies = await asyncio.to_thread(_plan, service, wanted, wanted.queries(), start)
    return OrjsonResponse({"results": replies})


def _plan(
    service: Service, wanted: RouteRequest, queries: list[Query], start: float
) -> list[dict[str, Any]]:
    """The replies to `queries`; `latency_ms` is from the request's head to here, for each."""
    engine = service.engine
    if len(queries) == 1:
        results = [
            engine.route(queries[0], models=wanted.models, target_quality=wanted.target_quality)
        ]
    else:
        results = engine.route_many(
            queries, models=wanted.models, target_quality=wanted.target_quality
        )
    latency_ms = (time.perf_counter() - start) * 1000
    for result in results:
        service.metrics.count_decision(result.prediction, result.plan)
    return [describe_route(result, latency_ms=latency_ms) for result in results]
