"""What a run gives back: the answer, how it came about, what it cost and would have cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..cascade import CascadeAction
from ..chat import Attempt, Completion, Usage
from ..types import Plan, Prediction, Verdict

__all__ = ["RunResult"]


@dataclass(frozen=True, kw_only=True, repr=False)
class RunResult:
    """One answered query.

    `completion` is the answer as the model gave it, `drafts` all drafts made (the answer among
    them when one was accepted), `verdicts` what was thought of each at last and `calls` every call
    that brought an answer and is paid for. `total_cost` is in
    USD and counts drafts and all; it is None when a price or a usage is unknown, and `warnings`
    says which. `verifier_cost` is what the verifier alone would have cost: its own call where it
    was made, else the answer's tokens at its price. `first_token_ms` is the time to the first
    piece that a streaming caller got; `overhead_ms` what of `latency_ms` was not spent waiting for
    models. `attempts` are all HTTP calls, failed ones too.
    """

    request_id: str
    completion: Completion = field(repr=False)
    action: CascadeAction
    domain: str
    plan: Plan
    prediction: Prediction = field(repr=False)
    drafts: tuple[Completion, ...] = field(repr=False)
    calls: tuple[Completion, ...] = field(repr=False)
    verdicts: tuple[Verdict, ...] = field(repr=False)
    total_cost: float | None
    verifier_cost: float | None
    latency_ms: float
    overhead_ms: float
    first_token_ms: float | None = None
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The text of the answer; empty when it only calls tools."""
        return self.completion.text

    @property
    def model_used(self) -> str:
        """The model whose answer this is."""
        return self.completion.model or ""

    @property
    def tool_calls(self) -> tuple[Mapping[str, Any], ...]:
        """The answer's tool calls, in OpenAI's shape."""
        return self.completion.tool_calls

    @property
    def message(self) -> Mapping[str, Any]:
        """The assistant's message, in OpenAI's shape, to be put into the next turn."""
        message: Mapping[str, Any] = self.completion.reply["choices"][0]["message"]
        return message

    @property
    def finish_reason(self) -> str | None:
        return self.completion.finish_reason

    @property
    def usage(self) -> Usage | None:
        """The tokens of the answering call alone."""
        return self.completion.usage

    @property
    def draft_accepted(self) -> bool:
        """Whether a draft is the answer and was found good enough to be: before it was passed on,
        or, when it was passed on optimistically, afterwards."""
        if self.action == "optimistic":
            return all(verdict.accept for verdict in self.verdicts)
        return self.action in ("accepted", "consensus")

    @property
    def drafts_agree(self) -> bool | None:
        """Whether there were drafts that say the same as the answer or as each other; None with
        fewer than two drafts."""
        if len(self.drafts) < 2:
            return None
        checks = [check for verdict in self.verdicts for check in verdict.checks]
        return any(check.name == "agreement" and check.passed for check in checks)

    @property
    def cost_savings_pct(self) -> float | None:
        """Percent saved against the verifier alone; negative when drafts were paid for nothing."""
        if self.total_cost is None or not self.verifier_cost:
            return None
        return round(100.0 * (1.0 - self.total_cost / self.verifier_cost), 6)

    def __repr__(self) -> str:
        """Who answered and what it cost; not what was asked or said."""
        return (
            f"RunResult(request_id={self.request_id!r}, model_used={self.model_used!r}, "
            f"action={self.action!r}, domain={self.domain!r}, total_cost={self.total_cost}, "
            f"cost_savings_pct={self.cost_savings_pct}, latency_ms={self.latency_ms:.1f})"
        )

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values: the answer, how it came about and what it cost."""
        return {
            "request_id": self.request_id,
            "content": self.content,
            "tool_calls": [dict(call) for call in self.tool_calls],
            "finish_reason": self.finish_reason,
            "model_used": self.model_used,
            "action": self.action,
            "draft_accepted": self.draft_accepted,
            "domain": self.domain,
            "usage": None if self.usage is None else asdict(self.usage),
            "total_cost": self.total_cost,
            "verifier_cost": self.verifier_cost,
            "cost_savings_pct": self.cost_savings_pct,
            "latency_ms": self.latency_ms,
            "overhead_ms": self.overhead_ms,
            "first_token_ms": self.first_token_ms,
            "warnings": list(self.warnings),
        }

    def to_openai(self) -> dict[str, Any]:
        """The answer as OpenAI's chat.completion."""
        return dict(self.completion.reply)

    def to_anthropic(self) -> dict[str, Any]:
        """The answer as Anthropic's message."""
        if self.completion.native is not None:
            return dict(self.completion.native)
        from ..providers.translate.reply import anthropic_reply

        return anthropic_reply(self.completion.reply)
