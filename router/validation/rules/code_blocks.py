"""Fenced code in a draft: does it parse?"""

from __future__ import annotations

import json
import re
import symtable
from dataclasses import dataclass

from ...quiet import without_warnings

__all__ = ["MAX_PYTHON_CHARS", "CodeFinding", "inspect_code"]

MAX_PYTHON_CHARS = 800  # parsed per draft; what exceeds it has only its brackets balanced
_MAX_BLOCKS = 6
_FENCE = "```"
_PYTHON = frozenset({"python", "py", "python3"})
_BRACKETED = frozenset(
    "javascript js typescript ts jsx tsx java c cpp c++ csharp cs go rust kotlin swift php scala "
    "sql r julia css scss json5 dart".split()
)
_STARTS = ("def ", "import ", "from ", "class ", "async def ", "#!/usr/bin/env python")
_STRING = re.compile(r'"""|"(?:[^"\\\n]|\\.)*+"|\'(?:[^\'\\\n]|\\.)*+\'|//[^\n]*+|#[^\n]*+')
_PROMPT = (">>> ", "...", "$ ", "%", "!")  # shell and notebook transcripts are not modules


@dataclass(frozen=True, kw_only=True)
class CodeFinding:
    """`ok` is None when the draft has no code that can be judged; `closed` is False when the last
    fence was never closed; `detail` names the first thing wrong."""

    has_code: bool
    ok: bool | None
    closed: bool
    detail: str


_NO_CODE = CodeFinding(has_code=False, ok=None, closed=True, detail="")


def inspect_code(text: str, *, whole: bool) -> CodeFinding:
    """Judge the fenced blocks of `text`, or all of it when it opens as a Python module.

    `whole` is False when `text` is only the head of a longer draft: a last open fence then says
    nothing. The first
    MAX_PYTHON_CHARS of Python are parsed, JSON blocks are parsed, blocks of
    other known languages must have balanced brackets. At most six blocks are read.
    """
    if _FENCE not in text:
        if text.startswith(_STARTS):
            ok, detail = _judge("python", text, MAX_PYTHON_CHARS) if whole else (None, "")
            return CodeFinding(has_code=True, ok=ok, closed=True, detail=detail)
        return _NO_CODE
    parts = text.split(_FENCE, 2 * _MAX_BLOCKS + 1)
    closed = len(parts) % 2 == 1 or len(parts) > 2 * _MAX_BLOCKS or not whole
    verdict: bool | None = None
    budget = MAX_PYTHON_CHARS
    for part in parts[1:-1:2]:
        language, _, body = part.partition("\n")
        ok, detail = _judge(language.strip().lower(), body, budget)
        budget -= len(body)
        if ok is False:
            return CodeFinding(has_code=True, ok=False, closed=closed, detail=detail)
        verdict = verdict or ok
    return CodeFinding(has_code=True, ok=verdict, closed=closed, detail="")


def _judge(language: str, body: str, budget: int) -> tuple[bool | None, str]:
    if language in _PYTHON:
        if body.lstrip().startswith(_PROMPT):
            return None, ""
        return _parse_python(body) if len(body) <= budget else _balance(language, body)
    if language == "json":
        return _parse_json(body)
    if language in _BRACKETED:
        return _balance(language, body)
    return None, ""


def _parse_python(body: str) -> tuple[bool | None, str]:
    """Parse without running; the symbol table is a quarter cheaper than building Python's AST and
    also refuses what only the compiler would (a `nonlocal` at module level)."""
    first = body[:1]
    source = f"if 1:\n{body}" if first == " " or first == "\t" else body
    try:
        with without_warnings():
            symtable.symtable(source, "draft", "exec")
    except SyntaxError as error:
        line = (error.lineno or 1) - (source is not body)
        return False, f"python line {line}: {str(error.msg)[:80]}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return False, f"python: {type(error).__name__}"
    return True, ""


def _parse_json(body: str) -> tuple[bool | None, str]:
    try:
        json.loads(body)
    except RecursionError:
        return False, "json: nested too deeply"
    except ValueError as error:
        if "..." in body or "//" in body:
            return None, ""  # an illustration, not a document
        return False, f"json: {str(error)[:80]}"
    return True, ""


def _balance(language: str, body: str) -> tuple[bool | None, str]:
    if _balanced(body) or _balanced(_STRING.sub("", body)):
        return True, ""
    return False, f"{language}: unbalanced brackets"


def _balanced(body: str) -> bool:
    return (
        body.count("(") == body.count(")")
        and body.count("[") == body.count("]")
        and body.count("{") == body.count("}")
    )
