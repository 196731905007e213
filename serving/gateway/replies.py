"""The headers of an answer: who answered, what it cost, what deciding took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from router.records.outcome import Outcome

from .outcomes import Case

__all__ = [
    "Header",
    "describe_costs",
    "id_headers",
    "live_headers",
    "outcome_headers",
    "plain_headers",
]

Header = tuple[bytes, bytes]


def id_headers(request_id: str) -> list[Header]:
    """The request's id, under our name and under those that official clients read."""
    said = request_id.encode()
    return [(b"x-sluice-request-id", said), (b"x-request-id", said), (b"request-id", said)]


def outcome_headers(outcome: Outcome, *, overhead_ms: float) -> list[Header]:
    """What is known of a whole answer before it is sent."""
    return [
        (b"x-sluice-model", _latin(outcome.model or "")),
        (b"x-sluice-domain", _latin(outcome.domain or "")),
        (b"x-sluice-action", _latin(outcome.action or "")),
        (b"x-sluice-artifact", _latin(outcome.artifact or "")),
        *[(name.encode(), value.encode()) for name, value in _costs(outcome, overhead_ms)],
    ]


def live_headers(case: Case, model: str, *, escalated: bool) -> list[Header]:
    """What is known when the first piece of a live answer, `model`'s, goes out; `escalated` says
    whether drafts were rejected before."""
    assert case.run is not None
    decision = case.run.decision
    if case.route.is_bypass:
        action = "bypass"
    elif decision.optimistic and model == decision.chain[0]:
        action = "optimistic"
    else:
        action = "escalated" if escalated else "direct"
    return [
        (b"x-sluice-model", _latin(model)),
        (b"x-sluice-domain", _latin(decision.domain)),
        (b"x-sluice-action", action.encode()),
        (b"x-sluice-artifact", _latin(decision.prediction.artifact)),
    ]


def describe_costs(outcome: Outcome, *, overhead_ms: float) -> dict[str, str]:
    """The same figures for the end of a stream, whose headers were sent before they were known."""
    known = {"model": outcome.model or "", "action": outcome.action or ""}
    return known | {
        name.removeprefix("x-sluice-"): value for name, value in _costs(outcome, overhead_ms)
    }


def plain_headers(headers: Mapping[str, str]) -> list[Header]:
    """Headers as ASGI takes them."""
    return [(name.encode("latin-1"), _latin(value)) for name, value in headers.items()]


def _costs(outcome: Outcome, overhead_ms: float) -> Iterable[tuple[str, str]]:
    if not outcome.unpriced:
        yield "x-sluice-cost-usd", _usd(outcome.cost_nano)
        if outcome.baseline_nano is not None:
            yield "x-sluice-saved-usd", _usd(outcome.baseline_nano - outcome.cost_nano)
    yield "x-sluice-overhead-ms", f"{overhead_ms:.3f}"


def _usd(nano: int) -> str:
    """Exact, as a nano-dollar has nine places."""
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    return f"{sign}{nano // 10**9}.{nano % 10**9:09d}"


def _latin(text: str) -> bytes:
    return text.encode("latin-1", "replace")
