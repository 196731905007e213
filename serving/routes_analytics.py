"""GET /v1/analytics: what was asked, paid and saved, and how far predictions can be believed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from fastapi import APIRouter, Request, Response

from router.records.report_slices import bucket_starts
from router.records.reports import describe_report, make_report
from router.records.scope import Scope

from .access.tenants import Tenant
from .analytics_wire import (
    ANALYTICS_PARAMETERS,
    AnalyticsQuery,
    AnalyticsReply,
    read_analytics_query,
)
from .errors import ApiError
from .replies import ErrorReply, OrjsonResponse
from .service import service_of
from .store_work import run_in_store

__all__ = ["router"]

_AT_ONCE: Final = 2  # reports that the store works on
_PER_TENANT: Final = 16  # reports of one tenant under way, those that wait counted

router = APIRouter(tags=["gateway"])


@router.get(
    "/v1/analytics",
    summary="Figures of the logged requests",
    response_model=AnalyticsReply,
    responses={
        400: {"model": ErrorReply, "description": "A bad parameter; `param` names it."},
        401: {"model": ErrorReply, "description": "No key, or one that does not open."},
        403: {"model": ErrorReply, "description": "Another key's figures, without the admin key."},
        429: {"model": ErrorReply, "description": "Too many reports of this key at once."},
        500: {"model": ErrorReply, "description": "A fault of the service."},
        503: {"model": ErrorReply, "description": "Not ready, or the store is away."},
    },
    openapi_extra={"parameters": ANALYTICS_PARAMETERS},
)
async def analytics(request: Request) -> Response:
    """A key sees its own requests alone, the admin everybody's.

    Without buckets or groups there is one row, with buckets one for each, with groups as well one
    for each of both in which there were requests.
    """
    service = service_of(request)
    tenant = await service.access.identify(request.headers)
    query = read_analytics_query(request.query_params.multi_items(), now=time.time())
    scope = _scope(query, tenant)
    bucket_starts(scope, query.bucket)  # refused before it waits for its turn
    work = partial(make_report, scope=scope, bucket=query.bucket, group_by=query.group_by)
    async with _queue(request).turn(tenant.key_id):
        report = await run_in_store(service.database, work)
    return OrjsonResponse(describe_report(report), headers={"cache-control": "no-store"})


def _scope(query: AnalyticsQuery, tenant: Tenant) -> Scope:
    """What the tenant may see of what it asks for."""
    key_id = query.key
    if not tenant.is_admin:
        if key_id not in (None, tenant.key_id):
            message = "'key' is for the admin; a key sees its own figures"
            raise ApiError(403, message, code="not_admin", param="key", kind="permission_error")
        key_id = tenant.key_id
    return Scope(from_at=query.from_at, to_at=query.to_at, key_id=key_id)


class _Queue:
    """Reports wait here for their turn, since each may keep the store busy for seconds.

    One of a tenant at a time, and tenants take turns, so that none crowds out the others.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._tenants: dict[str, asyncio.Lock] = {}
        self._under_way: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, key_id: str) -> AsyncIterator[None]:
        """Wait for a turn; ApiError (429) when the tenant has too many under way."""
        if self._under_way[key_id] >= _PER_TENANT:
            message = f"{_PER_TENANT} reports of this key are under way; wait for them"
            headers = {"retry-after": "1"}
            raise ApiError(
                429, message, code="rate_limit_exceeded", kind="rate_limit_error", headers=headers
            )
        self._under_way[key_id] += 1
        try:
            async with self._tenants.setdefault(key_id, asyncio.Lock()), self._turns:
                yield
        finally:
            self._under_way[key_id] -= 1
            if not self._under_way[key_id]:
                del self._under_way[key_id], self._tenants[key_id]


def _queue(request: Request) -> _Queue:
    """The application's one queue."""
    state = request.app.state
    if not hasattr(state, "report_queue"):
        state.report_queue = _Queue()
    queue: _Queue = state.report_queue
    return queue
