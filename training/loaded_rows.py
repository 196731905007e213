"""The rows of one data file in memory, with the row numbers a person sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import Column, misspelt
from .errors import Problem, ProblemLog

__all__ = ["NO_COLUMN", "Loaded", "columns_missing", "file_problem"]

NO_COLUMN = "no such column"


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """One file's rows with the columns asked for, all present (null where the file has none).

    `rows` are the numbers a person sees: rows from 1, or lines for JSON Lines, where blank
    lines count. `reported` marks rows with a problem already told, int64/bool [n_rows].
    """

    name: str
    word: str
    table: Any
    rows: npt.NDArray[np.int64]
    reported: npt.NDArray[np.bool_]

    def place(self, index: int) -> str:
        return f"{self.word} {self.rows[index]}"


def file_problem(
    path: Path, found: str, expected: str, *, column: str = "", fix: str = ""
) -> Problem:
    """A problem of the whole file, or of one of its columns."""
    fix = fix or "write the file again, or leave it out"
    return Problem(file=path.name, place="", column=column, found=found, expected=expected, fix=fix)


def columns_missing(
    path: Path, present: Sequence[str], columns: Mapping[str, Column], log: ProblemLog
) -> bool:
    """Report columns that are missing or misspelt."""
    before = log.count
    meant = {right: wrong for wrong, right in misspelt(present, columns)}
    for name, column in columns.items():
        if name in meant:
            found, fix = f"a column {meant[name]!r}", f"rename it to {name}"
            log.add(file_problem(path, found, f"the column {name}", column=name, fix=fix))
        elif column.required and name not in present:
            fix = f"add the column {name}"
            log.add(file_problem(path, NO_COLUMN, column.expected, column=name, fix=fix))
    return log.count > before
