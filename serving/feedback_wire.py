"""What /v1/feedback takes and answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

__all__ = ["FeedbackReply", "FeedbackRequest"]


class FeedbackRequest(BaseModel):
    """Whether an answer was right: `correct`, `score` or both."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    request_id: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="The answer's x-sluice-request-id.",
        ),
    ]
    correct: Annotated[bool | None, Field(description="Whether the answer was right.")] = None
    score: Annotated[float | None, Field(ge=0, le=1, description="How good the answer was.")] = None
    comment: Annotated[str | None, Field(max_length=2000, description="Kept beside the label.")] = (
        None
    )

    @model_validator(mode="after")
    def _says_something(self) -> FeedbackRequest:
        if self.correct is None and self.score is None:
            context = {"said": "give 'correct' or 'score'", "param": "correct"}
            raise PydanticCustomError("missing_field", "{said}", context)
        return self


class FeedbackReply(BaseModel):
    """What was kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request_id: str
    recorded: Literal[True]
    labels: int = Field(description="How many the request has now; the newest counts.")
