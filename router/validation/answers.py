"""Final answers: what a draft finally says, read out of however it says it.

A draft may be a bare letter, a paragraph ending in "the answer is (C)", a JSON object with an
"answer" field, LaTeX with a boxed result or a code block. `read_answer` gives the final answer in
a normal form with its kind, and the reasoning that led to it, so that agreement compares answers
and not formats. Pure; reads at most `READ_HEAD` + `READ_TAIL` characters.
"""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ..quiet import without_warnings

__all__ = ["AnswerKind", "FinalAnswer", "ReadDraft", "parse_number", "read_answer", "read_options"]

AnswerKind = Literal["choice", "number", "expression", "literal", "json", "code", "text", "none"]

READ_HEAD: Final = 1500
READ_TAIL: Final = 1000
MAX_SHORT_TEXT: Final = 160
MAX_LITERAL: Final = 1000

_OPTION = re.compile(r"^[ \t]*\(?([A-P])[).:][ \t]*(\S[^\n]*)", re.MULTILINE)
_ANSWER_FIELD = re.compile(
    r'"(?:final_?|correct_?)?(?:answer(?:_choice|_letter)?|result|solution|choice)"\s*:\s*', re.I
)
_FENCE_JSON = re.compile(r"^\s*```+\s*(?:json)?\s*\n?(.*?)(?:```|\Z)", re.S | re.I)
_FENCE_CODE = re.compile(r"```[ \t]*[\w+#-]*[ \t]*\n")
_SAID = re.compile(
    r"(?:####\s*"
    r"|\b(?:final|correct|best|right)?[ ]?answer(?:[ ](?:choice|option))?"
    r"(?:[ ](?:to[ ][^.\n:]{1,60}|here))?(?:[ ]is)?[ ]?(?:therefore|thus)?[ ]?"
    r"(?:[:=]|(?<=[ ]is)|(?<=[ ]is[ ]))\s*)"
    r"(?:\*\*|__)?\s*([^\n]{1,200})",
    re.I,
)
_SAID_HINTS: Final = (b"answer", b"####")  # one of them stands in whatever _SAID finds
_SAID_LEAD: Final = 8  # characters at most from its start to that hint
_MAX_SAID_HINTS: Final = 12  # with more of them the pattern is as fast
_LETTER = re.compile(r"^[\s*_\"'(\[{$\\]*(?:text\{)?\(?([A-P])(?:[\s).:,*_\"'\]}$\\]|$)")
_LATEX_COMMAND = re.compile(r"(?<!\\)\\([bfnrt][a-z]{2,})")
_LETTER_ANYWHERE = re.compile(r"\(([A-P])\)|(?:option|choice|answer)\s+\(?([A-P])\b")
# Looks ahead first: without, it would match nothing at every other place, which costs ten times as
# much.
_NUMBER = re.compile(
    r"(?=[-$\s\d.eE])-?\$?\s?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][+-]?\d+)?(?<=\d)"
)
# Backwards from the last digit of a text, over all that can be part of one number with it.
_LAST_RUN_REVERSED = re.compile(r"\d[-+$\s\d.,eE]*")
_EQUALS_TAIL = re.compile(r".*=\s*", re.S)
_PUNCTUATION = str.maketrans("", "", string.punctuation.replace("-", ""))
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalAnswer:
    """`value` is a normal form comparable within one `kind`; `raw` is as written."""

    kind: AnswerKind
    value: str
    raw: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadDraft:
    """A draft as read: its final answer, the reasoning before it, and whether the answer was
    marked as such (a field, a box, "the answer is") or had to be guessed from its last line."""

    answer: FinalAnswer
    reasoning: str
    marked: bool


_NO_ANSWER: Final = FinalAnswer(kind="none", value="", raw="")


def read_options(query: str) -> Mapping[str, str]:
    """The lettered options of a multiple-choice question: letter -> text; empty when it is none.

    Options must run A, B, C, ... from A, each on its own line.
    """
    if "\n" not in query:
        return {}
    tail = query[-6000:]
    options: dict[str, str] = {}
    for found in _OPTION.finditer(tail):
        letter, text = found[1], found[2].strip()
        if letter == "A":
            options = {"A": text}
        elif options and ord(letter) == ord("A") + len(options):
            options[letter] = text
    return options if len(options) >= 2 else {}


