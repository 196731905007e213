"""Parquet files, read into the columns training uses and checked for what types cannot hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .columns import Column
from .errors import Problem, ProblemLog
from .loaded_rows import Loaded, columns_missing, file_problem

__all__ = ["read_parquet", "typed_rows"]


def read_parquet(path: Path, columns: Mapping[str, Column], log: ProblemLog) -> Loaded | None:
    try:
        schema = pq.read_schema(path)
        if columns_missing(path, schema.names, columns, log):
            return None
        # Read as codes where possible: a prompt asked of 50 models is then held once, not 50 times.
        repeated = [n for n in schema.names if n in columns and columns[n].repeated]
        codes = [name for name in repeated if _is_text(schema.field(name).type)]
        wanted = [name for name in columns if name in schema.names]
        with pq.ParquetFile(path, read_dictionary=codes) as file:
            table = file.read(columns=wanted)
    except (pa.ArrowException, OSError) as exc:
        # Arrow's own text may quote the data, so only its kind is told.
        found = f"damaged Parquet ({type(exc).__name__})"
        log.add(file_problem(path, found, "a whole Parquet file"))
        return None
    return typed_rows(table, columns, name=path.name, log=log)


def typed_rows(
    table: Any, columns: Mapping[str, Column], *, name: str, log: ProblemLog
) -> Loaded | None:
    """A table's known columns in the types training uses; None if some value has no such type."""
    if table.num_rows == 0:
        log.add(file_problem(Path(name), "no rows", "at least one row"))
        return None
    arrays = {}
    before = log.count
    for key, column in columns.items():
        if key in table.column_names:
            stored = table.column(key)
        else:
            stored = pa.chunked_array([pa.nulls(table.num_rows)])
        try:
            arrays[key] = _typed(stored, column)
        except _WrongValueError as wrong:
            log.add(
                Problem(
                    file=name,
                    place=f"row {wrong.row + 1}",
                    column=key,
                    found=wrong.found,
                    expected=column.expected,
                    fix=column.fix,
                )
            )
    if log.count > before:
        return None
    return Loaded(
        name=name,
        word="row",
        table=pa.table(arrays),
        rows=np.arange(1, table.num_rows + 1, dtype=np.int64),
        reported=np.zeros(table.num_rows, dtype=np.bool_),
    )


class _WrongValueError(Exception):
    """A stored column that cannot become the column asked for; `row` counts from 0."""

    def __init__(self, row: int, found: str) -> None:
        super().__init__(found)
        self.row = row
        self.found = found


def _typed(stored: Any, column: Column) -> Any:
    """A stored column as the type used in training; raises _WrongValueError."""
    is_dictionary = pa.types.is_dictionary(stored.type)
    kind = stored.type.value_type if is_dictionary else stored.type
    if pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(len(stored), column.arrow_type)])
    readable = {
        "text": _is_text(kind),
        "bool": pa.types.is_boolean(kind),
        "float": pa.types.is_floating(kind) or pa.types.is_integer(kind),
        "count": pa.types.is_floating(kind) or pa.types.is_integer(kind),
    }[column.kind]
    if not readable:
        raise _WrongValueError(_first(pc.is_valid(stored)), f"a column of type {kind}")
    if column.kind == "text":
        _require_utf8(stored)
    elif column.kind == "count" and pa.types.is_floating(kind):
        _require_whole(stored, column)
    elif is_dictionary:
        stored = stored.cast(kind)
    try:
        return stored.cast(column.arrow_type)
    except pa.ArrowInvalid as exc:
        raise _WrongValueError(0, f"a value that does not fit {column.arrow_type}") from exc


def _is_text(kind: Any) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def _require_utf8(stored: Any) -> None:
    """Raise for text bytes that are not UTF-8, which Parquet readers let through."""
    try:
        stored.validate(full=True)
    except pa.ArrowInvalid as exc:
        plain = stored.type.value_type if pa.types.is_dictionary(stored.type) else stored.type
        for row, value in enumerate(stored.cast(plain).cast(pa.large_binary())):
            try:
                (value.as_py() or b"").decode()
            except UnicodeDecodeError:
                raise _WrongValueError(row, "bytes that are not UTF-8") from exc
        raise _WrongValueError(0, "an inconsistent column") from exc


def _require_whole(stored: Any, column: Column) -> None:
    values = stored.cast(pa.float64())
    wrong = pc.invert(pc.and_(pc.is_finite(values), pc.equal(pc.floor(values), values)))
    row = _first(wrong)
    if pc.any(wrong).as_py():
        raise _WrongValueError(row, column.describe(values[row].as_py()))


def _first(mask: Any) -> int:
    """Index of the first true value, or 0."""
    return int(np.argmax(pc.fill_null(mask, False).to_numpy())) if len(mask) else 0
