r"""Whether two final answers are mathematically the same.

First their normal forms are compared, then their structure (lists, sets, intervals, matrices,
equations, inequalities) and the values of the expressions in it. No symbolic algebra: everything
is bounded by construction, and the worst case is a few milliseconds.
"""

from __future__ import annotations

import cmath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from .evaluator import Value, evaluate
from .normal_form import MAX_CHARS, normal_form

__all__ = ["equivalent"]

_MAX_ITEMS = 24
_INTEGER = re.compile(r"-?\d+")
_DECIMAL = re.compile(r"-?\d+\.(\d{4,})")
_WORD = re.compile(r"[a-z]{4,}|yes|no|odd|all")
_MATHS = re.compile(r"\\[a-z]+|sqrt|arc(?:sin|cos|tan)")
_MATRIX = re.compile(r"\\begin\{[pbv]?matrix\}(.*?)\\end\{[pbv]?matrix\}")
_RELATION = re.compile(r"(\\le(?![a-z])|\\ge(?![a-z])|\\ne(?![a-z])|<=|>=|<|>|=)")
_FLIP = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "=": "=", "\\ne": "\\ne"}
_OPENING, _ENDING = "([{", ")]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shape:
    """An answer taken apart. `kind`: "one" (its text in `brackets`, its value in `value`), "bare"
    and "set" (order free), "ordered" (with its brackets), "relation" (operators in `brackets`)."""

    kind: str
    brackets: str = ""
    items: tuple[_Shape, ...] = ()
    value: Value | None = None


def equivalent(a: str, b: str) -> bool | None:
    r"""Whether two final answers say the same; None when that could not be decided.

    Knows numbers, fractions, percent (50% is 0.5 and also 50), roots, powers, variables, complex
    numbers, sets and bare lists (order free), tuples and intervals (order kept), unions, matrices,
    \pm, equations up to a factor and simple inequalities. Symmetric; an empty answer is never
    decided. Longer answers than 300 characters are equal only as they stand. About 5 us when the
    normal forms settle it, 20-100 us otherwise; never raises.
    """
    first, second = normal_form(a), normal_form(b)
    if not first or not second:
        return None
    if first == second:
        return True
    if len(a) > MAX_CHARS + 2 or len(b) > MAX_CHARS + 2:
        return None
    if _INTEGER.fullmatch(first) and _INTEGER.fullmatch(second):
        return False
    if max(len(first), len(second)) > 2 * MAX_CHARS:
        return None
    return _same(_shape(first, 0), _shape(second, 0))


def _shape(text: str, depth: int) -> _Shape:
    while depth == 0 and text[:1] == "{" and _closes(text) == len(text) - 1 and "," not in text:
        text = text[1:-1]
    if depth > 4:
        return _Shape(kind="one", brackets=text)
    matrix = _MATRIX.fullmatch(text)
    if matrix:
        rows = [_bare(row.split("&"), depth) for row in matrix[1].split("¦")[:_MAX_ITEMS] if row]
        return _Shape(kind="ordered", brackets="matrix", items=tuple(rows))
    text = text.replace("\\{", "{").replace("\\}", "}")
    if "∪" in text:
        return _Shape(kind="set", items=_items(text.split("∪"), depth))
    parts = _split(re.sub(r"(?<=[\d)}])(?:and|or)(?=[-\d(\\{a-z])", ",", text))
    if len(parts) > 1:
        return _Shape(kind="bare", items=_items(parts, depth))
    if "\\pm" in text and text.count("\\pm") == 1:
        both = (text.replace("\\pm", "+"), text.replace("\\pm", "-"))
        return _Shape(kind="bare", items=_items(list(both), depth))
    if text[:1] in _OPENING and _closes(text) == len(text) - 1:
        inner = _split(text[1:-1])
        if len(inner) > 1:
            kind = "set" if text[0] == "{" else "ordered"
            return _Shape(kind=kind, brackets=text[0] + text[-1], items=_items(inner, depth))
    sides = _RELATION.split(text)
    if 3 <= len(sides) <= 5 and all(sides):
        return _relation(sides)
    return _Shape(kind="one", brackets=text, value=_value(text))


