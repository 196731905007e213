"""Checks of values within one file: empty texts, names that are not allowed, numbers off scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .columns import Column
from .errors import MAX_REPORTED, Problem, ProblemLog
from .loaded_rows import Loaded

__all__ = ["check_outcome_rows", "check_values", "report_rows"]

Mask = npt.NDArray[np.bool_]


def report_rows(
    loaded: Loaded,
    mask: Mask,
    log: ProblemLog,
    *,
    column: str,
    found: Callable[[int], str],
    expected: str,
    fix: str,
) -> None:
    """Report every masked row that has no problem reported yet; `found` gets the row's index."""
    indices = np.flatnonzero(mask & ~loaded.reported)
    loaded.reported[indices] = True
    problems = [
        Problem(
            file=loaded.name,
            place=loaded.place(int(index)),
            column=column,
            found=found(int(index)),
            expected=expected,
            fix=fix,
        )
        for index in indices[:MAX_REPORTED]
    ]
    log.add_all(problems, count=len(indices))


def check_values(loaded: Loaded, columns: Mapping[str, Column], log: ProblemLog) -> None:
    """Report values no column of this kind may hold, whatever the other columns say."""
    for name, column in columns.items():
        values = loaded.table.column(name)
        checks: list[tuple[Mask, str]] = []
        if column.required:
            checks.append((_blank(values), "text that is not empty"))
        if column.choices:
            wrong = pc.invert(pc.is_in(values, value_set=pa.array(column.choices, values.type)))
            checks.append((_mask(pc.and_(pc.is_valid(values), wrong)), column.expected))
        if column.kind == "float":
            checks.append((_mask(pc.invert(pc.is_finite(values))), "a finite number"))
        if column.minimum is not None:
            low = _mask(pc.less(values, column.minimum))
            checks.append((low, f"at least {column.minimum:g}"))
        for mask, expected in checks:
            fix = "leave an unknown one null" if column.kind != "text" else "correct the value"
            report_rows(
                loaded,
                mask,
                log,
                column=name,
                found=_describer(values, column),
                expected=expected,
                fix="fill it in, or drop the row" if column.required else fix,
            )


def check_outcome_rows(loaded: Loaded, log: ProblemLog) -> None:
    """Report rows without a label and scores whose scale nobody named."""
    correct, score = loaded.table.column("correct"), loaded.table.column("score")
    report_rows(
        loaded,
        _mask(pc.and_(pc.is_null(correct), pc.is_null(score))),
        log,
        column="correct",
        found=lambda _: "neither correct nor score",
        expected="at least one of them",
        fix="label the row, or drop it",
    )
    outside = pc.or_(pc.less(score, 0.0), pc.greater(score, 1.0))
    unnamed = pc.is_null(loaded.table.column("score_kind"))
    report_rows(
        loaded,
        _mask(pc.and_(outside, unnamed)),
        log,
        column="score",
        found=lambda index: f"{score[index].as_py():g}",
        expected="0..1, or a score_kind that names the scale",
        fix="rescale it to 0..1, or add the column score_kind",
    )


def _describer(values: Any, column: Column) -> Callable[[int], str]:
    def found(index: int) -> str:
        value = values[index].as_py()
        if isinstance(value, str) and not value.strip():
            return "empty text"
        return column.describe(value)

    return found


def _blank(values: Any) -> Mask:
    """True where text is null or only white space."""
    if pa.types.is_dictionary(values.type):
        parts = [_blank_chunk(chunk) for chunk in values.chunks]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)
    return ~_mask(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0))


def _blank_chunk(chunk: Any) -> Mask:
    """As _blank, looking at each distinct text once."""
    empty = _blank(pa.chunked_array([chunk.dictionary]))
    codes = pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False)
    return np.asarray(np.append(empty, True)[codes], dtype=np.bool_)


def _mask(values: Any) -> Mask:
    """An Arrow boolean column as NumPy, null counted as false."""
    return np.asarray(pc.fill_null(values, False).to_numpy(), dtype=np.bool_)
