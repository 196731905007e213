r"""A small safe evaluator: the value of an expression at a few fixed points.

Two values are kept side by side for every expression: complex floats, which know roots, powers,
logarithms and trigonometry, and residues modulo the prime 2^61 - 1, which are exact for rational
expressions however large ("2^{2009} - 1" is not "2^{2009}"). Two expressions that agree at all
points are taken to be equal (Schwartz 1980: a false agreement of polynomials of degree d has
probability below d / 2^61). Everything is floats and residues, so no power tower is slow; the
length is bounded by the caller, the nesting here.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Value", "evaluate"]

_POINTS = 4
_PRIME = 2**61 - 1
_MAX_DEPTH = 40
_MAX_EXPONENT = 100_000
_NAN = complex(math.nan, math.nan)
_TOKEN = re.compile(
    r"\s*(\d+(?:\.\d+)?|\.\d+|\\[a-z]+|arcsin|arccos|arctan|sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp"
    r"|pi|infty|[a-z]|\*\*|[-+*/^!(){}\[\]|%_])"
)
_GREEK = frozenset(
    "\\alpha \\beta \\gamma \\delta \\theta \\lambda \\mu \\phi \\omega \\rho \\sigma".split()
)


_FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    "sqrt": cmath.sqrt,
    "sin": cmath.sin,
    "cos": cmath.cos,
    "tan": cmath.tan,
    "cot": lambda z: 1 / cmath.tan(z),
    "sec": lambda z: 1 / cmath.cos(z),
    "csc": lambda z: 1 / cmath.sin(z),
    "arcsin": cmath.asin,
    "arccos": cmath.acos,
    "arctan": cmath.atan,
    "log": cmath.log,
    "ln": cmath.log,
    "exp": cmath.exp,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """`floats`: one complex per point (nan where undefined); `residues`: one per point modulo the
    prime, None when the expression is not rational."""

    floats: tuple[complex, ...]
    residues: tuple[int, ...] | None


def evaluate(text: str) -> Value | None:
    """The value of one expression in normal form at the fixed points, None when it is not one.

    One-letter names are variables, but `e` and `i` are the constants. Never raises.
    """
    tokens: list[str] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            return None
        tokens.append(found[1])
        at = found.end()
    if not tokens:
        return None
    try:
        return _Parser(tokens).whole()
    except (_NotAnExpressionError, RecursionError):
        return None


class _NotAnExpressionError(Exception):
    """The tokens do not form an expression."""


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = [*tokens, ""]
        self.at = 0
        self.depth = 0

    def whole(self) -> Value:
        value = self.sum()
        if self.tokens[self.at]:
            raise _NotAnExpressionError
        return value

    def take(self, *wanted: str) -> str:
        token = self.tokens[self.at]
        if token and token in wanted:
            self.at += 1
            return token
        return ""

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise _NotAnExpressionError

    def sum(self) -> Value:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _NotAnExpressionError
        value = self.product()
        while operator := self.take("+", "-"):
            value = _binary(operator, value, self.product())
        self.depth -= 1
        return value

    def product(self) -> Value:
        value = self.signed()
        while True:
            operator = self.take("*", "/")
            if operator:
                value = _binary(operator, value, self.signed())
            elif self.starts_factor():
                value = _binary("*", value, self.power())
            else:
                return value

    def starts_factor(self) -> bool:
        token = self.tokens[self.at]
        return bool(token) and (token[0].isalnum() or token[0] in "({\\.") and token != "\\}"

    def signed(self) -> Value:
        negative = False
        while operator := self.take("+", "-"):
            negative ^= operator == "-"
        value = self.power()
        return _binary("-", _ZERO, value) if negative else value

    def power(self) -> Value:
        value = self.postfix()
        if self.take("^", "**"):
            self.depth += 1
            if self.depth > _MAX_DEPTH:
                raise _NotAnExpressionError
            negative = bool(self.take("-"))
            exponent = self.power()
            self.depth -= 1
            value = _power(value, _binary("-", _ZERO, exponent) if negative else exponent)
        return value

    def postfix(self) -> Value:
        value = self.atom()
        while operator := self.take("!", "%"):
            value = _factorial(value) if operator == "!" else _binary("/", value, _HUNDRED)
        return value

    def atom(self) -> Value:
        token = self.tokens[self.at]
        self.at += 1
        if not token:
            raise _NotAnExpressionError
        if token[0].isdigit() or token[0] == ".":
            return _literal(token)
        if token in _CLOSING:
            return self.bracketed(token)
        name = token.lstrip("\\")
        if name in _FUNCTIONS:
            return self.function(name)
        if name == "frac":
            return _binary("/", self.argument(), self.argument())
        if name in ("binom", "dbinom", "tbinom"):
            return _binomial(self.argument(), self.argument())
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if len(name) == 1 or token in _GREEK:
            return _variable(name)
        raise _NotAnExpressionError

    def bracketed(self, opening: str) -> Value:
        value = self.sum()
        self.need(_CLOSING[opening])
        return _map(abs, value) if opening == "|" else value

    def argument(self) -> Value:
        if self.take("{"):
            return self.bracketed("{")
        return self.atom()

    def function(self, name: str) -> Value:
        function = _FUNCTIONS[name]
        if name == "sqrt":
            if not self.take("["):
                return _map(function, self.argument())
            root = self.sum()
            self.need("]")
            return _power(self.argument(), _binary("/", _ONE, root))
        base = exponent = None
        while mark := self.take("_", "^"):
            if mark == "_":
                base = self.argument()
            else:
                exponent = self.argument()
        if self.tokens[self.at] in ("(", "{"):
            value = self.argument()
        else:
            value = self.power()
            while self.starts_factor() and self.tokens[self.at].lstrip("\\") not in _FUNCTIONS:
                value = _binary("*", value, self.power())
        value = _map(function, value)
        if base is not None:
            value = _binary("/", value, _map(cmath.log, base))
        return value if exponent is None else _power(value, exponent)


_CLOSING = {"(": ")", "{": "}", "[": "]", "|": "|"}


def _literal(token: str) -> Value:
    whole, _, rest = token.partition(".")
    digits = int((whole + rest) or "0")
    residue = digits * pow(pow(10, len(rest), _PRIME), -1, _PRIME) % _PRIME
    try:
        value = complex(float(token))
    except OverflowError:
        value = _NAN
    return Value(floats=(value,) * _POINTS, residues=(residue,) * _POINTS)


def _constant(value: complex) -> Value:
    return Value(floats=(value,) * _POINTS, residues=None)


_ZERO, _ONE, _HUNDRED = _literal("0"), _literal("1"), _literal("100")
_CONSTANTS = {
    "pi": _constant(complex(math.pi)),
    "e": _constant(complex(math.e)),
    "i": _constant(1j),
    "infty": _constant(complex(math.inf)),
}


def _variable(name: str) -> Value:
    """A name's fixed values: multiples of 1/64, so that floats and residues are the same number.
    The last point is negative, which tells sqrt(x^2) from x."""
    seed = sum(ord(character) * 31**place for place, character in enumerate(name[:8]))
    floats, residues = [], []
    inverse = pow(64, -1, _PRIME)
    for point in range(_POINTS):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        number = 23 + (seed >> 40) % 167
        if point == _POINTS - 1:
            number = -number
        floats.append(complex(number / 64))
        residues.append(number * inverse % _PRIME)
    return Value(floats=tuple(floats), residues=tuple(residues))


def _map(function: Callable[[complex], complex], value: Value) -> Value:
    floats = []
    for one in value.floats:
        try:
            floats.append(complex(function(one)))
        except (ArithmeticError, ValueError):
            floats.append(_NAN)
    return Value(floats=tuple(floats), residues=None)


def _binary(operator: str, a: Value, b: Value) -> Value:
    floats = []
    for x, y in zip(a.floats, b.floats, strict=True):
        try:
            if operator == "+":
                floats.append(x + y)
            elif operator == "-":
                floats.append(x - y)
            elif operator == "*":
                floats.append(x * y)
            else:
                floats.append(x / y)
        except ArithmeticError:
            floats.append(_NAN)
    return Value(floats=tuple(floats), residues=_residues(operator, a.residues, b.residues))


def _residues(
    operator: str, a: tuple[int, ...] | None, b: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    if a is None or b is None or (operator == "/" and 0 in b):
        return None
    pairs = zip(a, b, strict=True)
    if operator == "+":
        return tuple((x + y) % _PRIME for x, y in pairs)
    if operator == "-":
        return tuple((x - y) % _PRIME for x, y in pairs)
    if operator == "*":
        return tuple(x * y % _PRIME for x, y in pairs)
    return tuple(x * pow(y, -1, _PRIME) % _PRIME for x, y in pairs)


def _power(a: Value, b: Value) -> Value:
    floats = []
    for x, y in zip(a.floats, b.floats, strict=True):
        try:
            floats.append(x**y if abs(y) <= _MAX_EXPONENT else _NAN)
        except (ArithmeticError, ValueError):
            floats.append(_NAN)
    exponent = _whole(b)
    residues = None
    if exponent is not None and a.residues and (exponent >= 0 or 0 not in a.residues):
        residues = tuple(pow(x, exponent, _PRIME) for x in a.residues)
    return Value(floats=tuple(floats), residues=residues)


def _whole(value: Value) -> int | None:
    """The integer that a constant exact value is, None when it is none or too large."""
    first = value.floats[0]
    if value.residues is None or not abs(first) <= _MAX_EXPONENT:
        return None
    number = round(first.real)
    exact = number % _PRIME
    return number if all(residue == exact for residue in value.residues) else None


def _factorial(value: Value) -> Value:
    number = _whole(value)
    if number is None or not 0 <= number <= 400:
        return Value(floats=(_NAN,) * _POINTS, residues=None)
    exact = math.factorial(number)
    size = complex(exact) if number <= 170 else _NAN
    return Value(floats=(size,) * _POINTS, residues=(exact % _PRIME,) * _POINTS)


def _binomial(a: Value, b: Value) -> Value:
    n, k = _whole(a), _whole(b)
    if n is None or k is None or not 0 <= k <= n <= 400:
        raise _NotAnExpressionError
    exact = math.comb(n, k)
    return Value(floats=(complex(exact),) * _POINTS, residues=(exact % _PRIME,) * _POINTS)
