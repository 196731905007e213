"""What runs inside a sandbox: a draft's program, and then the query's examples against it.

Never imported by Sluice: its text is sent with one call of `try_draft` behind it, so it needs
nothing but Python 3.9 and its standard library. What it found is the last line it writes, behind
a mark that the caller chose.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import json
import math
import os
import sys
import types
from pathlib import Path
from typing import Any

__all__ = ["try_draft"]

# A program that mentions one of these needs more than it is given here.
OUTSIDE = frozenset({"argv", "environ", "fileinput", "getenv", "getpass", "input", "stdin"})
# Errors that say more about the surroundings than about the code.
SURROUNDINGS = (ImportError, OSError, MemoryError, EOFError)


def try_draft(program: str, examples: list[list[str | None]], mark: str) -> None:
    """Run `program`, then `examples` ([source, want] each), write the finding, and end."""
    output = os.dup(1)
    finding = run_program(program, examples)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os.write(output, f"\n{mark}{json.dumps(finding)}\n".encode())
    os._exit(0)  # threads that the program has left running have had their time


def run_program(program: str, examples: list[list[str | None]]) -> dict[str, Any]:
    """What came of it: `raised` (Python's own names for the error, the most special first),
    `special` (the class itself is not one of Python's), `missing` (the name or module it lacked),
    `excerpt`, `asks`, and how many examples `held` and `failed`."""
    finding: dict[str, Any] = {"held": 0, "failed": 0}
    try:
        tree = ast.parse(program, "draft.py")
    except Exception as error:  # noqa: BLE001 - whatever Python has against it
        return {**finding, **describe(error)}
    finding["asks"] = asks_outside(tree)
    try:
        code = compile(tree, "draft.py", "exec")
    except SyntaxError:  # well-formed, but no module: `return`, `await` at its top
        return {**finding, "excerpt": True}
    defined = {node.name for node in tree.body if hasattr(node, "name")}
    relevant = any(defined & names_in(source or "") for source, _ in examples)
    # With examples to try, a main part (a server, a prompt) need not run.
    module = types.ModuleType("draft" if relevant else "__main__")
    module.__dict__["__file__"] = "draft.py"
    with contextlib.suppress(OSError):  # for programs that look at their own source
        Path("draft.py").write_text(program, encoding="utf-8", errors="replace")
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    except SystemExit:
        pass
    except BaseException as error:  # noqa: BLE001 - the program is to fail as it likes
        finding.update(describe(error))
    space = dict(module.__dict__)
    for source, want in examples if relevant else ():
        held = holds(source or "", want, space)
        if held is not None:
            finding["held" if held else "failed"] += 1
    return finding


def describe(error: BaseException) -> dict[str, Any]:
    missing = getattr(error, "name", None)
    return {
        "raised": [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"],
        "special": type(error).__module__ != "builtins",
        "missing": missing if isinstance(missing, str) else None,
    }


def asks_outside(tree: ast.Module) -> bool:
    """Whether a program asks for input, arguments or the environment."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in OUTSIDE:
            return True
        if isinstance(node, ast.Attribute) and node.attr in OUTSIDE:
            return True
        if isinstance(node, ast.alias) and node.name.rpartition(".")[2] in OUTSIDE:
            return True
    return False


def names_in(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def holds(source: str, want: str | None, space: dict[str, Any]) -> bool | None:
    """Whether an example does what it says; None where it says nothing or cannot be tried."""
    tree = ast.parse(source)
    if names_in(source) - set(space) - set(dir(builtins)) - names_bound_by(tree):
        return None  # it speaks of something that the draft does not have
    output = io.StringIO()
    raised: BaseException | None = None
    try:
        with contextlib.redirect_stdout(output):
            if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
                value = eval(compile(ast.Expression(tree.body[0].value), "example", "eval"), space)
                if value is not None:
                    sys.stdout.write(f"{value!r}\n")
            else:
                exec(compile(tree, "example", "exec"), space)
    except BaseException as error:  # noqa: BLE001 - the program is to fail as it likes
        raised = error
    if want is not None and want.startswith("Traceback"):
        kind = want.splitlines()[-1].partition(":")[0].rpartition(".")[2]
        return raised is not None and type(raised).__name__ == kind
    if raised is not None:
        return None if isinstance(raised, (*SURROUNDINGS, SystemExit)) else False
    if want is None:
        return True if isinstance(tree.body[0], ast.Assert) else None
    return same(output.getvalue(), want)


def names_bound_by(tree: ast.Module) -> set[str]:
    nodes = list(ast.walk(tree))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and writes(node)}
    return bound | {node.arg for node in nodes if isinstance(node, ast.arg)}


def writes(name: ast.Name) -> bool:
    return isinstance(name.ctx, (ast.Store, ast.Del))


def same(got: str, want: str) -> bool | None:
    """Whether two outputs agree: as text, or as the values that they spell."""
    # What follows the answer without a blank line is often prose.
    lines = want.splitlines()
    first = "\n".join(lines[: max(len(got.strip().splitlines()), 1)])
    if got.split() in (want.split(), first.split()):
        return True
    if " at 0x" in want or "..." in want:
        return None
    try:
        mine, theirs = ast.literal_eval(got.strip()), ast.literal_eval(first.strip())
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return alike(mine, theirs)


def alike(one: Any, other: Any) -> bool:
    """Equality, but with floats as far as people write them out."""
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    if isinstance(one, (list, tuple)) and type(one) is type(other) and len(one) == len(other):
        return all(map(alike, one, other))
    return bool(one == other)
