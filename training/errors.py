"""What goes wrong with training data, in terms of the person's own files.

OutcomeFileError belongs under DataError in the tree of router/errors.py. Its message names file,
row and column, but never quotes a prompt or a response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from router.errors import DataError

__all__ = ["HubSchemaError", "OutcomeFileError", "Problem", "ProblemLog"]

MAX_REPORTED = 10


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong in a data file.

    `place` is "row 7", "line 7" (JSON Lines) or "" when the whole file is meant; rows count
    from 1.
    """

    file: str
    place: str
    column: str
    found: str
    expected: str
    fix: str

    def __str__(self) -> str:
        column = f"column {self.column}" if self.column else ""
        where = ", ".join(part for part in (self.file, self.place, column) if part)
        return f"{where}: found {self.found}, expected {self.expected}; fix: {self.fix}"


class OutcomeFileError(DataError):
    """A data file cannot be used; `problems` holds the first ten, `n_problems` counts them all."""

    def __init__(self, problems: Sequence[Problem], *, n_problems: int | None = None) -> None:
        self.problems = tuple(problems[:MAX_REPORTED])
        self.n_problems = len(problems) if n_problems is None else n_problems
        lines = [str(problem) for problem in self.problems]
        if self.n_problems > len(lines):
            lines.append(f"... and {self.n_problems - len(lines)} more")
        if len(lines) > 1:
            lines.insert(0, f"{self.n_problems} problems in the data:")
        super().__init__("\n  ".join(lines))


class HubSchemaError(DataError):
    """A public data set no longer has the columns its mapping was written for."""


class ProblemLog:
    """Collects problems in order, keeps the first ten and counts the rest."""

    def __init__(self) -> None:
        self.first: list[Problem] = []
        self.count = 0

    def add(self, problem: Problem) -> None:
        self.add_all([problem], count=1)

    def add_all(self, problems: Sequence[Problem], *, count: int) -> None:
        """Add problems of which only the first few may be spelt out; `count` is their number."""
        self.count += count
        self.first.extend(problems[: MAX_REPORTED - len(self.first)])

    def raise_if_any(self) -> None:
        """Raise OutcomeFileError if anything was added."""
        if self.count:
            raise OutcomeFileError(self.first, n_problems=self.count)
