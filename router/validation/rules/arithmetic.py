"""Statements such as "12 * 3 = 36" in a draft, and which of them are wrong.

Cost: linear in the text; every "=" is read once forwards and once backwards over a bounded
stretch, with possessive patterns, and at most MAX_EQUATIONS are evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from .sums import MAX_DIGITS, calculate

__all__ = ["MAX_EQUATIONS", "Arithmetic", "find_equations"]

MAX_EQUATIONS = 48  # equations evaluated per draft
_MAX_DOUBTFUL = 24  # of them by the slow way
_MAX_HINTS = 96  # "=" signs looked at
_REACH = 120  # characters read on each side of an "="

_NUMBER = r"(?:\d++(?:,\d{3})*+(?:\.\d++)?+|\.\d++)"
_OP = r"(?:[-+*/^x×÷·−–]|(?<=% )of)"
# An "=" with something like a number on both sides; begins with a literal, so the scan is a memchr.
_HINT = re.compile(
    r"=(?:(?<=[\d)}%] =)|(?<=[\d)}%]=)|(?<=[a-z][a-z] =)|(?<=[a-z][a-z]\} =))"
    r"(?=[ ]?[-−$€£(\\*]*+(?:\d|[dt]?frac))"
)
# One forward expression: numbers joined by operators, a unit of up to three words after each.
_UNIT = r"(?:(?:[ ](?!of\b)(?:[A-Za-z]{2,14}|[ghms]\b)(?:/[a-z]++)?+(?![(\[])){1,3})"
_ATOM = rf"[(]{{0,4}}[-−]?+[$€£]?+{_NUMBER}%?+[)]{{0,4}}+"
_RIGHT = re.compile(
    rf"=[ ]*+({_ATOM})((?:(?:{_UNIT}?+[ ]?+{_OP}[ ]?+(?={_ATOM})){_ATOM}){{0,12}}+)"
)
# The same, right to left, for the text before an "=" (the text is reversed).
_NUMBER_R = r"[\d.,]{1,18}+(?<=\d)"
_UNIT_R = r"(?:(?:(?:[a-z]++/)?+(?!fo\b)(?:[A-Za-z]{2,14}|[ghms])[ ]){1,3})"
_ATOM_R = rf"[)]{{0,4}}%?+{_NUMBER_R}[$€£]?+(?:[-−](?=[ ]?(?:[(*+/x×÷=]|$)))?+[(]{{0,4}}+"
_SIMPLE = re.compile(
    rf"[ ]?({_NUMBER_R})[$]?+[ ]?([-+*/×])[ ]?({_NUMBER_R})[$]?(?=\n|[ ](?![-+*/^x×÷·−–\d])|$)"
)
_LEFT = re.compile(
    rf"[ ]*+(?:{_UNIT_R})?+({_ATOM_R}"
    rf"(?:[ ]?+(?:{_OP}|fo(?= %))[ ]?+(?:{_UNIT_R})?+{_ATOM_R}){{0,12}}+)"
)
_PLAIN_RIGHT = re.compile(r"=[ ]?[$]?(\d[\d,]*+(?:\.\d++)?+)(?=[\n.;)]|,?[ ][A-Za-z(]{2}|$)")
_UNSAFE_AFTER = re.compile(
    r"[A-Za-z_(^\\{!²³°:/√π]|[.,]\d|[ ]*(?:[-+*/×÷^√π|−–·]|\(?mod|pmod|(?:with )?(?:a )?rem"
    r"|R\b|x\b)|[ ][a-zA-Z](?![a-zA-Z])|[ ][a-zA-Z]+[ ]\d"
)
_UNSAFE_BEFORE = re.compile(
    r"(?:[\w)\].,:√π_%|!{}\\][$]?|[-−–+*/×÷·^<>|√π%)\]\d][ ]*[$]?|(?<![A-Za-z])[b-hj-z][ ]+"
    r"|\b(?:log|ln|sin|cos|tan|sqrt|gcd|lcm|mod|than|of|times|plus|minus|by|from|over|cubed|squared"
    r"|point|divided|multiplied)[ ]*|[-+*/×÷^(][ ]*\n[ ]*)$"
)
_BULLET = re.compile(r"(?:^|\n)[ \t]*(?:[-*+–•]|\d{1,2}[.)])[ ]+$")
_OPERATOR = re.compile(r"[\d)%a-z$][ ]*+(?:[-+*/^x×÷·−–]|of\b)")
_SCALE = re.compile(r"million|thousand|billion|trillion|dozen|hundred|percent|squared|cubed|per ")
_WORDS = re.compile(r"[A-Za-z]{2,}")

_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]{1,24})\}\{([^{}]{1,24})\}")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]{0,40})\}")
_POWER = re.compile(r"\*\*(?<=\d\*\*)(?=\d)")
_LATEX = (
    ("\\times", "*"),
    ("\\cdot", "*"),
    ("\\div", "/"),
    ("\\$", "$"),
    ("\\%", "%"),
)


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """How many equations were found and could be evaluated, how many of them are wrong, and the
    first wrong one as it stands in the draft ("" when none is)."""

    n_equations: int
    n_wrong: int
    example: str


_NO_EQUATIONS = Arithmetic(n_equations=0, n_wrong=0, example="")


def find_equations(text: str) -> Arithmetic:
    """Read every "a op b = c" of `text`; chains such as "a + b = c + d = e" count per "=".

    Only statements made of plain numbers are judged. Where the surroundings make the reading
    doubtful (a variable, a longer expression, mixed units, a scale word such as "million"), an
    equation that looks wrong is left out rather than called wrong.
    """
    if "=" not in text or _HINT.search(text) is None:
        return _NO_EQUATIONS
    text = _plain(text)
    reverse = text[::-1]
    size = len(text)
    found = wrong = doubtful = 0
    example = ""
    for hint in islice(_HINT.finditer(text), _MAX_HINTS):
        at = hint.start()
        verdict = _simple(text, reverse, at, size)
        if verdict is None:
            doubtful += 1
            verdict = _judge(text, reverse, at, size)
        if verdict is not None:
            found += 1
            if verdict:
                wrong += 1
                example = example or verdict
        if found >= MAX_EQUATIONS or doubtful >= _MAX_DOUBTFUL:
            break
    return Arithmetic(n_equations=found, n_wrong=wrong, example=example)


def _simple(text: str, reverse: str, at: int, size: int) -> str | None:
    """ "" when the "=" at `at` joins "a op b" and a plain number and is right, else None.

    The quick way for what most equations are; everything it does not settle goes to `_judge`.
    """
    right = _PLAIN_RIGHT.match(text, at)
    if right is None:
        return None
    left = _SIMPLE.match(reverse, size - at)
    if left is None:
        return None
    second, operator, first = left.groups()
    try:
        a = float(first[::-1].replace(",", ""))
        b = float(second[::-1].replace(",", ""))
        c = float(right[1].replace(",", ""))
    except ValueError:
        return None
    if operator == "*" or operator == "×":
        a *= b
    elif operator == "+":
        a += b
    elif operator == "-":
        a -= b
    elif b:
        a /= b
    return "" if a == c else None


def _judge(text: str, reverse: str, at: int, size: int) -> str | None:
    """None when no equation can be read at `at`, "" when it is right, else the wrong equation."""
    right = _RIGHT.match(text, at, at + _REACH)
    if right is None:
        return None
    start = size - at
    left = _LEFT.match(reverse, start, start + _REACH)
    if left is None:
        return None
    lhs = left[1][::-1]
    rhs = right[1] + right[2]
    if not _OPERATOR.search(lhs):  # "the 2 = 2 * 5" labels a number more often than it claims one
        return None
    result = calculate(lhs, rhs)
    if result is None:
        return None
    if result:
        return ""
    begin = size - left.end()
    return _confirmed(text, begin, right.end(), lhs, rhs)


def _confirmed(text: str, begin: int, end: int, lhs: str, rhs: str) -> str | None:
    """The wrong equation, or None when its surroundings do not let it be read alone."""
    before = text[max(0, begin - 24) : begin]
    if _UNSAFE_BEFORE.search(before) and not _BULLET.search(before):
        return None
    if _UNSAFE_AFTER.match(text, end):
        return None
    whole = text[begin:end]
    if _SCALE.search(text[begin : end + 10]) or len(whole) > 2 * _REACH:
        return None
    additive = "+" in lhs or "-" in lhs or "−" in lhs or "–" in lhs
    if additive and len({word.rstrip("s") for word in _WORDS.findall(whole.split("=")[0])}) > 1:
        return None
    if max(map(len, re.findall(r"\d+", whole))) > MAX_DIGITS:
        return None
    return " ".join(f"{lhs.strip()} = {rhs.strip()}".split())


def _plain(text: str) -> str:
    """`text` with the LaTeX and Markdown of simple arithmetic written out."""
    if "**" in text:
        text = _POWER.sub("^", text).replace("**", "")
    if "\\" not in text:
        return text
    for found, plain in _LATEX:
        if found in text:
            text = text.replace(found, plain)
    if "frac{" in text:
        text = _FRACTION.sub(_written_out, text, count=_MAX_HINTS)
    if "\\text" in text or "\\mathrm" in text:
        text = _TEXT.sub(lambda found: found[1], text).replace("  ", " ")
    return text.replace("^{", "^(").replace("}", ")") if "^{" in text else text


def _written_out(fraction: re.Match[str]) -> str:
    """A function, as Python 3.11 takes four times as long to fill in a template."""
    top, bottom = fraction.groups()
    return f"(({top})/({bottom}))"
