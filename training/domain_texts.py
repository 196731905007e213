"""Texts labelled with one of the ten domains, for training and measuring the domain head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from router.errors import UsageError

from .columns import DOMAIN_COLUMNS
from .errors import ProblemLog
from .row_checks import check_values
from .table_files import load_file

__all__ = ["DomainTexts", "read_domain_texts"]


@dataclass(frozen=True, kw_only=True)
class DomainTexts:
    """Checked texts, one a row; every column of DOMAIN_COLUMNS is present.

    `train_ok` (true unless the file says otherwise) and `real_chat` (false unless it says so)
    are never null.
    """

    table: Any

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        return tuple(sorted(pc.unique(self.table.column("source")).to_pylist()))

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column as NumPy: object (str or None) for texts, bool for flags."""
        if name not in self.table.column_names:
            known = ", ".join(self.table.column_names)
            raise UsageError(f"no column {name!r} in domain texts; known: {known}", param="name")
        return np.asarray(self.table.column(name).to_numpy())

    def filter(self, mask: npt.NDArray[np.bool_]) -> DomainTexts:
        """The rows where `mask`, bool [n_rows], is true."""
        if mask.dtype != np.bool_ or mask.shape != (len(self),):
            found = f"{mask.dtype} {list(mask.shape)}"
            raise UsageError(f"mask is {found}, expected bool [{len(self)}]", param="mask")
        return DomainTexts(table=self.table.filter(pa.array(mask)))


def read_domain_texts(path: Path) -> DomainTexts:
    """Read a file of labelled texts (.parquet or .jsonl) and check every row.

    Raises OutcomeFileError with the first ten problems.
    """
    log = ProblemLog()
    loaded = load_file(path, DOMAIN_COLUMNS, log)
    if loaded is not None:
        check_values(loaded, DOMAIN_COLUMNS, log)
    log.raise_if_any()
    assert loaded is not None, "a file that cannot be read is a problem in the log"
    table = loaded.table
    for name, default in (("train_ok", True), ("real_chat", False)):
        filled = pc.fill_null(table.column(name), default)
        table = table.set_column(table.schema.get_field_index(name), name, filled)
    return DomainTexts(table=table)
