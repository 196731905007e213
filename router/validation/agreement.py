"""Do two drafts say the same? Final answers are compared by kind; meaning decides elsewhere.

Agreement of two independent cheap drafts is the strongest evidence there is that a draft is right.
Pure and bounded in time: mathematical equivalence is bounded by construction (expressions.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from .answers import FinalAnswer
from .expressions import equivalent

__all__ = ["SAME_MEANING", "Agreement", "compare_answers"]

SAME_MEANING: Final = 0.9
"""Cosine from which two drafts of prose count as saying the same."""

_MATHEMATICAL = frozenset({"number", "expression", "literal", "text"})
_QUOTES = "'\"` "


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two final answers are the same.

    `same`: the answers agree for all we can tell. `exact`: their normal forms are equal.
    `equivalent`: the verdict of mathematical equivalence, None when it was not asked or undecided.
    `overlap`: share of words in common, 0..1. `meaning`: cosine of the drafts' embeddings, -1..1,
    NaN where they have none; it decides where no final answers can be compared.
    """

    same: bool
    exact: bool
    equivalent: bool | None
    overlap: float
    meaning: float = math.nan


def compare_answers(
    one: FinalAnswer,
    two: FinalAnswer,
    *,
    meaning: float = math.nan,
    same_meaning: float = SAME_MEANING,
) -> Agreement:
    """Compare two final answers by kind; symmetric.

    `meaning` is the cosine of the whole drafts' embeddings. It decides between two drafts of
    prose, of which neither ends in an answer: they say the same from `same_meaning` on.
    """
    if "none" in (one.kind, two.kind):
        alike = one.kind == two.kind and meaning >= same_meaning
        return Agreement(same=alike, exact=False, equivalent=None, overlap=0.0, meaning=meaning)
    exact = _exact(one, two)
    if exact:
        return Agreement(same=True, exact=True, equivalent=None, overlap=1.0, meaning=meaning)
    decided = _equivalent(one, two)
    contained = one.kind == two.kind == "text" and _contains(one.value, two.value)
    return Agreement(
        same=bool(decided) or contained,
        exact=False,
        equivalent=decided,
        overlap=_overlap(one.value, two.value),
        meaning=meaning,
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
