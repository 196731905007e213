"""The values that flow through Sluice, from request to verdict. All frozen, all keyword-only.

Units are in the names: `cost_usd` is US dollars, `latency_ms` milliseconds, `p_*` a probability
in 0..1. Texts are as the caller wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .errors import InputError

__all__ = [
    "ROLES",
    "Check",
    "Draft",
    "Embedding",
    "Message",
    "Plan",
    "PlanAction",
    "Prediction",
    "Query",
    "Verdict",
]

Embedding = npt.NDArray[np.float32]
PlanAction = Literal["draft", "consensus", "direct"]
ROLES = ("system", "developer", "user", "assistant", "tool", "function")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a conversation; `content` is its text, non-text parts left out."""

    role: str
    content: str


@dataclass(frozen=True, kw_only=True)
class Query:
    """What the caller asked: the conversation, its tools and its format demands. `tool_choice` is
    in OpenAI's or Anthropic's shape."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    response_format: Mapping[str, Any] | None = None
    tool_choice: str | Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        """The last user message: what the answer must answer."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.content
        return self.messages[-1].content

    @classmethod
    def from_prompt(
        cls,
        prompt: str,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        response_format: Mapping[str, Any] | None = None,
    ) -> Query:
        """A conversation of one user message."""
        if not isinstance(prompt, str):
            found = type(prompt).__name__
            raise InputError(f"'prompt' must be a string, found {found}", param="prompt")
        return cls(
            messages=(Message(role="user", content=prompt),),
            tools=tuple(tools),
            response_format=response_format,
        )

    @classmethod
    def from_messages(
        cls,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        response_format: Mapping[str, Any] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
    ) -> Query:
        """A conversation in the OpenAI or Anthropic message shape.

        Raises InputError naming the field when the list is empty, a role is unknown or a content
        is neither text, a list of parts, nor absent.
        """
        if isinstance(messages, str) or not isinstance(messages, Sequence) or not messages:
            raise InputError("'messages' must be a non-empty list", param="messages")
        parsed = tuple(_message(item, index) for index, item in enumerate(messages))
        return cls(
            messages=parsed,
            tools=tuple(tools),
            response_format=response_format,
            tool_choice=tool_choice,
        )


def _message(item: Any, index: int) -> Message:
    if type(item) is dict and item.get("role") in ROLES and type(item.get("content")) is str:
        return Message(role=item["role"], content=item["content"])  # nearly all are like this
    where = f"messages[{index}]"
    if not isinstance(item, Mapping):
        raise InputError(f"'{where}' must be an object with role and content", param=where)
    role = item.get("role")
    if role not in ROLES:
        raise InputError(f"'{where}.role' must be one of {', '.join(ROLES)}", param=f"{where}.role")
    return Message(role=role, content=_content(item.get("content"), f"{where}.content"))


def _content(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise InputError(f"'{where}' must be a string or a list of parts", param=where)
    texts = []
    for index, part in enumerate(content):
        if isinstance(part, str):
            texts.append(part)
            continue
        if not isinstance(part, Mapping):
            raise InputError(f"'{where}[{index}]' must be an object", param=f"{where}[{index}]")
        text = part.get("text")
        if text is not None and not isinstance(text, str):
            raise InputError(f"'{where}[{index}].text' must be a string", param=where)
        if text:
            texts.append(text)
    return "\n".join(texts)


def _nothing() -> Embedding:
    return np.zeros(0, np.float32)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the artifact expects of a query before any model is called.

    `p_success` and `output_tokens` are per model name; `p_typical` is the chance of a model of
    average ability, which tells how hard the query is; `domains` sums to 1; `embedding` is
    float32 [d] with unit norm, `shape` float32 [n] what the text looks like; `domain` is GENERAL
    when the classifier abstains.
    """

    domain: str
    domain_confidence: float
    domains: Mapping[str, float]
    p_success: Mapping[str, float]
    p_typical: float
    output_tokens: Mapping[str, float]
    input_tokens: float
    embedding: Embedding = field(repr=False, compare=False)
    shape: Embedding = field(repr=False, compare=False, default_factory=_nothing)
    artifact: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which models to ask, in order, and what that is expected to cost and to be worth.

    `draft`: the first model drafts, its draft is checked, the rest are asked as needed.
    `consensus`: the first two draft side by side and their agreement is judged.
    `direct`: straight to the verifier.
    """

    action: PlanAction
    models: tuple[str, ...]
    expected_cost_usd: float
    expected_quality: float


@dataclass(frozen=True, kw_only=True)
class Check:
    """One readable piece of evidence: `passed` is None when it is a measure, not a test."""

    name: str
    passed: bool | None
    value: float | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One model's answer. `logprobs` are natural-log token probabilities, None when not given.

    `tool_calls` are in OpenAI's or Anthropic's shape. `checks` is what was found out about the
    draft outside its text, by running it for instance; a failed one counts against it.
    """

    text: str
    model: str | None = None
    finish_reason: str | None = None
    logprobs: tuple[float, ...] | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a draft may be the answer. `accept` is `p_acceptable >= threshold` and no hard
    check failed."""

    accept: bool
    p_acceptable: float
    threshold: float
    checks: tuple[Check, ...]
