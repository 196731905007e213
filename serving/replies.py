"""What the service answers: the shapes as documented, and JSON written by orjson.

The handlers send plain objects made by `router.engine`; these models describe them in the OpenAPI
document, and the tests hold every answer against them.
"""

from __future__ import annotations

from typing import Any, Literal

import orjson
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "CheckReply",
    "ErrorDetail",
    "ErrorReply",
    "LiveReply",
    "NotReadyReply",
    "OrjsonResponse",
    "PlanReply",
    "ReadyReply",
    "RouteBatchReply",
    "RouteReply",
    "ValidateReply",
]


class OrjsonResponse(Response):
    """A JSON answer; NaN and infinity have no place in JSON, and orjson writes them as null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlanReply(_Reply):
    action: Literal["draft", "consensus", "direct"]
    models: list[str] = Field(description="In the order in which they are asked.")
    expected_cost_usd: float | None = Field(description="Null when a price is not known.")
    expected_quality: float


class RouteReply(_Reply):
    domain: str
    domain_confidence: float = Field(ge=0, le=1)
    domains: dict[str, float]
    p_success: dict[str, float] = Field(description="Per model, the probability of a right answer.")
    plan: PlanReply
    artifact: str
    latency_ms: float


class RouteBatchReply(_Reply):
    results: list[RouteReply] = Field(description="One for each prompt, in their order.")


class CheckReply(_Reply):
    name: str
    passed: bool | None = Field(description="Null: a measure, not a test.")
    value: float | None
    detail: str


class ValidateReply(_Reply):
    accept: bool
    p_acceptable: float = Field(ge=0, le=1)
    threshold: float
    checks: list[CheckReply]
    artifact: str
    latency_ms: float


class LiveReply(_Reply):
    status: Literal["alive"]


class ReadyReply(_Reply):
    status: Literal["ready"]
    artifact: str
    missing: list[str]


class ErrorDetail(_Reply):
    message: str
    type: str
    param: str | None = Field(description='The field at fault, such as "messages[2].content".')
    code: str


class ErrorReply(_Reply):
    error: ErrorDetail


class NotReadyReply(ErrorReply):
    status: Literal["starting", "failed", "draining"]
    artifact: str | None
    missing: list[str]
