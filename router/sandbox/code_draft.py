"""What can be run of a draft, and what the query says should come of it. Nothing is run here."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from ..quiet import without_warnings

__all__ = ["MAX_EXAMPLES", "MAX_PROGRAM_CHARS", "Example", "examples_of", "programs_of"]

MAX_PROGRAM_CHARS: Final = 50_000  # a draft with more code is not run
MAX_EXAMPLES: Final = 20
_MAX_QUERY_CHARS: Final = 50_000  # read of a query, from its start
_MAX_ASSERT_LINES: Final = 10
_PYTHON: Final = frozenset({"python", "py", "python3"})
_STARTS: Final = ("def ", "import ", "from ", "class ", "async def ", "#!/usr/bin/env python", "@")
_FENCE: Final = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*([^\s`{]*)[^`]*")
_NOTEBOOK: Final = re.compile(r"^[ \t]*[!%].*$", re.MULTILINE)
# What an untagged block has to do to be taken for a program: output and settings parse as well.
_DOES: Final = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.For,
    ast.While,
    ast.With,
    ast.Try,
)


@dataclass(frozen=True, kw_only=True)
class Example:
    """One statement of a query that a right program satisfies.

    `want` is what it prints, as after a `>>>`; None where nothing is said of it: a step on the way
    to later examples, or an assertion.
    """

    source: str
    want: str | None = None


def programs_of(draft_text: str) -> str | None:
    """The Python code of a draft as one module, or None when it has none that could be run.

    Read are fenced blocks tagged as Python, untagged ones that parse as a program, and a draft
    that is a program from its first word. Transcripts (`>>>`) and a notebook's commands are not.
    """
    blocks = list(_blocks(draft_text)) or [("", draft_text)] * draft_text.startswith(_STARTS)
    programs = []
    for language, block in blocks:
        code = textwrap.dedent(block).strip("\n")
        if not code.strip() or code.lstrip().startswith((">>>", "$ ")):
            continue
        if language in _PYTHON:
            programs.append(_without_notebook(code))
        elif not language and _is_program(code):
            programs.append(code)
    program = "\n\n".join(programs)
    return program + "\n" if program and len(program) <= MAX_PROGRAM_CHARS else None


def examples_of(query_text: str) -> tuple[Example, ...]:
    """The examples that a query states, in its order: `>>>` with its answer, and assertions."""
    lines = query_text[:_MAX_QUERY_CHARS].splitlines()
    examples: list[Example] = []
    index = 0
    while index < len(lines) and len(examples) < MAX_EXAMPLES:
        text = lines[index].strip()
        example, used = None, 1
        if text.startswith(">>> "):
            example, used = _transcript(lines[index:])
        elif text.startswith("assert "):
            example, used = _assertion(lines[index:])
        if example is not None:
            examples.append(example)
        index += used
    return tuple(examples)


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """(language, body) of each fenced block; one that is never closed goes to the end."""
    fence, language = "", ""
    body: list[str] = []
    for line in text.splitlines():
        found = _FENCE.fullmatch(line)
        if fence:
            if found and found[1].startswith(fence) and not found[2]:
                yield language, "\n".join(body)
                fence = ""
            else:
                body.append(line)
        elif found:
            fence, language, body = found[1], found[2].lower(), []
    if fence:
        yield language, "\n".join(body)


def _without_notebook(code: str) -> str:
    """`code` without a notebook's `!pip` and `%matplotlib` lines, where they keep it from being
    Python (a line of a longer expression may begin with % too)."""
    if len(code) <= MAX_PROGRAM_CHARS and _NOTEBOOK.search(code) and _parse(code) is None:
        return _NOTEBOOK.sub("", code).strip("\n")
    return code


def _is_program(code: str) -> bool:
    tree = _parse(code) if len(code) <= MAX_PROGRAM_CHARS else None
    return tree is not None and any(
        isinstance(statement, _DOES) or _prints(statement) for statement in tree.body
    )


def _prints(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id="print"))):
            return True
    return False


def _transcript(lines: list[str]) -> tuple[Example | None, int]:
    """The `>>>` example at the start of `lines`, and how many lines it takes."""
    text = lines[0].strip()
    source = [text[4:]]
    for line in lines[1:]:
        text = line.strip()
        if not (text == "..." or text.startswith("... ")):
            break
        source.append(text[4:])
    answer = list(takewhile(_is_answer, lines[len(source) :]))
    used = len(source) + len(answer)
    if used < len(lines) and (tail := re.match(r"(.+?)(?:\"\"\"|''')", lines[used].strip())):
        answer.append(tail[1])  # the docstring ends on the answer's own line
        used += 1
    code = "\n".join(source)
    want = textwrap.dedent("\n".join(answer)).strip()
    return (Example(source=code, want=want or None) if _parse(code) is not None else None), used


def _is_answer(line: str) -> bool:
    text = line.strip()
    quoted = '"""' in text or "'''" in text
    return bool(text) and not quoted and not text.startswith((">>>", "```", "assert "))


def _assertion(lines: list[str]) -> tuple[Example | None, int]:
    """The assertion at the start of `lines`, which may span several, and how many it takes."""
    for count in range(1, min(len(lines), _MAX_ASSERT_LINES) + 1):
        code = textwrap.dedent("\n".join(lines[:count])).strip()
        tree = _parse(code)
        if tree is not None:
            return (Example(source=code) if isinstance(tree.body[0], ast.Assert) else None), count
    return None, 1


def _parse(code: str) -> ast.Module | None:
    try:
        with without_warnings():
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
