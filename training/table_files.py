"""Data files on disk: listing, reading with every problem told, writing all or nothing."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from .columns import Column
from .errors import OutcomeFileError, ProblemLog
from .jsonl_rows import read_jsonl
from .loaded_rows import Loaded, file_problem
from .parquet_rows import read_parquet

__all__ = ["list_files", "load_file", "write_table"]

_READERS = {".jsonl": read_jsonl, ".parquet": read_parquet}


def list_files(paths: Sequence[Path]) -> list[Path]:
    """The data files meant by files and folders, each once, in a stable order.

    In a folder these are all .parquet and .jsonl files but hidden ones; other folders inside
    are not searched. Raises OutcomeFileError for a path that is not there or an empty folder.
    """
    files: dict[Path, Path] = {}
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = sorted(
                file
                for file in path.iterdir()
                if file.suffix in _READERS and file.is_file() and not file.name.startswith(".")
            )
        elif not path.exists():
            _refuse(path, "nothing", "a file or folder", "check the path")
        if not inside:
            _refuse(path, "no data files", ".parquet or .jsonl files", "check the path")
        files.update((file.resolve(), file) for file in inside)
    return list(files.values())


def _refuse(path: Path, found: str, expected: str, fix: str) -> None:
    raise OutcomeFileError([file_problem(path, found, expected, fix=fix)])


def load_file(path: Path, columns: Mapping[str, Column], log: ProblemLog) -> Loaded | None:
    """Read one file; None if its problems, put in `log`, leave nothing to check further."""
    if path.suffix not in _READERS:
        log.add(file_problem(path, f"a {path.suffix or 'nameless'} file", ".parquet or .jsonl"))
        return None
    try:
        if path.stat().st_size == 0:
            log.add(file_problem(path, "an empty file", "at least one row"))
            return None
        return _READERS[path.suffix](path, columns, log)
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        found = f"an unreadable file ({reason})"
        log.add(file_problem(path, found, "a readable file", fix="check the path and its rights"))
        return None


def write_table(path: Path, table: Any) -> None:
    """Write a table to `path` so that a reader sees the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            if path.suffix == ".parquet":
                pq.write_table(table, file, compression="zstd")
            else:
                for batch in table.to_batches(max_chunksize=4096):
                    for record in batch.to_pylist():
                        kept = {key: value for key, value in record.items() if value is not None}
                        file.write(json.dumps(kept, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