def read_answer(text: str, *, options: Mapping[str, str], json_wanted: bool = False) -> ReadDraft:
    """The final answer of a draft, given the query's options (see `read_options`)."""
    view = text if len(text) <= READ_HEAD + READ_TAIL else text[:READ_HEAD] + text[-READ_TAIL:]
    if json_wanted:
        return _read_json(view)
    stated, reasoning, marked = _locate(view, multiple_choice=bool(options))
    if options:
        letter = _letter(stated, options) or (None if marked else _last_letter(view, options))
        if letter:
            return _read(FinalAnswer(kind="choice", value=letter, raw=stated), reasoning, marked)
    return _read(_normalise(stated, marked=marked), reasoning, marked)


def _read(answer: FinalAnswer, reasoning: str, marked: bool) -> ReadDraft:
    return ReadDraft(answer=answer, reasoning=reasoning, marked=marked)


def _read_json(view: str) -> ReadDraft:
    fenced = _FENCE_JSON.match(view)
    body = (fenced[1] if fenced else view).strip()
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return _read(_NO_ANSWER, view, False)
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return _read(FinalAnswer(kind="json", value=canonical, raw=body), "", True)


def _locate(view: str, *, multiple_choice: bool) -> tuple[str, str, bool]:
    """(the answer as stated, the reasoning around it, whether it was marked as the answer)."""
    stripped = view.strip()
    field = _answer_field(stripped)
    if field is not None:
        return field
    boxed = _last_boxed(stripped)
    if boxed is not None:
        return boxed, stripped, True
    said = _last_said(stripped)
    if said is not None and (said[1].strip(" *_") or not multiple_choice):
        return said[1], stripped[: said.start()], True
    if "```" in stripped:
        opening = _FENCE_CODE.search(stripped)
        if opening is not None:
            end = stripped.find("```", opening.end())
            return stripped[opening.start() : end + 3 if end >= 0 else None], stripped, True
    if len(stripped) <= MAX_SHORT_TEXT and "\n" not in stripped:
        return stripped, "", True
    last_line = stripped.rsplit("\n", 1)[-1]
    return last_line, stripped, False


def _last_said(text: str) -> re.Match[str] | None:
    """The last of the matches of _SAID, each looked for after the end of the one before.

    The pattern is tried only where a hint is near: trying it at every character takes longer than
    all else that is read of a draft.
    """
    lower = text.encode("ascii", "replace").lower()  # a byte for each character
    hints = sum(map(lower.count, _SAID_HINTS))
    last = None
    if hints > _MAX_SAID_HINTS or "\u017f" in text:  # a long s, which the pattern takes for an s
        for last in _SAID.finditer(text):  # noqa: B007 - the last one counts
            pass
        return last
    at = 0  # matches are looked for from here on
    while hints:
        places = [place for hint in _SAID_HINTS if (place := lower.find(hint, at)) >= 0]
        if not places:
            break
        hint = min(places)
        tried = (_SAID.match(text, start) for start in range(max(at, hint - _SAID_LEAD), hint + 1))
        found = next((match for match in tried if match), None)
        at = found.end() if found else hint + 1
        last = found or last
    return last


def _answer_field(stripped: str) -> tuple[str, str, bool] | None:
    """The "answer" field of a JSON-like draft; tolerant of invalid escapes and missing ends."""
    if '"' not in stripped:
        return None
    found = None
    for found in _ANSWER_FIELD.finditer(stripped):  # noqa: B007 - the last one counts
        pass
    if found is None:
        return None
    rest = stripped[found.end() :]
    value = (
        _string_value(rest) if rest.startswith('"') else re.split(r"[}\n`]", rest, maxsplit=1)[0]
    )
    reasoning = _reasoning_fields(stripped[: found.start()])
    return value.strip().rstrip(",").strip(), reasoning, True


def _string_value(rest: str) -> str:
    end = 1
    while end < len(rest):
        if rest[end] == "\\":
            end += 2
            continue
        if rest[end] == '"':
            break
        end += 1
    # A model that writes "\frac" in JSON means LaTeX, though JSON reads a form feed there.
    body = _LATEX_COMMAND.sub(r"\\\\\1", rest[1:end])
    try:
        return str(json.loads(f'"{body}"'))
    except ValueError:
        return body.replace('\\"', '"').replace("\\\\", "\\")


