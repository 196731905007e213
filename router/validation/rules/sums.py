"""Exact-enough evaluation of a short sum of plain numbers, with the tolerance of its digits."""

from __future__ import annotations

import re

__all__ = ["MAX_DIGITS", "calculate"]

MAX_DIGITS = 15  # digits a float carries exactly
_TOKEN = re.compile(r"\d[\d,]*+(?:\.\d++)?+|\.\d++|[-+*/^()x×÷·−–%]|\bof\b")
_SAME = {"x": "*", "×": "*", "·": "*", "of": "*", "÷": "/", "−": "-", "–": "-"}
_RANK = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_MAX_TOKENS = 48


def calculate(lhs: str, rhs: str) -> bool | None:
    """Whether the two sides are equal as printed, or None when they cannot be evaluated.

    "%" is read both as a hundredth and as a mere label, and either reading may be the right one
    ("5/20 * 100 = 25%"). A side is allowed the half unit of its last printed digit, a whole unit
    when it has decimals (truncation is common), plus what rounded operands can move it.
    """
    left, right = _tokens(lhs, left=True), _tokens(rhs, left=False)
    if left is None or right is None or (len(left) < 2 and len(right) < 2):
        return None
    readings = (0.01, 1.0) if "%" in lhs or "%" in rhs else (1.0,)
    outcome: bool | None = None
    for percent in readings:
        a, b = _evaluate(left, percent), _evaluate(right, percent)
        if a is None or b is None:
            continue
        outcome = abs(a - b) <= _tolerance(left, right, a, b, percent)
        if outcome:
            return True
        if len(left) == 3 and left[1] == "/" and len(right) == 1 and b == a // 1:
            return None  # "1199 / 24 = 49" may be meant as whole division
    return outcome


def _tokens(side: str, *, left: bool) -> list[str] | None:
    tokens = [_SAME.get(token, token) for token in _TOKEN.findall(side)]
    surplus = tokens.count("(") - tokens.count(")")
    # "(3 * 4 = 12)": a bracket around the whole equation belongs to the sentence.
    if left and surplus > 0 and tokens[:surplus] == ["("] * surplus:
        tokens = tokens[surplus:]
    elif not left and surplus < 0 and tokens[surplus:] == [")"] * -surplus:
        tokens = tokens[:surplus]
    elif surplus:
        return None
    return tokens if 0 < len(tokens) <= _MAX_TOKENS else None


def _tolerance(left: list[str], right: list[str], a: float, b: float, percent: float) -> float:
    slack = 1e-9 * max(abs(a), abs(b))
    inexact = "/" in left or "/" in right
    for side, value in ((left, a), (right, b)):
        for token in side:
            decimals = len(token) - token.find(".") - 1 if "." in token else 0
            inexact = inexact or decimals > 0
            size = abs(float(token.replace(",", ""))) if decimals > 1 else 0.0
            if size and len(side) > 1:
                slack += abs(value) * 0.5 * 10.0**-decimals / size
    if not inexact:
        return slack
    for side in (right, left):
        numbers = [token for token in side if token[-1].isdigit()]
        if len(numbers) == 1:
            token = numbers[0]
            decimals = len(token) - token.find(".") - 1 if "." in token else 0
            unit = percent if "%" in side else 1.0
            slack += unit * (10.0**-decimals if decimals else 0.5)
    return slack * (1 + 1e-9)


def _evaluate(tokens: list[str], percent: float) -> float | None:
    """Shunting-yard over at most _MAX_TOKENS tokens; None on anything malformed or huge."""
    values: list[float] = []
    pending: list[str] = []
    operand_next = True
    try:
        for token in tokens:
            if token[-1].isdigit():
                if not operand_next:
                    return None
                values.append(float(token.replace(",", "")))
                operand_next = False
            elif token == "%":
                if operand_next:
                    return None
                values[-1] *= percent
            elif token == "(":
                if not operand_next:
                    return None
                pending.append(token)
            elif token == ")":
                while pending[-1] != "(":
                    _apply(values, pending.pop())
                pending.pop()
            elif operand_next:
                if token == "+":
                    continue
                if token != "-":
                    return None
                pending.append("neg")
            else:
                _reduce(values, pending, token)
                pending.append(token)
                operand_next = True
        while pending:
            _apply(values, pending.pop())
        return values[0] if len(values) == 1 else None
    except (IndexError, ValueError, ArithmeticError):
        return None


def _reduce(values: list[float], pending: list[str], operator: str) -> None:
    """Apply what binds at least as tightly as `operator`; "^" is right-associative."""
    rank = _RANK[operator]
    while pending and pending[-1] != "(":
        top = 3 if pending[-1] == "neg" else _RANK[pending[-1]]
        if top < rank or (top == rank and operator == "^"):
            return
        _apply(values, pending.pop())


def _apply(values: list[float], operator: str) -> None:
    b = values.pop()
    if operator == "neg":
        values.append(-b)
        return
    a = values.pop()
    if operator == "+":
        values.append(a + b)
    elif operator == "-":
        values.append(a - b)
    elif operator == "*":
        values.append(a * b)
    elif operator == "/":
        values.append(a / b)
    elif operator == "^" and abs(b) <= 64 and (a > 0 or b == int(b)):
        values.append(float(a**b))
    else:
        raise ValueError(operator)
