"""Everything the rule checks measure of one draft, measured once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from ...types import Draft, Query
from . import wording
from .arithmetic import find_equations
from .code_blocks import CodeFinding, inspect_code
from .repetition import measure_repetition
from .structured import StructureFinding, check_json, check_tool_calls

__all__ = ["HEAD_CHARS", "RULE_FEATURES", "TAIL_CHARS", "RuleEvidence", "inspect_draft"]

HEAD_CHARS = 1500  # read from the start of a draft
TAIL_CHARS = 1000  # and from its end; what lies between is not read
_FENCE_REACH = 200_000  # characters in which code fences are counted
_TRUNCATED = frozenset({"length", "max_tokens", "MAX_TOKENS", "model_length"})
_FILTERED = frozenset({"content_filter", "content-filter", "SAFETY", "refusal"})
_STEP = re.compile(r"\n[ \t>#*-]{0,6}+(?:step )?\d{1,2}+[.):]")
# Bytes that are part of a number stay, separators inside it vanish, all else parts numbers.
_DIGITS = bytes(byte if 48 <= byte <= 57 else 32 for byte in range(256))


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleEvidence:
    """Numbers about one draft, for features and for readable checks.

    All but `notes` are floats: flags are 0.0 or 1.0, and nan means "nothing to judge". Counts and
    shares are over what was read: the first HEAD_CHARS and the last TAIL_CHARS characters; only
    `n_chars` is of the whole draft. `notes` maps a check's name to its words.
    """

    n_chars: float
    n_words: float
    n_lines: float
    n_sentences: float
    n_numbers: float
    n_steps: float
    refusal: float
    content_filtered: float
    truncated: float
    hedge_per_100_words: float
    dont_know: float
    self_corrections: float
    asks_back: float
    repetition: float
    echo: float
    other_script: float
    n_equations: float
    n_wrong_equations: float
    has_code: float
    code_ok: float
    json_ok: float
    tool_ok: float
    notes: Mapping[str, str] = field(repr=False)

    def numbers(self) -> tuple[float, ...]:
        """The values in the order of RULE_FEATURES."""
        return tuple(getattr(self, name) for name in RULE_FEATURES)


RULE_FEATURES: tuple[str, ...] = tuple(
    one.name for one in fields(RuleEvidence) if one.name != "notes"
)


def inspect_draft(query: Query, draft: Draft) -> RuleEvidence:
    """Measure a draft; pure, never raises on any text, bounded in time whatever its length."""
    text = draft.text
    size = len(text)
    whole = size <= HEAD_CHARS + TAIL_CHARS
    head = text if whole else text[:HEAD_CHARS]
    read = text if whole else f"{head}\n{text[-TAIL_CHARS:]}"
    lower = read.lower()
    chunks = read.replace(". ", "\n").split("\n")
    n_words = read.count(" ") + read.count("\n") + 1 if read and not read.isspace() else 0
    question = query.text if len(query.text) <= HEAD_CHARS else query.text[:HEAD_CHARS]

    notes: dict[str, str] = {}
    refusal = wording.find_refusal(lower)
    dont_know = wording.find_dont_know(lower)
    arithmetic = find_equations(read)
    code = inspect_code(head, whole=whole)
    structure = (
        check_json(query, text) if text or not draft.tool_calls else StructureFinding(ok=None)
    )
    calls = check_tool_calls(query, draft)
    truncated = _find_truncation(draft, code, structure, whole)
    for name, words in (
        ("refusal", refusal),
        ("hedging", dont_know),
        ("truncated", truncated),
        ("arithmetic", arithmetic.example),
        ("code_parses", code.detail),
        ("format_json", structure.detail),
        ("tool_calls", calls.detail),
    ):
        if words:
            notes[name] = words
    return RuleEvidence(
        n_chars=float(size),
        n_words=float(n_words),
        n_lines=float(read.count("\n") + 1 if read else 0),
        n_sentences=float(len(chunks) if n_words else 0),
        n_numbers=float(_count_numbers(read)),
        n_steps=float(len(_STEP.findall("\n" + lower))),
        refusal=float(bool(refusal) or draft.finish_reason == "refusal"),
        content_filtered=float(draft.finish_reason in _FILTERED),
        truncated=float(bool(truncated)),
        hedge_per_100_words=100.0 * wording.count_hedges(lower) / max(1, n_words),
        dont_know=float(bool(dont_know)),
        self_corrections=float(wording.count_self_corrections(lower)),
        asks_back=float(wording.asks_back(read)),
        repetition=measure_repetition(chunks, read),
        echo=float(wording.is_echo(question, head)),
        other_script=_flag(wording.scripts_differ(question, head)),
        n_equations=float(arithmetic.n_equations),
        n_wrong_equations=float(arithmetic.n_wrong),
        has_code=float(code.has_code),
        code_ok=_flag(code.ok),
        json_ok=_flag(structure.ok),
        tool_ok=_flag(calls.ok),
        notes=notes,
    )


def _find_truncation(
    draft: Draft, code: CodeFinding, structure: StructureFinding, whole: bool
) -> str:
    if draft.finish_reason in _TRUNCATED:
        return f"finish_reason is {draft.finish_reason}"
    if structure.unclosed:
        return "the JSON document is not closed"
    closed = code.closed if whole else draft.text.count("```", 0, _FENCE_REACH) % 2 == 0
    return "" if closed else "a code fence is not closed"


def _count_numbers(text: str) -> int:
    plain = text.encode("ascii", "replace").translate(_DIGITS, b",.")
    return len(plain.split())


def _flag(value: bool | None) -> float:
    return math.nan if value is None else float(value)
