"""JSON Lines files, read value by value so that every wrong one is told with its line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .columns import Column, value_problem
from .errors import Problem, ProblemLog
from .loaded_rows import Loaded, columns_missing, file_problem

__all__ = ["read_jsonl"]


def read_jsonl(path: Path, columns: Mapping[str, Column], log: ProblemLog) -> Loaded | None:
    values: dict[str, list[Any]] = {name: [] for name in columns}
    rows: list[int] = []
    reported: list[bool] = []
    present: set[str] = set()
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not line.strip():
                continue
            record, problems = _parse_line(path, number, line, columns)
            for problem in problems:
                log.add(problem)
            present.update(record)
            rows.append(number)
            reported.append(bool(problems))
            for name, column_values in values.items():
                column_values.append(record.get(name))
    if not rows:
        log.add(file_problem(path, "no rows", "at least one row"))
        return None
    if (present or not any(reported)) and columns_missing(path, sorted(present), columns, log):
        return None
    arrays = {
        name: pa.chunked_array([pa.array(values.pop(name), _plain(column))]).cast(column.arrow_type)
        for name, column in columns.items()
    }
    return Loaded(
        name=path.name,
        word="line",
        table=pa.table(arrays),
        rows=np.asarray(rows, dtype=np.int64),
        reported=np.asarray(reported, dtype=np.bool_),
    )


def _plain(column: Column) -> Any:
    return column.arrow_type.value_type if column.repeated else column.arrow_type


def _parse_line(
    path: Path, number: int, line: bytes, columns: Mapping[str, Column]
) -> tuple[dict[str, Any], list[Problem]]:
    """One line's record, wrong values set to None, and its problems."""

    def problem(found: str, expected: str, fix: str, column: str = "") -> Problem:
        return Problem(
            file=path.name,
            place=f"line {number}",
            column=column,
            found=found,
            expected=expected,
            fix=fix,
        )

    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError as exc:
        found = f"a byte that is not UTF-8 at position {exc.start}"
        return {}, [problem(found, "UTF-8 text", "save the file as UTF-8")]
    except json.JSONDecodeError as exc:
        found = f"invalid JSON ({exc.msg}, character {exc.pos + 1})"
        return {}, [problem(found, "one JSON object", "write one whole JSON object per line")]
    except (RecursionError, ValueError) as exc:
        found = f"unreadable JSON ({type(exc).__name__})"
        return {}, [problem(found, "one JSON object", "write one whole JSON object per line")]
    if not isinstance(record, dict):
        found = f"a JSON {type(record).__name__}"
        return {}, [problem(found, "one JSON object", "write one whole JSON object per line")]
    problems = []
    for name, column in columns.items():
        value = record.get(name)
        wrong = None if value is None else value_problem(column, value)
        if wrong is not None:
            problems.append(problem(wrong, column.expected, column.fix, name))
            record[name] = None
        elif column.kind == "count" and isinstance(value, float):
            record[name] = int(value)
    return record, problems
