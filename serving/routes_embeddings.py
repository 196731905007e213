"""POST /v1/embeddings: vectors of texts."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from .gateway.embeddings import EmbeddingsEndpoint
from .gateway.plain_replies import Reply, reply_to
from .openapi import BODY_ERRORS
from .replies import ErrorReply
from .service import service_of

__all__ = ["router"]

router = APIRouter(tags=["gateway"])


class EmbeddingsRequest(BaseModel):
    """OpenAI's request. Other fields are passed on to the provider."""

    model: str = Field(description='One of `embeddings`, or "sluice-encoder".')
    input: str | list[str] | list[int] | list[list[int]] = Field(
        description="A text, texts, or token ids, which only providers take."
    )
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


class EmbeddingReply(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str = Field(description="Numbers, or float32 in base64.")


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsReply(BaseModel):
    """As the provider gives it."""

    object: Literal["list"]
    data: list[EmbeddingReply]
    model: str
    usage: EmbeddingUsage


def _refusals(**said: str) -> dict[int | str, dict[str, Any]]:
    return {
        int(status.removeprefix("on_")): {"model": ErrorReply, "description": description}
        for status, description in said.items()
    }


@router.post(
    "/v1/embeddings",
    summary="Embed texts",
    response_model=EmbeddingsReply,
    responses=BODY_ERRORS
    | _refusals(
        on_401="No key, or one that does not open.",
        on_404="There is no such model for this key.",
        on_429="A budget or a rate limit has no room; Retry-After says when it has.",
        on_502="The provider failed.",
        on_504="The provider did not answer in time.",
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": EmbeddingsRequest.model_json_schema(),
                    "example": {"model": "sluice-encoder", "input": ["What is a sluice?"]},
                }
            },
        }
    },
)
async def embeddings(request: Request) -> Response:
    """Vectors by a configured model of a provider, passed through, or by the artifact's own
    encoder, "sluice-encoder", which costs nothing."""

    async def serve(request_id: str) -> Reply:
        return await EmbeddingsEndpoint(service_of(request)).answer(request, request_id)

    return await reply_to(request, "openai", serve)
