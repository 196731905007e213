"""/admin/...: keys, budgets and the pool of models, for who has the admin key."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from router.errors import StoreError
from router.records.key_form import KeyChanges, KeyForm
from router.records.key_records import (
    MAX_LISTED,
    KeyRecord,
    create_key,
    find_key,
    list_keys,
    revoke_key,
    update_key,
)

from .access.replies import (
    BudgetsReply,
    KeyListReply,
    KeyReply,
    NewKeyReply,
    PoolReply,
    describe_key,
    describe_member,
)
from .access.spending import read_budgets
from .bodies import read_model
from .errors import ApiError, bad_request
from .openapi import BODY_ERRORS, json_body
from .refusals import parse
from .replies import ErrorReply, OrjsonResponse
from .service import service_of
from .store_work import run_in_store

__all__ = ["router"]

_LOG = logging.getLogger("sluice.serving")
_Found = TypeVar("_Found")

_NO_STORE: Final = {"cache-control": "no-store"}
_EXAMPLE: Final = {
    "name": "search team",
    "cascades": ["auto"],
    "daily_limit": 20,
    "requests_per_minute": 600,
    "metadata": {"team": "search"},
}
_KEY_ID: Final = {
    "name": "key_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "The id of a key, which is not the key.",
}
_Responses = dict[int | str, dict[str, Any]]
_ERRORS: Final[_Responses] = {
    401: {"model": ErrorReply, "description": "No key, or one that does not open."},
    403: {"model": ErrorReply, "description": "A tenant's key, or there is no admin key."},
    500: {"model": ErrorReply, "description": "A fault of the service."},
    503: {"model": ErrorReply, "description": "Not ready, or the database is away."},
}
_UNKNOWN: Final[_Responses] = {404: {"model": ErrorReply, "description": "There is no such key."}}
_REVOKED: Final[_Responses] = {409: {"model": ErrorReply, "description": "The key is revoked."}}
_BAD_QUERY: Final[_Responses] = {400: BODY_ERRORS[400]}


class _Page(BaseModel):
    """Which keys to list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=MAX_LISTED, description="At most so many.")] = 100
    after: Annotated[
        str | None, Field(max_length=64, description="The id of the last key seen.")
    ] = None


async def _admin_only(request: Request) -> None:
    await service_of(request).access.identify_admin(request.headers)


# Guarded as a whole, so that no route can be forgotten.
router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(_admin_only)])


@router.post(
    "/keys",
    summary="Make a key",
    status_code=201,
    response_model=NewKeyReply,
    responses={**BODY_ERRORS, **_ERRORS},
    openapi_extra=json_body(KeyForm, _EXAMPLE),
)
async def make_key(request: Request) -> Response:
    """The answer holds the key itself; nothing can tell it again."""
    form = await read_model(request, KeyForm, service_of(request).settings)
    now = time.time()
    record, key = await _run(request, partial(create_key, form=form, now=now))
    _LOG.info("key %s was made", record.id)
    return _reply({**describe_key(record, now=now), "key": key}, status_code=201)


@router.get(
    "/keys",
    summary="List keys",
    response_model=KeyListReply,
    responses={**_BAD_QUERY, **_ERRORS},
    openapi_extra={
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "schema": schema,
            }
            for name, schema in _Page.model_json_schema()["properties"].items()
        ]
    },
)
async def list_all(request: Request) -> Response:
    """The oldest first, revoked and expired ones too."""
    page = parse(_Page, dict(request.query_params))
    found = await _run(request, partial(list_keys, limit=page.limit + 1, after=page.after))
    now = time.time()
    listed = [describe_key(record, now=now) for record in found[: page.limit]]
    return _reply({"data": listed, "has_more": len(found) > page.limit})


@router.get(
    "/keys/{key_id}",
    summary="Look at a key",
    response_model=KeyReply,
    responses={**_UNKNOWN, **_ERRORS},
    openapi_extra={"parameters": [_KEY_ID]},
)
async def show_key(request: Request) -> Response:
    """What it allows, and whether it still opens."""
    record = await _run(request, partial(find_key, key_id=_key_id(request)))
    return _reply(describe_key(_known(record), now=time.time()))


@router.patch(
    "/keys/{key_id}",
    summary="Change a key",
    response_model=KeyReply,
    responses={**BODY_ERRORS, **_UNKNOWN, **_REVOKED, **_ERRORS},
    openapi_extra={
        "parameters": [_KEY_ID],
        **json_body(KeyChanges, {"daily_limit": 50, "monthly_limit": None}),
    },
)
async def change_key(request: Request) -> Response:
    """Only what is given is changed; null takes a limit away. In force within a second."""
    changes = await read_model(request, KeyChanges, service_of(request).settings)
    if not changes.given:
        raise bad_request("the body changes nothing; give at least one field")
    key_id, now = _key_id(request), time.time()
    record = _known(
        await _run(request, partial(update_key, key_id=key_id, changes=changes, now=now))
    )
    if record.revoked_at is not None:
        message = "the key is revoked for good; make another one"
        raise ApiError(409, message, code="key_revoked")
    _LOG.info("key %s was changed", record.id)
    return _reply(describe_key(record, now=now))


@router.delete(
    "/keys/{key_id}",
    summary="Revoke a key",
    response_model=KeyReply,
    responses={**_UNKNOWN, **_ERRORS},
    openapi_extra={"parameters": [_KEY_ID]},
)
async def revoke(request: Request) -> Response:
    """Every replica refuses it within a second. The key stays listed, as its outcomes do."""
    now = time.time()
    record = _known(await _run(request, partial(revoke_key, key_id=_key_id(request), now=now)))
    _LOG.info("key %s was revoked", record.id)
    cache = service_of(request).cache
    if cache is not None:
        try:
            await cache.forget(record.id)
        except StoreError as exc:  # nobody can reach them any more: time will drop them
            _LOG.warning("answers cached for key %s stay until they expire: %s", record.id, exc)
    return _reply(describe_key(record, now=now))


@router.get(
    "/budgets",
    summary="What is spent",
    response_model=BudgetsReply,
    responses=_ERRORS,
)
async def show_budgets(request: Request) -> Response:
    """Limits and spending of the current day and month (UTC): the gateway's, each key's, and those
    of the users who spent the most."""
    budget = service_of(request).config.budget
    return _reply(await _run(request, partial(read_budgets, budget=budget, now=time.time())))


@router.get(
    "/models",
    summary="The pool of models",
    response_model=PoolReply,
    responses=_ERRORS,
)
async def show_models(request: Request) -> Response:
    """Where each model is asked and whether that answers, what it costs, and how well it is
    known."""
    service, now = service_of(request), time.monotonic()
    return _reply(
        {
            "data": [
                describe_member(member, n_labels=service.engine.labels(member.name), now=now)
                for member in service.pool.members
            ]
        }
    )


async def _run(request: Request, work: Callable[[Connection], _Found]) -> _Found:
    return await run_in_store(service_of(request).database, work)


def _reply(content: dict[str, Any], *, status_code: int = 200) -> Response:
    return OrjsonResponse(content, status_code=status_code, headers=_NO_STORE)


def _key_id(request: Request) -> str:
    key_id: str = request.path_params["key_id"]
    return key_id


def _known(record: KeyRecord | None) -> KeyRecord:
    if record is None:
        # The id is not repeated: somebody may have put a whole key there.
        raise ApiError(
            404, "there is no key of this id; GET /admin/keys lists them", code="not_found"
        )
    return record
