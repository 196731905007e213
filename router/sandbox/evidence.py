"""Running a draft's code as evidence about it: a check on the draft, never a verdict of its own."""

from __future__ import annotations

import functools
import json
import re
import secrets
from pathlib import Path
from typing import Any, Final

from ..errors import SandboxError
from ..types import Check, Draft, Query
from .code_draft import Example, examples_of, programs_of
from .sandbox import Execution, Sandbox

__all__ = ["CHECK_NAME", "execution_check"]

CHECK_NAME: Final = "execution"
# Errors that are the program's own whatever it was given, and those that are its own only when it
# did not ask for input, arguments or the environment, of which it has none here.
_ALWAYS_OWN: Final = ("SyntaxError", "NameError")
_OWN: Final = frozenset(
    {
        "ArithmeticError",
        "AssertionError",
        "AttributeError",
        "LookupError",
        "RecursionError",
        "TypeError",
        "ValueError",
    }
)
_DETAILS: Final = {
    "EOFError": "it waits for input",
    "ImportError": "it needs a module that the sandbox does not have",
    "MemoryError": "it needs more memory than the sandbox gives",
    "OSError": "it needs a file, a network or a process that the sandbox does not give",
}


async def execution_check(sandbox: Sandbox, query: Query, draft: Draft) -> Check | None:
    """Run the draft's Python code, with the query's examples; None when it has none.

    passed False: it does not parse, raises an error of its own making, or an example does not
    hold. True: examples ran and all held. None: there was nothing to compare with, or it cannot be
    told here; `detail` says which, in words that hold nothing of the code. `value` is the share of
    examples that held. A sandbox that could not run it is told in `detail` too, not raised: the
    draft is no worse for it.
    """
    program = programs_of(draft.text)
    if program is None:
        return None
    examples = examples_of(query.text)
    mark = secrets.token_hex(16)
    try:
        execution = await sandbox.run(_trial(program, examples, mark))
    except SandboxError as exc:
        return _unknown(f"not run: {exc}")
    finding = _finding(execution.stdout, mark)
    return _no_finding(execution) if finding is None else _judge(finding, query)


def _trial(program: str, examples: tuple[Example, ...], mark: str) -> str:
    stated = [[example.source, example.want] for example in examples]
    return f"{_trial_source()}\n\ntry_draft({program!r}, {stated!r}, {mark!r})\n"


@functools.cache
def _trial_source() -> str:
    return Path(__file__).with_name("trial.py").read_text(encoding="utf-8")


def _finding(stdout: str, mark: str) -> dict[str, Any] | None:
    """What the trial wrote behind its mark; None where it did not come that far."""
    _, found, said = stdout.rpartition(mark)
    said = said.partition("\n")[0]
    if not found:
        return None
    try:
        finding = json.loads(said)
    except ValueError:
        return None  # cut off, or the program's own doing
    return finding if isinstance(finding, dict) else None


def _no_finding(execution: Execution) -> Check:
    if execution.timed_out:
        return _unknown("still running when its time was up")
    if execution.output_exceeded:
        return _unknown("stopped: it writes without end")
    return _unknown(f"ended early, with exit status {execution.exit_code}")


def _judge(finding: dict[str, Any], query: Query) -> Check:
    raised: list[str] = finding.get("raised", [])
    own = _own_error(finding, query)
    if own:
        detail = "it does not parse" if own == "SyntaxError" else f"it raises {own}"
        return Check(name=CHECK_NAME, passed=False, detail=detail)
    held, failed = finding.get("held", 0), finding.get("failed", 0)
    if held or failed:
        tried = held + failed
        detail = f"{held} of {tried} examples in the query hold"
        return Check(name=CHECK_NAME, passed=not failed, value=held / tried, detail=detail)
    if finding.get("excerpt"):
        return _unknown("an excerpt, not a program")
    if not raised:
        return _unknown("it runs without an error; the query has no example to compare with")
    for name, detail in _DETAILS.items():
        if name in raised:
            return _unknown(detail)
    return _unknown("it ends in an error that may be due to its surroundings")


def _own_error(finding: dict[str, Any], query: Query) -> str | None:
    """The name of the error that the program itself is to blame for, or None."""
    raised: list[str] = finding.get("raised", [])
    missing = finding.get("missing")
    if "NameError" in raised and missing and re.search(rf"\b{re.escape(missing)}\b", query.text):
        return None  # a piece of the caller's own program, which has that name
    for name in _ALWAYS_OWN:
        if name in raised:
            return name
    if _OWN.isdisjoint(raised) or finding.get("special") or finding.get("asks"):
        return None  # a class of its own is most often raised on purpose
    return raised[0]


def _unknown(detail: str) -> Check:
    return Check(name=CHECK_NAME, passed=None, detail=detail)