def _relation(sides: list[str]) -> _Shape:
    """A relation as it stands, or an interval when it bounds one variable."""
    spelled = {"<=": "\\le", ">=": "\\ge"}
    operators = [spelled.get(one, one) for one in sides[1::2]]
    terms = [side.strip() for side in sides[::2]]
    if operators == ["="] and re.fullmatch(r"[a-z](?:\([a-z]\))?", terms[0]):
        sides_of = _items(terms, 3) if len(terms[0]) == 1 else ()
        return _Shape(kind="one", brackets=terms[1], items=sides_of, value=_value(terms[1]))
    if len(terms) == 2 and re.fullmatch(r"[a-z]", terms[1]):
        terms, operators = terms[::-1], [_FLIP[operators[0]]]
    if len(terms) == 2 and re.fullmatch(r"[a-z]", terms[0]) and operators[0] != "\\ne":
        upper = operators[0] in ("<", "\\le")
        closed = operators[0] in ("\\le", "\\ge")
        ends = ["-\\infty", terms[1]] if upper else [terms[1], "\\infty"]
        brackets = ("(" if upper or not closed else "[") + ("]" if upper and closed else ")")
        return _Shape(kind="ordered", brackets=brackets, items=_items(ends, 3))
    if len(terms) == 3 and re.fullmatch(r"[a-z]", terms[1]):
        if operators[0] in (">", "\\ge"):
            terms, operators = terms[::-1], [_FLIP[one] for one in operators[::-1]]
        if all(one in ("<", "\\le") for one in operators):
            brackets = ("[" if operators[0] == "\\le" else "(") + (
                "]" if operators[1] == "\\le" else ")"
            )
            return _Shape(kind="ordered", brackets=brackets, items=_items([terms[0], terms[2]], 3))
    items = tuple(_Shape(kind="one", brackets=one, value=_value(one)) for one in terms)
    return _Shape(kind="relation", brackets=" ".join(operators), items=items)


def _items(parts: list[str], depth: int) -> tuple[_Shape, ...]:
    return tuple(_shape(normal_form(part), depth + 1) for part in parts[: _MAX_ITEMS + 1])


def _bare(parts: list[str], depth: int) -> _Shape:
    return _Shape(kind="ordered", brackets="row", items=_items(parts, depth))


def _value(text: str) -> Value | None:
    if _WORD.search(_MATHS.sub("", text)):
        return None
    return evaluate(text)


def _closes(text: str) -> int:
    """Where the bracket that opens `text` is closed (by any closing bracket), -1 if nowhere."""
    depth = 0
    for place, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _ENDING:
            depth -= 1
            if depth == 0:
                return place
    return -1


def _split(text: str) -> list[str]:
    """The parts between top-level commas or semicolons."""
    if "," not in text and ";" not in text:
        return [text]
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _ENDING:
            depth -= 1
        elif character in ",;" and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    parts.append(text[start:])
    return [part for part in parts if part.strip()]


def _same(a: _Shape, b: _Shape) -> bool | None:
    if a.kind == b.kind == "one":
        return _same_one(a, b)
    if a.kind != b.kind and "relation" in (a.kind, b.kind) and "one" in (a.kind, b.kind):
        chain, single = (a, b) if a.kind == "relation" else (b, a)
        if set(chain.brackets.split()) == {"="} and _same(chain.items[-1], single):
            return True  # "4 * 4 = 16" against "16"
    if "relation" in (a.kind, b.kind):
        return _same_relation(_as_relation(a), _as_relation(b))
    if "one" in (a.kind, b.kind):
        single = a if a.kind == "one" else b
        return False if single.value is not None or _is_text(single) else None
    if max(len(a.items), len(b.items)) > _MAX_ITEMS:
        return None
    if len(a.items) != len(b.items):
        return False
    kinds = {a.kind, b.kind}
    if (
        kinds == {"ordered"}
        and a.brackets != b.brackets
        and "matrix" not in (a.brackets, b.brackets)
    ):
        return False
    if kinds == {"set", "ordered"}:
        return False
    if "ordered" in kinds:
        return _all(_same(x, y) for x, y in zip(a.items, b.items, strict=True))
    return _matched(list(a.items), list(b.items))


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    known = list(verdicts)
    if False in known:
        return False
    return None if None in known else True


