"""POST /v1/feedback: labels for answers, which calibration and training live on."""

from __future__ import annotations

import time
from functools import partial

from fastapi import APIRouter, Request, Response

from router.records.feedback_records import Label, record_label

from .bodies import read_model
from .errors import ApiError
from .feedback_wire import FeedbackReply, FeedbackRequest
from .openapi import BODY_ERRORS, json_body
from .replies import ErrorReply, OrjsonResponse
from .service import service_of
from .store_work import run_in_store

__all__ = ["router"]

router = APIRouter(tags=["gateway"])
_EXAMPLE = {"request_id": "slc_019a0000000000000000000000000000", "correct": True}


@router.post(
    "/v1/feedback",
    summary="Say whether an answer was right",
    status_code=201,
    response_model=FeedbackReply,
    responses={
        **BODY_ERRORS,
        401: {"model": ErrorReply, "description": "No key, or one that does not open."},
        404: {"model": ErrorReply, "description": "This key made no such request."},
    },
    openapi_extra=json_body(FeedbackRequest, _EXAMPLE),
)
async def feedback(request: Request) -> Response:
    """For requests of the same key; the admin may label any. It may follow the answer at once.

    A request may be labelled several times: all is kept, and the newest counts.
    """
    service = service_of(request)
    tenant = await service.access.identify(request.headers)
    await service.rate_limits.admit(tenant)
    said = await read_model(request, FeedbackRequest, service.settings)
    label = Label(
        request_id=said.request_id,
        at=time.time(),
        key_id=tenant.key_id,
        source="admin" if tenant.is_admin else "client",
        correct=said.correct,
        score=said.score,
        comment=said.comment,
    )
    owner = None if tenant.is_admin else tenant.key_id
    n_labels = await run_in_store(service.database, partial(record_label, label=label, owner=owner))
    if n_labels is None:
        message = "'request_id' names no request of this key; it is the x-sluice-request-id"
        raise ApiError(404, message, code="not_found", param="request_id")
    return OrjsonResponse(
        {"request_id": said.request_id, "recorded": True, "labels": n_labels}, status_code=201
    )
