"""Do two drafts say the same? Final answers are compared by kind; meaning decides elsewhere.

Agreement of two independent cheap drafts is the strongest evidence there is that a draft is right.
Pure and bounded in time: mathematical equivalence is bounded by construction (expressions.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from .answers import FinalAnswer
from .expressions import equivalent

__all__ = ["Agreement", "compare_answers"]

_MATHEMATICAL = frozenset({"number", "expression", "literal", "text"})
_QUOTES = "'\"` "


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two final answers are the same.

    `same`: the answers agree for all we can tell. `exact`: their normal forms are equal.
    `equivalent`: the verdict of mathematical equivalence, None when it was not asked or undecided.
    `overlap`: share of words in common, 0..1; what is left when answers are sentences.
    """

    same: bool
    exact: bool
    equivalent: bool | None
    overlap: float


def compare_answers(one: FinalAnswer, two: FinalAnswer) -> Agreement:
    """Compare two final answers by kind; symmetric."""
    if "none" in (one.kind, two.kind):
        return Agreement(same=False, exact=False, equivalent=None, overlap=0.0)
    exact = _exact(one, two)
    overlap = 1.0 if exact else _overlap(one.value, two.value)
    if exact:
        return Agreement(same=True, exact=True, equivalent=None, overlap=overlap)
    decided = _equivalent(one, two)
    contained = one.kind == two.kind == "text" and _contains(one.value, two.value)
    return Agreement(
        same=bool(decided) or contained, exact=False, equivalent=decided, overlap=overlap
    )


def _exact(one: FinalAnswer, two: FinalAnswer) -> bool:
    if one.kind == two.kind and one.value == two.value and one.value:
        return True
    if "choice" in (one.kind, two.kind):
        return False
    return one.raw.strip(_QUOTES) == two.raw.strip(_QUOTES) != ""


def _equivalent(one: FinalAnswer, two: FinalAnswer) -> bool | None:
    kinds = {one.kind, two.kind}
    if not kinds <= _MATHEMATICAL or kinds == {"number"} or kinds == {"text"}:
        return None
    return equivalent(one.raw, two.raw)


def _overlap(one: str, two: str) -> float:
    words, others = set(one.split()), set(two.split())
    union = len(words | others)
    return len(words & others) / union if union else 0.0


def _contains(one: str, two: str) -> bool:
    """Whether the shorter of two short answers stands, word for word, inside the longer."""
    short, long = sorted((one.split(), two.split()), key=len)
    if not short or len(short) * 4 < len(long):
        return False
    return f" {' '.join(short)} " in f" {' '.join(long)} "