def _reasoning_fields(before: str) -> str:
    start = before.find('": "')
    body = before[start + 4 :] if start >= 0 else before
    return body.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\").rstrip(' \n",')


def _last_boxed(text: str) -> str | None:
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed{")
    for index in range(begin - 1, min(len(text), begin + 400)):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return text[begin:index]
    return None


def _letter(stated: str, options: Mapping[str, str]) -> str | None:
    found = _LETTER.match(stated)
    if found and found[1] in options:
        return found[1]
    plain = _plain(stated)
    for letter, option in options.items():
        if plain and plain == _plain(option):
            return letter
    found = _LETTER_ANYWHERE.search(stated)
    named = (found[1] or found[2]) if found else None
    return named if named in options else None


def _last_letter(view: str, options: Mapping[str, str]) -> str | None:
    letters = [one or two for one, two in _LETTER_ANYWHERE.findall(view[-400:])]
    return next((letter for letter in reversed(letters) if letter in options), None)


def _plain(text: str) -> str:
    lowered = _ARTICLES.sub(" ", text.casefold().translate(_PUNCTUATION))
    return " ".join(lowered.split())


def _normalise(stated: str, *, marked: bool) -> FinalAnswer:
    raw = stated.strip()
    if raw.startswith("```"):
        opening = _FENCE_CODE.match(raw)
        code = raw[opening.end() :].partition("```")[0] if opening else raw
        return FinalAnswer(kind="code", value=_code_form(code), raw=raw)
    cleaned = raw.strip("*_ \t").removesuffix(".").strip("*_ \t")
    if not cleaned:
        return _NO_ANSWER
    number = parse_number(cleaned) if marked else _last_number(cleaned)
    if number is not None:
        return FinalAnswer(kind="number", value=number, raw=raw)
    literal = _literal(cleaned)
    if literal is not None:
        return FinalAnswer(kind="literal", value=literal, raw=raw)
    if any(mark in cleaned for mark in ("\\", "^", "=", "sqrt", "$")) or (
        any(mark in cleaned for mark in "+*/()[]") and any(c.isdigit() for c in cleaned)
    ):
        return FinalAnswer(kind="expression", value=cleaned, raw=raw)
    if len(cleaned) <= MAX_SHORT_TEXT:
        return FinalAnswer(kind="text", value=_plain(cleaned), raw=raw)
    return _NO_ANSWER


def parse_number(text: str) -> str | None:
    """The one number in a short answer ("$1,200.50", "70 inches", "5%", "x = 7"), normalised;
    None when there is none or more than one."""
    if len(text) > 60 or not any(c.isdigit() for c in text):
        return None
    body = _EQUALS_TAIL.sub("", text.replace("−", "-").replace("\\$", "$").replace("\\%", "%"))
    body = body.replace("\\!", "").replace("{,}", ",").strip("$ ")
    if any(mark in body for mark in ("\\", "^", "/", "_", "[", "(", "{", "'", '"')):
        return None
    found = [m[0] for m in _NUMBER.finditer(body) if m[0]]
    if len(found) != 1:
        return None
    return _number_form(found[0])


def _last_number(text: str) -> str | None:
    # Numbers lie within runs of such characters, so that only the last run has to be read.
    run = _LAST_RUN_REVERSED.search(text[-300:][::-1])
    if run is None:
        return None
    found = [number for number in _NUMBER.findall(run[0][::-1]) if number]
    return _number_form(found[-1]) if found else None


def _number_form(written: str) -> str | None:
    try:
        value = float(written.replace(",", "").replace("$", "").replace(" ", ""))
    except ValueError:
        return None
    return f"{value:.9g}"


def _literal(text: str) -> str | None:
    """Python literal in canonical form ("[1,2]" and "[1, 2]" are the same); None when it is not."""
    if len(text) > MAX_LITERAL or text[0] not in "[({'\"TFNb-":
        return None
    try:
        with without_warnings():  # of escapes that Python frowns on
            value: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(repr, value))) + "}"
    return repr(value)


def _code_form(code: str) -> str:
    """Code with comments, blank lines and spacing differences taken out."""
    lines = code.splitlines()
    for mark in ("#", "//", "--"):
        if mark in code:
            lines = [line.partition(mark)[0] for line in lines]
    return "\n".join([" ".join(words) for line in lines if (words := line.split())])