def _matched(left: list[_Shape], right: list[_Shape]) -> bool | None:
    """Whether the items pair off in some order; greedy is enough, as equality is transitive."""
    undecided = False
    for item in left:
        verdicts = [_same(item, other) for other in right]
        if True in verdicts:
            right.pop(verdicts.index(True))
        elif None in verdicts:
            undecided = True
        else:
            return False
    return None if undecided else True


def _same_one(a: _Shape, b: _Shape) -> bool | None:
    if a.brackets == b.brackets:
        return True
    if a.value is None or b.value is None:
        readable = a.value is not None or _is_text(a)
        return False if readable and (b.value is not None or _is_text(b)) else None
    if _agree(a, b):
        return True
    for one, other in ((a, b), (b, a)):
        if one.brackets.endswith("%") and not other.brackets.endswith("%"):
            label = _value(one.brackets.rstrip("%"))
            if label is not None and _equal(label, other.value or label) is True:
                return True
    return _equal(a.value, b.value)


def _agree(a: _Shape, b: _Shape) -> bool:
    """Equal values, or a printed decimal of four places or more that rounds the other value."""
    if a.value is None or b.value is None:
        return False
    if _equal(a.value, b.value):
        return True
    for one, other in ((a, b), (b, a)):
        printed = _DECIMAL.fullmatch(one.brackets)
        if printed and one.value is not None and other.value is not None:
            gaps = [abs(x - y) for x, y in zip(one.value.floats, other.value.floats, strict=True)]
            if max(gaps) <= 0.51 * 10.0 ** -len(printed[1]):
                return True
    return False


def _equal(a: Value, b: Value) -> bool | None:
    """Whether two values agree at every point where both are defined; None where none is."""
    if a.residues is not None and b.residues is not None:
        return a.residues == b.residues
    compared = 0
    for x, y in zip(a.floats, b.floats, strict=True):
        if cmath.isnan(x) or cmath.isnan(y):
            continue
        compared += 1
        if x == y:
            continue
        if cmath.isinf(x) or cmath.isinf(y):
            return False
        if abs(x - y) > 1e-9 * max(abs(x), abs(y)) + 1e-13:
            return False
    return True if compared else None


def _as_relation(shape: _Shape) -> _Shape:
    """ "y = 2x + 3", which is read as the value of y, as the equation it also is."""
    if shape.kind == "one" and shape.items:
        return _Shape(kind="relation", brackets="=", items=shape.items)
    return shape


def _same_relation(a: _Shape, b: _Shape) -> bool | None:
    """Equations whose differences of sides are proportional; other relations as they stand."""
    if a.brackets != b.brackets or a.kind != b.kind:
        return None
    verdict = _all(_same(x, y) for x, y in zip(a.items, b.items, strict=True))
    if verdict or a.brackets != "=":
        return verdict or None
    sides = [item.value for item in (*a.items, *b.items)]
    if None in sides:
        return None
    one, two, three, four = (value.floats for value in sides if value is not None)
    ratios = []
    for p, q, r, s in zip(one, two, three, four, strict=True):
        if cmath.isnan(p - q) or cmath.isnan(r - s) or r == s or p == q:
            return None
        ratios.append((p - q) / (r - s))
    return all(abs(ratio - ratios[0]) <= 1e-9 * abs(ratios[0]) for ratio in ratios)


def _is_text(shape: _Shape) -> bool:
    """Whether an answer is words rather than mathematics that we cannot read."""
    return shape.brackets.replace("-", "").replace("'", "").isalpha()
