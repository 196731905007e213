"""The OpenAPI document: bodies are read by hand (`bodies`), so they are described by hand."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from router.records.key_form import KeyChanges, KeyForm

from .feedback_wire import FeedbackRequest
from .gateway.openapi import add_chat_paths
from .replies import ErrorReply
from .wire import RouteRequest, ValidateRequest

__all__ = ["BODY_ERRORS", "install_openapi", "json_body"]

_REF = "#/components/schemas/{model}"
_REQUESTS: tuple[type[BaseModel], ...] = (
    *(RouteRequest, ValidateRequest, FeedbackRequest),
    *(KeyForm, KeyChanges),
)

BODY_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorReply, "description": "A bad request; `param` names the field."},
    401: {"model": ErrorReply, "description": "No key, or one that does not open."},
    408: {"model": ErrorReply, "description": "The body did not arrive in time."},
    413: {"model": ErrorReply, "description": "The body is too large."},
    415: {"model": ErrorReply, "description": "The body is not declared as plain JSON."},
    429: {"model": ErrorReply, "description": "A rate limit is used up; see Retry-After."},
    500: {"model": ErrorReply, "description": "A fault of the service."},
    503: {"model": ErrorReply, "description": "Starting, going down, or the store is away."},
}


def json_body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of an operation that takes `model` as JSON."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def install_openapi(app: FastAPI) -> None:
    """Let the document of `app` define the request models that `json_body` points to."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()  # made once and kept by the application
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        _, definitions = models_json_schema(
            [(model, "validation") for model in _REQUESTS], ref_template=_REF
        )
        schemas.update(definitions["$defs"])
        add_chat_paths(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
