"""GET /v1/models: what may be asked, as OpenAI's clients read it, or Anthropic's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from router.chat import Dialect

from .gateway.model_list import (
    ListedModel,
    anthropic_model,
    anthropic_page,
    find_listed,
    list_models,
    openai_list,
    openai_model,
)
from .gateway.pieces import to_json
from .gateway.plain_replies import Reply, reply_to
from .replies import ErrorReply
from .service import service_of

__all__ = ["router"]

router = APIRouter(tags=["gateway"])

_VERSION_HEADER: Final = "anthropic-version"  # which Anthropic's clients send with everything


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OpenAIModelReply(_Described):
    id: str
    object: Literal["model"]
    created: int = Field(description="0: a gateway does not know.")
    owned_by: str = Field(description='The provider, or "sluice".')


class OpenAIModelsReply(_Described):
    object: Literal["list"]
    data: list[OpenAIModelReply]


class AnthropicModelReply(_Described):
    type: Literal["model"]
    id: str
    display_name: str
    created_at: str
    lifecycle: Literal["active"]
    deprecated_at: None
    retires_at: None
    line: None
    capabilities: None
    max_input_tokens: int | None
    max_tokens: int | None


class AnthropicModelsReply(_Described):
    data: list[AnthropicModelReply]
    has_more: bool
    first_id: str | None
    last_id: str | None


class AnthropicErrorDetail(_Described):
    type: str
    message: str
    param: str | None
    code: str


class AnthropicErrorReply(_Described):
    type: Literal["error"]
    error: AnthropicErrorDetail
    request_id: str | None


def _refusals(**said: str) -> dict[int | str, dict[str, Any]]:
    model = ErrorReply | AnthropicErrorReply
    return {
        int(status.removeprefix("on_")): {"model": model, "description": description}
        for status, description in said.items()
    }


_ERRORS = _refusals(
    on_401="No key, or one that does not open.",
    on_500="A fault of the service.",
    on_503="The service is not ready.",
)
_NAME: Final = {
    "name": "model",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "What a request would give as its model.",
}
_DIALECT: Final = {
    "name": _VERSION_HEADER,
    "in": "header",
    "description": "When it is sent, the answer has Anthropic's shape.",
    "schema": {"type": "string"},
}
_PAGING: Final = [
    {
        "name": "limit",
        "in": "query",
        "description": "Models on a page of Anthropic's list.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20},
    },
    *(
        {
            "name": name,
            "in": "query",
            "description": f"The model {side} which the page of Anthropic's list begins.",
            "schema": {"type": "string"},
        }
        for name, side in (("after_id", "after"), ("before_id", "before"))
    ),
]


@router.get(
    "/v1/models",
    summary="What may be asked",
    response_model=OpenAIModelsReply | AnthropicModelsReply,
    responses=_ERRORS | _refusals(on_400="A page that there is not."),
    openapi_extra={"parameters": [_DIALECT, *_PAGING]},
)
async def models(request: Request) -> Response:
    """Everything that this key may give as `model`: "auto", cascades, models, and those for
    embeddings. In pages only for Anthropic's clients, who ask for them."""

    async def serve(_: str) -> Reply:
        listed = await _listed(request)
        if _dialect(request) == "openai":
            return to_json(openai_list(listed)), ()
        return to_json(anthropic_page(listed, request.query_params)), ()

    return await reply_to(request, _dialect(request), serve)


@router.get(
    "/v1/models/{model:path}",
    summary="Whether a model may be asked",
    response_model=OpenAIModelReply | AnthropicModelReply,
    responses=_ERRORS | _refusals(on_404="There is no such model for this key."),
    openapi_extra={"parameters": [_NAME, _DIALECT]},
)
async def model(request: Request) -> Response:
    """One of the models of the list; their names may have slashes in them."""

    async def serve(_: str) -> Reply:
        found = find_listed(await _listed(request), request.path_params["model"])
        describe = openai_model if _dialect(request) == "openai" else anthropic_model
        return to_json(describe(found)), ()

    return await reply_to(request, _dialect(request), serve)


async def _listed(request: Request) -> Sequence[ListedModel]:
    service = service_of(request)
    return list_models(service.config, await service.access.identify(request.headers))


def _dialect(request: Request) -> Dialect:
    return "anthropic" if _VERSION_HEADER in request.headers else "openai"
