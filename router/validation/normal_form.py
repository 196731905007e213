"""One spelling for a final answer: the cheap tier of mathematical equivalence."""

from __future__ import annotations

import re

__all__ = ["MAX_CHARS", "normal_form"]

MAX_CHARS = 300  # a longer answer is only stripped and compared as it stands

_PLAIN = re.compile(r"[+-]?\d+")
_SIMPLE_REPLACEMENTS = (
    ("\\left", ""), ("\\right", ""), ("\\bigl", ""), ("\\bigr", ""), ("\\big", ""),
    ("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"), ("\\cfrac", "\\frac"),
    ("\\cdot", "*"), ("\\times", "*"), ("\\div", "/"), ("\\displaystyle", ""),
    ("^{\\circ}", ""), ("^\\circ", ""), ("\\circ", ""), ("\\degree", ""),
    ("\\leq", "\\le"), ("\\geq", "\\ge"), ("\\neq", "\\ne"), ("\\$", ""), ("\\%", "%"),
    ("\\lbrace", "\\{"), ("\\rbrace", "\\}"), ("\\quad", " "), ("\\infinity", "\\infty"),
    ("\\!", ""), ("\\,", ""), ("\\;", ""), ("\\:", ""), ("\\ ", " "), ("{,}", ","),
    ("\\(", ""), ("\\)", ""), ("\\[", ""), ("\\]", ""), ("\\cup", "∪"),
)  # fmt: skip
_UNICODE = str.maketrans(
    {
        "$": "", "~": " ", "−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "°": "",
        "π": "\\pi ", "√": "\\sqrt", "∞": "\\infty ", "½": "(1/2)", "¼": "(1/4)", "¾": "(3/4)",
        "²": "^2", "³": "^3", "⁴": "^4", "≤": "\\le ", "≥": "\\ge ", "±": "\\pm ", "≠": "\\ne ",
        "€": "", "£": "", "’": "'", "\u00a0": " ",
    }
)  # fmt: skip
_WRAP = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf|operatorname|mbox)\s*\{([^{}]*)\}")
_WRAPPED = re.compile(r"\\(?:boxed|fbox)\s*\{(.*)\}", re.S)
_FRAC = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|(\w))\s*(?:\{([^{}]*)\}|(\w))")
_SQRT = re.compile(r"(?:\\sqrt|\bsqrt)\s*(?:\{([^{}]*)\}|(\w)(?!\())")
_MIXED = re.compile(
    r"(?<![\w.^/)])(\d{1,6})(?:\s+(?=\d)|\s*(?=\\frac))(\d+/\d+|\\frac\{\d+\}\{\d+\})"
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d|,)")
_UNITS = (
    r"(?:square |cubic |sq\.? |cu\.? )?(?:units?|cm|mm|km|ft|feet|foot|in|inch(?:es)?|yards?|miles?"
    r"|mi|mph|met(?:er|re)s?|(?:centi|milli|kilo)met(?:er|re)s?|degrees?|deg|radians?|rad|dollars?"
    r"|cents?|usd|hours?|hrs?|minutes?|mins?|seconds?|secs?|days?|weeks?|months?|years?|kg|grams?"
    r"|pounds?|lbs?|ounces?|oz|lit(?:er|re)s?|ml|gallons?|people|students?|ways|points?|percent"
    r"|pieces?|apples?|marbles?|sides?|games?)"
)
_UNIT_END = re.compile(
    rf"(?<=[\d)}}%i])\s*(?:{_UNITS}(?:\s*\^\s*\{{?[23]\}}?|\s+squared|\s+cubed)?)"
    rf"(?:\s*(?:/|per)\s*{_UNITS})?\.?$"
)
_BASE = re.compile(r"(?<=\d)_\{?\(?\d{1,2}\)?\}?$")
_NAMED = re.compile(r"^[a-z](?:\([a-z]\)|_\w|_\{\w+\})?\s*(?:=|\\in\b|∈)\s*(?=[^=])")
_BRACED = re.compile(r"([\^_])\{(\w)\}")
# A space matters only where it ends a command or parts two numbers.
_SPACE = re.compile(r"(\\[a-z]+|_\d)\s+(?=[a-z\d])|\s+")
_VARIABLE = re.compile(r"(?<![a-z\\])[a-z](?![a-z])")
_LETTER = re.compile(r"^\(([a-z])\)$|^([a-z])[.)]$")
_NUMBER = re.compile(r"([+-]?)(\d*)\.(\d+)|([+-]?)(\d+)\.?")
_WORDS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip


