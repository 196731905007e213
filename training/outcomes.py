"""Outcome files: what real models answered to real prompts, and whether each answer was right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from router.errors import UsageError

from .columns import OUTCOME_COLUMNS
from .errors import ProblemLog
from .key_checks import check_keys, check_labels, codes_of, join_codes
from .loaded_rows import NO_COLUMN, Loaded
from .parquet_rows import typed_rows
from .revisions import rename_revised
from .row_checks import check_outcome_rows, check_values
from .table_files import list_files, load_file, write_table

__all__ = ["Outcomes", "outcomes_from_table", "read_outcomes", "write_outcomes"]


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Checked outcomes, one row per (source, prompt_id, model), in the order they were read.

    `table` has every column of an outcome file (null where a file had none) and `label`:
    float64 in 0..1, `correct` as 0 or 1 where it is known, else `score` where all scores of
    its source lie in 0..1, else null (a judge's 1-10, chrF). It is settled when the files are
    read, so that a filter never changes it. `train_ok` is never null: rows are free to train
    on unless their file says otherwise.
    """

    table: Any

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        return self._distinct("source")

    @cached_property
    def models(self) -> tuple[str, ...]:
        return self._distinct("model")

    @cached_property
    def n_prompts(self) -> int:
        """Number of distinct (source, prompt_id)."""
        return len(np.unique(self.prompt_codes))

    @cached_property
    def prompt_codes(self) -> npt.NDArray[np.int64]:
        """A number for each row's (source, prompt_id), dense from 0; int64 [n_rows]."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        return join_codes(
            codes_of(self.table.column("source")), codes_of(self.table.column("prompt_id"))
        )

    @cached_property
    def labels(self) -> npt.NDArray[np.float64]:
        """The column `label`, NaN where there is none; float64 [n_rows]."""
        return np.asarray(pc.fill_null(self.table.column("label"), np.nan).to_numpy())

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column as NumPy: object (str or None) for texts, NaN for unknown numbers.

        `correct` comes as objects (True, False or None), `train_ok` as bool.
        """
        if name not in self.table.column_names:
            known = ", ".join(self.table.column_names)
            raise UsageError(f"no column {name!r} in outcomes; known: {known}", param="name")
        return np.asarray(self.table.column(name).to_numpy())

    def filter(self, mask: npt.NDArray[np.bool_]) -> Outcomes:
        """The rows where `mask`, bool [n_rows], is true."""
        if mask.dtype != np.bool_ or mask.shape != (len(self),):
            found = f"{mask.dtype} {list(mask.shape)}"
            raise UsageError(f"mask is {found}, expected bool [{len(self)}]", param="mask")
        return Outcomes(table=self.table.filter(pa.array(mask)))

    def by_source(self, name: str) -> Outcomes:
        """The rows of one source; raises UsageError naming the sources there are."""
        if name not in self.sources:
            known = ", ".join(self.sources)
            raise UsageError(f"no source {name!r} in outcomes; known: {known}", param="name")
        return self.filter(pc.equal(self.table.column("source"), name).to_numpy())

    def _distinct(self, name: str) -> tuple[str, ...]:
        return tuple(sorted(pc.unique(self.table.column(name)).to_pylist()))


Revised = Literal["refuse", "rename"]


def read_outcomes(paths: Sequence[Path], *, revised_prompts: Revised = "refuse") -> Outcomes:
    """Read outcome files (.parquet, .jsonl) and folders of them, and check every row.

    In a folder, files named domain*.parquet that are no outcome files are passed over. Columns
    nobody knows are left out, unless one looks like a misspelt known column. Two prompt texts
    under one (source, prompt_id) are refused, or with revised_prompts="rename" become prompts
    of their own ("q7", "q7#2"). Raises OutcomeFileError with the first ten problems: file, row,
    column, found, expected, fix.
    """
    folders = {path.resolve() for path in paths if path.is_dir()}
    log = ProblemLog()
    files = []
    for path in list_files(paths):
        before = log.count
        attempt = ProblemLog()
        loaded = load_file(path, OUTCOME_COLUMNS, attempt)
        by_the_way = path.parent.resolve() in folders and path.match("domain*.parquet")
        if by_the_way and attempt.first and all(p.found == NO_COLUMN for p in attempt.first):
            continue
        log.add_all(attempt.first, count=attempt.count)
        if loaded is not None:
            _check_rows(loaded, log)
            if log.count == before:
                files.append(loaded)
    log.raise_if_any()
    return _checked(files, log, revised_prompts)


def outcomes_from_table(table: Any, *, name: str) -> Outcomes:
    """Outcomes from an Arrow table, checked as a file is; `name` stands for it in messages."""
    log = ProblemLog()
    loaded = typed_rows(table, OUTCOME_COLUMNS, name=name, log=log)
    if loaded is not None:
        _check_rows(loaded, log)
    log.raise_if_any()
    return _checked([loaded] if loaded is not None else [], log, "refuse")


def write_outcomes(path: Path, table: Any) -> None:
    """Check an Arrow table and write it as an outcome file (.parquet or .jsonl), all or nothing.

    Columns that are null throughout are left out. Raises OutcomeFileError before anything is
    written, and OSError as the file system does, with no half-written file left behind.
    """
    if path.suffix not in (".parquet", ".jsonl"):
        raise UsageError(
            f"an outcome file ends in .parquet or .jsonl, not {path.suffix!r}", param="path"
        )
    checked = outcomes_from_table(table, name=path.name).table
    kept = [
        name
        for name in OUTCOME_COLUMNS
        if name in table.column_names and checked.column(name).null_count < len(checked)
    ]
    write_table(path, checked.select(kept))


def _check_rows(loaded: Loaded, log: ProblemLog) -> None:
    check_values(loaded, OUTCOME_COLUMNS, log)
    check_outcome_rows(loaded, log)


def _checked(files: Sequence[Loaded], log: ProblemLog, revised_prompts: Revised) -> Outcomes:
    """One table of all files, after the checks that need all rows."""
    if not files:
        raise UsageError("no outcome files among the paths given", param="paths")
    table = pa.concat_tables([file.table for file in files])
    if revised_prompts == "rename":
        table = rename_revised(table)
    check_keys(files, table, log)
    check_labels(files, table, log)
    log.raise_if_any()
    train_ok = pc.fill_null(table.column("train_ok"), True)
    table = table.set_column(table.schema.get_field_index("train_ok"), "train_ok", train_ok)
    return Outcomes(table=table.append_column("label", _labels(table)).unify_dictionaries())


def _labels(table: Any) -> Any:
    """The label of each row, as Outcomes tells it; float64 [n_rows] with nulls."""
    sources = codes_of(table.column("source"))
    score = table.column("score").to_numpy()
    off_scale = (score < 0) | (score > 1)
    usable = ~np.isin(sources, np.unique(sources[off_scale]))
    scores = pc.if_else(pa.array(usable), table.column("score"), pa.scalar(None, pa.float64()))
    return pc.coalesce(pc.cast(table.column("correct"), pa.float64()), scores)
