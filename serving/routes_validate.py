"""POST /v1/validate: is this draft acceptable?"""

from __future__ import annotations

import asyncio
import time

from fastapi import APIRouter, Request, Response

from router.engine import describe_verdict
from router.types import Verdict

from .bodies import read_model
from .errors import bad_request
from .openapi import BODY_ERRORS, json_body
from .replies import OrjsonResponse, ValidateReply
from .service import Service, service_of
from .wire import ValidateRequest

__all__ = ["router"]

router = APIRouter(tags=["validation"])
_EXAMPLE = {"prompt": "What is 17 + 25?", "draft": "17 + 25 = 42.", "model": "gpt-4o-mini"}
# Up to here a draft is judged in less time than a thread costs; peers may bring mathematics to
# compare, and long texts take their time to read.
_INLINE_CHARS = 20_000


@router.post(
    "/v1/validate",
    summary="Judge a draft",
    response_model=ValidateReply,
    responses=BODY_ERRORS,
    openapi_extra=json_body(ValidateRequest, _EXAMPLE),
)
async def validate(request: Request) -> Response:
    """Accept or reject a draft, with a calibrated probability and the checks behind it."""
    start = time.perf_counter()
    service = service_of(request)
    tenant = await service.access.identify(request.headers)
    await service.rate_limits.admit(tenant)
    wanted = await read_model(request, ValidateRequest, service.settings)
    limit = service.settings.max_peers
    if wanted.peers is not None and len(wanted.peers) > limit:
        message = f"'peers' holds {len(wanted.peers)} drafts, at most {limit} are taken"
        raise bad_request(message, param="peers")
    if wanted.peers or len(wanted.draft) > _INLINE_CHARS:
        verdict = await asyncio.to_thread(_judge, service, wanted)
    else:
        verdict = _judge(service, wanted)
    service.metrics.count_verdict(verdict)
    latency_ms = (time.perf_counter() - start) * 1000
    return OrjsonResponse(
        describe_verdict(verdict, artifact=service.engine.version, latency_ms=latency_ms)
    )


def _judge(service: Service, wanted: ValidateRequest) -> Verdict:
    return service.engine.validate(wanted.query(), wanted.judged(), peers=wanted.peer_drafts())