def normal_form(text: str) -> str:
    r"""A canonical spelling of a final answer, without spaces and in lower case.

    Undoes wrapping ($...$, \boxed{}, \text{}), spelling (\dfrac, \left, thousands commas, unicode),
    trailing units and "x =". Equal normal forms mean equal answers; different ones mean nothing.
    Text beyond MAX_CHARS is not read as mathematics. Linear in the text, never raises.
    """
    text = text.strip()
    if _PLAIN.fullmatch(text) and len(text) < MAX_CHARS:
        return _number(text)
    if len(text) > MAX_CHARS:
        return " ".join(text.split())
    text = text.translate(_UNICODE)
    if "\\" in text:
        text = _unlatex(text)
    text = text.strip().rstrip(".").strip().lower()
    text = _WORDS.get(text, text)
    if "," in text:
        text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    if text[:1].isalpha():
        named = _NAMED.match(text)
        if named and ("(" in named[0] or not _VARIABLE.search(text, named.end())):
            text = text[named.end() :]
    if text[-1:].isalpha() or text[-1:] in "23}.":
        text = _UNIT_END.sub("", text)
    if "_" in text:
        text = _BASE.sub("", text)
    text = _fractions(text)
    text = _SPACE.sub(_kept_space, text) if "\\" in text else "".join(text.split())
    letter = _LETTER.match(text)
    if letter:
        return letter[1] or letter[2]
    return _number(text)


def _unlatex(text: str) -> str:
    if "\\\\" in text:  # a row's end in a matrix, elsewhere an escape too many
        text = text.replace("\\\\", "¦" if "\\begin" in text else "\\")
    boxed = _WRAPPED.search(text)
    if boxed:
        text = boxed[1]
    for found, plain in _SIMPLE_REPLACEMENTS:
        if found in text:
            text = text.replace(found, plain)
    for _ in range(4):
        text, count = _WRAP.subn(r"\1", text)
        if not count:
            break
    return text


def _kept_space(found: re.Match[str]) -> str:
    return f"{found[1]} " if found[1] else ""


def _fractions(text: str) -> str:
    if "/" in text or "\\frac" in text:
        text = _MIXED.sub(r"(\1+\2)", text)
    if "{" in text:
        text = _BRACED.sub(r"\1\2", text)
    if "sqrt" not in text and "\\frac" not in text:
        return text
    for _ in range(6):
        before = text
        text = _SQRT.sub(lambda found: f"sqrt({found[1] or found[2] or ''})", text)
        text = _FRAC.sub(_fraction, text)
        if text == before:
            break
    return text


def _fraction(found: re.Match[str]) -> str:
    top, bottom = found[1] or found[2] or "", found[3] or found[4] or ""
    top = top if top.isalnum() else f"({top})"
    bottom = bottom if bottom.isdigit() or len(bottom) == 1 else f"({bottom})"
    whole = f"{top}/{bottom}"
    string, end = found.string, found.end()
    alone = (found.start() == 0 or string[found.start() - 1] in "+-({[=, ") and (
        end == len(string) or string[end] in "+-)}]=, "
    )
    return whole if alone else f"({whole})"


def _number(text: str) -> str:
    """Decimal numbers without sign, leading and trailing padding; other text as it is."""
    found = _NUMBER.fullmatch(text)
    if not found:
        return text
    sign, whole, rest = (found[1] or found[4] or ""), found[2] or found[5] or "", found[3] or ""
    whole, rest = whole.lstrip("0") or "0", rest.rstrip("0")
    if whole == "0" and not rest:
        return "0"
    return ("-" if sign == "-" else "") + whole + ("." + rest if rest else "")
