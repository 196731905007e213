"""Logged requests made here: outcomes with their calls and labels, as a gateway would keep them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert

from router.records.outcome import CallRecord, Outcome
from router.records.tables import calls, feedback, outcomes

__all__ = ["NOW", "Logged", "made_up_log", "outcome", "write_log"]

NOW = 1_795_608_000.0  # 2026-11-25, 12:00 UTC
DOMAINS = ("CODE", "MATH", "DATA", "GENERAL", "SUMMARIZATION", "LEGAL")
ACTIONS = ("accepted", "consensus", "escalated", "direct", "bypass", "cached")
DRAFTERS = ("gpt-4o-mini", "gemini-1.5-flash")
VERIFIER = "gpt-4o"
FAILURES = (("upstream_failed", 502), ("upstream_timeout", 504), ("budget_exceeded", 429))


@dataclass(frozen=True, kw_only=True)
class Logged:
    """One request with what hangs on it."""

    outcome: Outcome
    calls: Sequence[CallRecord] = ()
    labels: Sequence[Mapping[str, Any]] = ()


def outcome(request_id: str = "req-1", **changes: Any) -> Outcome:
    """A request whose draft was accepted, with `changes`."""
    usual = Outcome(
        request_id=request_id,
        at=NOW - 60.0,
        key_id="",
        user="",
        cascade="auto",
        requested_model="auto",
        dialect="openai",
        streamed=False,
        status="ok",
        http_status=200,
        action="accepted",
        model="gpt-4o-mini",
        provider="openai",
        domain="MATH",
        domain_confidence=0.9,
        artifact="v1",
        p_success=0.9,
        p_acceptable=0.95,
        input_tokens=40,
        output_tokens=60,
        cost_nano=100_000,
        baseline_nano=1_000_000,
        latency_ms=500.0,
        overhead_ms=1.0,
    )
    return replace(usual, **changes)


def write_log(connection: Connection, log: Iterable[Logged]) -> None:
    """Put requests into the tables."""
    rows: dict[Any, list[dict[str, Any]]] = {outcomes: [], calls: [], feedback: []}
    for one in log:
        request_id, key_id = one.outcome.request_id, one.outcome.key_id
        rows[outcomes].append(asdict(one.outcome))
        rows[calls] += [
            {"request_id": request_id, "n": n, **asdict(call)} for n, call in enumerate(one.calls)
        ]
        usual = {"correct": None, "score": None, "comment": None, "source": "client"}
        rows[feedback] += [
            {"request_id": request_id, "key_id": key_id, "at": one.outcome.at + 5, **usual, **label}
            for label in one.labels
        ]
    for table, found in rows.items():
        if found:
            connection.execute(insert(table), found)


def made_up_log(
    n: int, *, seed: int = 0, days: float = 7.0, now: float = NOW, text: bool = False
) -> Iterator[Logged]:
    """`n` requests of the last `days`, more of them by day, in the order of time."""
    random = np.random.default_rng(seed)
    moments = np.sort(now - days * 86_400.0 * random.random(n))
    for index, at in enumerate(moments.tolist()):
        hour = at % 86_400.0 / 3600.0
        yield _request(random, f"req-{seed}-{index:07d}", at, busy=8 < hour < 20, text=text)


def _request(
    random: np.random.Generator, request_id: str, at: float, *, busy: bool, text: bool
) -> Logged:
    action = str(random.choice(ACTIONS, p=(0.52, 0.14, 0.14, 0.09, 0.05, 0.06)))
    p_success = float(random.beta(9, 2))
    right = bool(random.random() < p_success)
    drafter = str(random.choice(DRAFTERS, p=(0.7, 0.3)))
    drafted = action in ("accepted", "consensus", "escalated")
    model = drafter if action in ("accepted", "consensus", "cached") else VERIFIER
    base = outcome(
        request_id,
        at=at,
        key_id=f"key_{random.integers(3)}",
        user=f"user {random.integers(40)}",
        cascade="" if action == "bypass" else "auto",
        action=action,
        cached="exact" if action == "cached" else None,
        model=model,
        domain=None if action == "bypass" else str(random.choice(DOMAINS)),
        p_success=p_success,
        p_acceptable=min(0.99, p_success + 0.05) if model == drafter and drafted else None,
        predictions=json.dumps({drafter: 0.8, VERIFIER: 0.95}),
        drafts_agree=bool(random.random() < 0.8) if action == "consensus" else None,
        drafts=json.dumps([{"model": drafter, "p_acceptable": 0.7, "output_tokens": 60}])
        if drafted
        else None,
        latency_ms=float(random.lognormal(6.6 + 0.3 * busy, 0.6)),
        overhead_ms=float(random.lognormal(0.1, 0.35)),
        prompt=json.dumps(
            {"messages": [{"role": "user", "content": f"{index_of(request_id)}?"}], "params": {}}
        )
        if text
        else None,
        answer=f"It is {index_of(request_id)}." if text else None,
    )
    spent = _calls(random, base, drafter, drafted=drafted)
    base = replace(
        base,
        cost_nano=sum(call.charged_nano for call in spent),
        unpriced=any(call.cost_nano is None for call in spent),
        baseline_nano=int(random.integers(600_000, 6_000_000)),
    )
    if random.random() < 0.02:
        return Logged(outcome=_failed(random, base), calls=spent)
    labels: list[dict[str, Any]] = []
    if random.random() < 0.15:
        labels.append({"correct": right})
    elif random.random() < 0.05:
        labels.append({"score": round(float(random.random()), 2)})
    return Logged(outcome=base, calls=spent, labels=labels)


def _failed(random: np.random.Generator, base: Outcome) -> Outcome:
    """The same request, had it got no answer."""
    code, status = FAILURES[random.integers(len(FAILURES))]
    unknown = ("action", "cached", "model", "provider", "p_success", "p_acceptable")
    nothing = dict.fromkeys((*unknown, "drafts_agree", "drafts", "baseline_nano", "answer"))
    return replace(base, **nothing, status="failed", http_status=status, error_code=code)


def index_of(request_id: str) -> str:
    """The running number in an id."""
    return request_id.rpartition("-")[2]


def _calls(
    random: np.random.Generator, base: Outcome, drafter: str, *, drafted: bool
) -> list[CallRecord]:
    asked = [drafter] if drafted else []
    if base.model == VERIFIER:
        asked.append(VERIFIER)
    found = []
    for model in asked:
        dear = 10 if model == VERIFIER else 1
        cost = int(random.integers(40_000, 300_000)) * dear
        known = random.random() > 0.01
        found.append(
            CallRecord(
                at=base.at,
                model=model,
                provider="openai",
                cost_nano=cost if known else None,
                charged_nano=cost,
                input_tokens=40,
                output_tokens=60,
                latency_ms=400.0,
            )
        )
    return found
