"""What the service takes: strict request models. Unknown fields and wrong types are refused.

`null` stands for "not given" everywhere, as clients with optional parameters send it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from router.errors import InputError
from router.types import Draft, Query

__all__ = ["PeerIn", "RouteRequest", "ValidateRequest"]

ModelName = Annotated[str, Field(min_length=1, max_length=200)]
Objects = list[dict[str, Any]]
_MAX_MODELS = 256

_Messages = Annotated[
    Objects | None,
    Field(min_length=1, description="A conversation in OpenAI's or Anthropic's message shape."),
]
_Tools = Annotated[Objects | None, Field(description="Tool definitions, as providers take them.")]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class RouteRequest(_Wire):
    """One of `prompt`, `messages` and `prompts`, and what to choose from."""

    prompt: Annotated[str | None, Field(description="One user message.")] = None
    messages: _Messages = None
    prompts: Annotated[
        list[str] | None, Field(min_length=1, description="A batch; each is routed by itself.")
    ] = None
    models: Annotated[
        list[ModelName] | None,
        Field(
            min_length=1,
            max_length=_MAX_MODELS,
            description="Models to choose from; unknown names start from a prior.",
        ),
    ] = None
    tools: _Tools = None
    target_quality: Annotated[
        float | None, Field(ge=0, le=1, description="Share of the verifier's quality to keep.")
    ] = None

    @model_validator(mode="after")
    def _check(self) -> RouteRequest:
        _one_of(prompt=self.prompt, messages=self.messages, prompts=self.prompts)
        _not_blank("prompt", self.prompt)
        for index, prompt in enumerate(self.prompts or ()):
            _not_blank(f"prompts[{index}]", prompt)
        _no_repeats("models", self.models or ())
        return self

    def queries(self) -> list[Query]:
        """The queries to route, in order; raises InputError on a malformed message."""
        tools = tuple(self.tools or ())
        if self.prompts is not None:
            return [Query.from_prompt(prompt, tools=tools) for prompt in self.prompts]
        return [_query(self.prompt, self.messages, tools, None)]


class PeerIn(_Wire):
    """Another model's draft of the same prompt; a bare string is a draft of an unnamed model."""

    model_config = ConfigDict(json_schema_extra={"type": ["object", "string"]})

    draft: str
    model: ModelName | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"draft": value} if isinstance(value, str) else value


def _token_logprob(value: Any) -> Any:
    """A number, also out of OpenAI's {"token", "logprob", ...}."""
    return value.get("logprob") if isinstance(value, dict) else value


def _token_list(value: Any) -> Any:
    """A list, also out of OpenAI's {"content": [...]}."""
    return value.get("content") if isinstance(value, dict) else value


_LogProb = Annotated[float, Field(le=0), BeforeValidator(_token_logprob)]


class ValidateRequest(_Wire):
    """A query and a draft of its answer, with all that is known of the draft."""

    prompt: Annotated[str | None, Field(description="One user message.")] = None
    messages: _Messages = None
    draft: Annotated[str, Field(description="The answer to judge; an empty one is rejected.")]
    model: Annotated[ModelName | None, Field(description="The model that wrote the draft.")] = None
    peers: Annotated[
        list[PeerIn] | None, Field(description="Other models' drafts of the same query.")
    ] = None
    logprobs: Annotated[
        list[_LogProb] | None,
        BeforeValidator(_token_list),
        Field(description="Natural log-probabilities of the draft's tokens, or OpenAI's list."),
    ] = None
    response_format: Annotated[
        dict[str, Any] | None, Field(description="As in a chat completion: JSON or JSON schema.")
    ] = None
    tools: _Tools = None
    tool_calls: Annotated[Objects | None, Field(description="Tool calls of the draft.")] = None
    finish_reason: Annotated[str | None, Field(max_length=64)] = None

    @model_validator(mode="after")
    def _check(self) -> ValidateRequest:
        _one_of(prompt=self.prompt, messages=self.messages)
        _not_blank("prompt", self.prompt)
        return self

    def query(self) -> Query:
        """The query; raises InputError on a malformed message."""
        return _query(self.prompt, self.messages, tuple(self.tools or ()), self.response_format)

    def judged(self) -> Draft:
        """The draft to judge."""
        return Draft(
            text=self.draft,
            model=self.model,
            finish_reason=self.finish_reason,
            logprobs=tuple(self.logprobs) if self.logprobs else None,
            tool_calls=tuple(self.tool_calls or ()),
        )

    def peer_drafts(self) -> tuple[Draft, ...]:
        """The other drafts, in the caller's order."""
        return tuple(Draft(text=peer.draft, model=peer.model) for peer in self.peers or ())


def _query(
    prompt: str | None,
    messages: Objects | None,
    tools: tuple[dict[str, Any], ...],
    response_format: dict[str, Any] | None,
) -> Query:
    if messages is None:
        return Query.from_prompt(prompt or "", tools=tools, response_format=response_format)
    query = Query.from_messages(messages, tools=tools, response_format=response_format)
    # An image without words is a query too: parts that are not text count as something said.
    if not any(message.content.strip() for message in query.messages) and not any(
        isinstance(message.get("content"), list) and message["content"] for message in messages
    ):
        raise InputError("'messages' say nothing", param="messages")
    return query


def _one_of(**fields: object) -> None:
    """Refuse unless exactly one of `fields` was given."""
    given = [name for name, value in fields.items() if value is not None]
    names = " or ".join(f"'{name}'" for name in fields)
    if not given:
        raise _fault("missing_field", f"give {names}", next(iter(fields)))
    if len(given) > 1:
        raise _fault("invalid_value", f"give only one of {names}", given[1])


def _not_blank(param: str, text: str | None) -> None:
    if text is not None and not text.strip():
        raise _fault("invalid_value", f"'{param}' is empty", param)


def _no_repeats(param: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            where = f"{param}[{index}]"
            raise _fault("invalid_value", f"'{where}' is named twice", where)
        seen.add(name)


def _fault(code: str, message: str, param: str) -> PydanticCustomError:
    # The message goes in as context: pydantic would take braces in it for placeholders.
    return PydanticCustomError(code, "{said}", {"said": message, "param": param})
