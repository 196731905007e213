"""Regular expressions from outside, run only where their worst case is small.

Python's engine backtracks, so a pattern from a JSON Schema may take exponential time. Here a
pattern's worst case is bounded from its text before it is run: with k quantifiers that may match
a varying number of times on a text of n characters it is at most n^k (n^(k+1) unanchored), times
2 for every "?" and "|".
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["search_bounded"]

_MAX_PATTERN = 160
_MAX_WORK = 20_000  # single-character steps, about 0.2 ms
_ESCAPE = re.compile(r"\\.", re.S)
_CLASS = re.compile(r"\[\^?\]?[^\]]*+\]")
_HARMLESS_GROUP = re.compile(r"\(\?(?::|P?<\w+>)")
_VARYING = re.compile(r"[*+]|\{\d*,\d*\}")
_FIXED = re.compile(r"\{\d{1,3}\}")


def search_bounded(pattern: str, text: str) -> bool | None:
    """`re.search(pattern, text) is not None`, or None when that might take long or the pattern is
    not one that Python reads (the two dialects differ)."""
    compiled = _compile(pattern)
    if compiled is None:
        return None
    expression, power, factor = compiled
    if factor * max(2, len(text)) ** power > _MAX_WORK:
        return None
    return expression.search(text) is not None


@lru_cache(maxsize=256)
def _compile(pattern: str) -> tuple[re.Pattern[str], int, int] | None:
    """The compiled pattern, the power of the text's length and the factor of its worst case."""
    if len(pattern) > _MAX_PATTERN or "\\p" in pattern.lower():
        return None
    bare = _CLASS.sub("c", _ESCAPE.sub("e", pattern))
    bare = _HARMLESS_GROUP.sub("(", bare)
    if "(?" in bare or re.search(r"\)(?:[*+]|\{)", bare) or re.search(r"\\[1-9]", pattern):
        return None  # lookaround, flags, back-references, repeated groups
    bare = _FIXED.sub("", bare)
    varying = len(_VARYING.findall(bare))
    power = varying + (0 if bare.startswith("^") and "|" not in bare else 1)
    doubling = len(re.findall(r"(?<![*+}])\?", bare)) + bare.count("|")
    if power > 6 or doubling > 12:
        return None
    translated = re.sub(r"\(\?<(?=\w)", "(?P<", pattern)
    try:
        expression = re.compile(translated, re.ASCII)
    except (re.error, OverflowError, RecursionError, ValueError):
        return None
    return expression, max(1, power), 2**doubling
