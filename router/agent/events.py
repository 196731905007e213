"""What happens while an answer is made, as `CascadeAgent.stream` tells it. Every event has a
`type` and a `content`, which is empty but for chunks, so that joining the contents gives the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..chat import Delta, Usage
from ..errors import SluiceError
from ..types import Plan, Prediction, Verdict
from .results import RunResult

__all__ = [
    "ChunkEvent",
    "DoneEvent",
    "ErrorEvent",
    "EscalationEvent",
    "RoutingEvent",
    "StreamEvent",
    "UsageEvent",
    "VerdictEvent",
]


@dataclass(frozen=True, kw_only=True)
class _Event:
    content: str = ""


@dataclass(frozen=True, kw_only=True)
class RoutingEvent(_Event):
    """Before any call: what is expected and planned."""

    type: Literal["routing"] = "routing"
    domain: str
    plan: Plan
    prediction: Prediction = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ChunkEvent(_Event):
    """A piece of the answer. All chunks of a stream are one model's. `tool_calls` are OpenAI's
    deltas; `delta` is the provider's own piece when it is passed on as it comes."""

    type: Literal["chunk"] = "chunk"
    model: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    delta: Delta | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class VerdictEvent(_Event):
    """A draft was judged; again, with its peers in mind, when further drafts came."""

    type: Literal["verdict"] = "verdict"
    model: str
    verdict: Verdict = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class EscalationEvent(_Event):
    """The verifier is asked: no draft was good enough."""

    type: Literal["escalation"] = "escalation"
    model: str


@dataclass(frozen=True, kw_only=True)
class UsageEvent(_Event):
    """One call is paid for. `cost_usd` is None when usage or price is unknown."""

    type: Literal["usage"] = "usage"
    model: str
    usage: Usage | None
    cost_usd: float | None


@dataclass(frozen=True, kw_only=True)
class DoneEvent(_Event):
    """The last event of a stream that succeeded."""

    type: Literal["done"] = "done"
    result: RunResult


@dataclass(frozen=True, kw_only=True)
class ErrorEvent(_Event):
    """The last event of a stream that failed; the error is raised right after it."""

    type: Literal["error"] = "error"
    error: SluiceError


StreamEvent = (
    RoutingEvent | ChunkEvent | VerdictEvent | EscalationEvent | UsageEvent | DoneEvent | ErrorEvent
)
