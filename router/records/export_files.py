"""Files of exported rows, written row by row and all or nothing."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final, Protocol

import orjson

from ..errors import SluiceError, UsageError
from ..extras import missing_extra

__all__ = ["RowWriter", "check_target", "open_rows"]

_SUFFIXES: Final = (".parquet", ".jsonl")


class RowWriter(Protocol):
    """Takes rows: dicts with every column of the file."""

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows."""
        ...


def check_target(path: Path) -> None:
    """Refuse a file that cannot be written: UsageError, before any work is done."""
    if path.suffix not in _SUFFIXES:
        raise UsageError(f"an export ends in .parquet or .jsonl, not {path.suffix!r}", param="to")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise missing_extra("an export to Parquet (.jsonl does without)", "train")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", param="to")


@contextmanager
def open_rows(path: Path, columns: Mapping[str, type]) -> Iterator[RowWriter]:
    """A writer of `path`, which is replaced when the block ends, and stays as it is when it fails.

    Raises SluiceError when the file system refuses.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            if path.suffix == ".parquet":
                with _open_parquet(file, columns) as writer:
                    yield writer
            else:
                yield _JsonLines(file, columns)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        raise SluiceError(f"cannot write {path}: {exc.strerror or exc}") from exc
    finally:
        temporary.unlink(missing_ok=True)


class _JsonLines:
    """One JSON object a line, without what is not known; bytes as Base64."""

    def __init__(self, file: IO[bytes], columns: Mapping[str, type]) -> None:
        self._file = file
        self._columns = columns

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            known = {name: row[name] for name in self._columns if row[name] is not None}
            self._file.write(orjson.dumps(known, default=_base64) + b"\n")


def _base64(value: Any) -> str:
    if not isinstance(value, bytes):
        raise TypeError
    return base64.b64encode(value).decode()


@contextmanager
def _open_parquet(file: IO[bytes], columns: Mapping[str, type]) -> Iterator[RowWriter]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = {
        bool: pa.bool_(),
        bytes: pa.binary(),
        float: pa.float64(),
        int: pa.int64(),
        str: pa.string(),
    }
    schema = pa.schema([(name, arrow[kind]) for name, kind in columns.items()])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield _Parquet(writer, schema, pa.RecordBatch)


class _Parquet:
    """A row group for every call."""

    def __init__(self, writer: Any, schema: Any, batches: Any) -> None:
        self._writer = writer
        self._schema = schema
        self._batches = batches

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._writer.write_batch(self._batches.from_pylist(rows, schema=self._schema))
