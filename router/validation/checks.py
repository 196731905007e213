"""Rule checks on a draft: readable, pure, and cheap enough for every request.

The work is done once, by `inspect_draft`; the checks are rendered from its numbers, and the
features of the learned validator read the same numbers. Of a long draft the first 1,500 and the
last 1,000 characters are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..types import Check, Draft, Query
from .rules.evidence import RULE_FEATURES, RuleEvidence, inspect_draft

__all__ = [
    "CHECK_NAMES",
    "HARD_CHECKS",
    "RULE_FEATURES",
    "Limits",
    "RuleEvidence",
    "check_draft",
    "fails_hard",
    "inspect_draft",
    "most_credible",
    "render_checks",
]

CHECK_NAMES = (
    "empty",
    "length",
    "truncated",
    "content_filter",
    "refusal",
    "hedging",
    "repetition",
    "echo",
    "language",
    "arithmetic",
    "code_parses",
    "format_json",
    "tool_calls",
    "execution",
)
# A draft that fails one of these cannot be the answer, however probable it looks.
HARD_CHECKS = frozenset(
    {"empty", "length", "content_filter", "format_json", "tool_calls", "execution"}
)
# Of recorded drafts with a wrong equation 13 to 25% were right; refusals hardly occur among them.
_CREDIBLE_WITH_WRONG_SUMS = 0.25
_CREDIBLE_REFUSAL = 0.1
# Most drafts pass most checks; nothing is to be said of those beyond their names.
_CLEAN = {name: Check(name=name, passed=True, value=0.0) for name in CHECK_NAMES}
_NO_HEDGING = Check(name="hedging", passed=None, value=0.0)
_LOOPING = 0.5  # share of repeated text above which a draft counts as a degenerate loop


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Lengths in characters that the caller accepts; max_chars None is no limit."""

    min_chars: int = 1
    max_chars: int | None = None


_NO_LIMITS = Limits()


def check_draft(query: Query, draft: Draft, *, limits: Limits | None = None) -> tuple[Check, ...]:
    """All rule checks that apply to `draft`, in the order of CHECK_NAMES.

    Checks without an object (no code, no equations, no JSON asked for, ...) are left out. A check
    whose `passed` is None is a measure, not a test. Never raises, whatever the text.
    """
    return render_checks(inspect_draft(query, draft), query, draft, limits or _NO_LIMITS)


def most_credible(evidence: RuleEvidence, draft: Draft, *, agreed: bool) -> float:
    """The highest probability, 0..1, that the rules leave a draft, whatever else speaks for it.

    0.0 where a hard check fails whatever the caller's limits; little for a refusal, and for wrong
    sums unless an independent draft came to the same answer (`agreed`); else 1.0.
    """
    empty = evidence.n_words == 0 and not draft.tool_calls
    if empty or evidence.content_filtered or evidence.json_ok == 0.0 or evidence.tool_ok == 0.0:
        return 0.0
    if evidence.refusal:
        return _CREDIBLE_REFUSAL
    if evidence.n_wrong_equations and not agreed:
        return _CREDIBLE_WITH_WRONG_SUMS
    return 1.0


def fails_hard(evidence: RuleEvidence, draft: Draft, limits: Limits) -> bool:
    """Whether one of HARD_CHECKS fails, or a check made outside the text: what `render_checks` and
    `draft.checks` say, without a word rendered."""
    empty = evidence.n_words == 0
    if empty and not draft.tool_calls:
        return True
    most = math.inf if limits.max_chars is None else limits.max_chars
    if not (empty or limits.min_chars <= evidence.n_chars <= most):
        return True
    if evidence.content_filtered or evidence.json_ok == 0.0 or evidence.tool_ok == 0.0:
        return True
    return any(check.passed is False for check in draft.checks)


def render_checks(
    evidence: RuleEvidence, query: Query, draft: Draft, limits: Limits
) -> tuple[Check, ...]:
    """The checks that follow from `evidence`, which `inspect_draft(query, draft)` measured."""
    checks = [*_form(evidence, draft, limits), *_wording(evidence)]
    checks.extend(_content(evidence))
    return tuple(checks)


def _form(evidence: RuleEvidence, draft: Draft, limits: Limits) -> list[Check]:
    size = evidence.n_chars
    empty = evidence.n_words == 0 and not draft.tool_calls
    checks = [_test("empty", not empty, size, "the draft says nothing" if empty else "")]
    if not (draft.tool_calls and evidence.n_words == 0):
        detail = ""
        if size < limits.min_chars:
            detail = f"{size:.0f} characters, at least {limits.min_chars} wanted"
        elif limits.max_chars is not None and size > limits.max_chars:
            detail = f"{size:.0f} characters, at most {limits.max_chars} wanted"
        checks.append(_test("length", not detail, size, detail))
    note = evidence.notes.get("truncated", "")
    checks.append(_test("truncated", not evidence.truncated, evidence.truncated, note))
    if evidence.content_filtered:
        detail = f"finish_reason is {draft.finish_reason}"
        checks.append(_test("content_filter", False, 1.0, detail))
    else:
        checks.append(_test("content_filter", True, 0.0, ""))
    return checks


def _wording(evidence: RuleEvidence) -> list[Check]:
    notes = evidence.notes
    refusal = evidence.refusal
    detail = f"opens with: {notes['refusal']}" if "refusal" in notes else ""
    checks = [_test("refusal", not refusal, refusal, detail)]
    unsure, hedges = bool(evidence.dont_know), evidence.hedge_per_100_words
    if unsure:
        detail = f"says: {notes['hedging']}"
        checks.append(Check(name="hedging", passed=False, value=hedges, detail=detail))
    else:
        checks.append(Check(name="hedging", passed=None, value=hedges) if hedges else _NO_HEDGING)
    share = evidence.repetition
    detail = f"{share:.0%} of the text says again what it said" if share >= _LOOPING else ""
    checks.append(_test("repetition", share < _LOOPING, share, detail))
    detail = "the draft only repeats the query" if evidence.echo else ""
    checks.append(_test("echo", not evidence.echo, evidence.echo, detail))
    if evidence.other_script == 1.0:
        detail = "written in another script than the query"
        checks.append(Check(name="language", passed=None, value=1.0, detail=detail))
    return checks


def _content(evidence: RuleEvidence) -> list[Check]:
    notes = evidence.notes
    checks = []
    if evidence.n_equations:
        total, wrong = evidence.n_equations, evidence.n_wrong_equations
        detail = f"{wrong:.0f} of {total:.0f} equations wrong"
        if wrong:
            detail = f"{detail}: {notes['arithmetic']}"
        checks.append(_test("arithmetic", not wrong, wrong / total, detail))
    for name, value in (
        ("code_parses", evidence.code_ok),
        ("format_json", evidence.json_ok),
        ("tool_calls", evidence.tool_ok),
    ):
        if not math.isnan(value):
            checks.append(_test(name, value == 1.0, value, notes.get(name, "")))
        elif name in notes:
            checks.append(Check(name=name, passed=None, detail=notes[name]))
    return checks


def _test(name: str, passed: bool, value: float, detail: str) -> Check:
    if passed and not value and not detail:
        return _CLEAN[name]
    return Check(name=name, passed=passed, value=value, detail=detail)
