"""Logged outcomes into an outcome file, which training reads: page by page, in constant memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from ..errors import DataError
from .database import Database
from .export_files import check_target, open_rows
from .export_rows import EXPORT_COLUMNS, Choice, Survey, read_page, survey

__all__ = ["Choice", "Exported", "export_outcomes"]

_PAGE: Final = 2000  # requests

Progress = Callable[[int, int], None]
"""Told how many requests are done, and of how many."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written: `rows` of `requests`. `found` is what there was in the scope."""

    rows: int
    requests: int
    found: Survey


def export_outcomes(
    database: Database,
    path: Path,
    choice: Choice,
    *,
    progress: Progress | None = None,
    page: int = _PAGE,
) -> Exported:
    """Write what `choice` says to `path` (.parquet or .jsonl), all or nothing.

    Outcomes that come meanwhile are left out. Raises UsageError for a file that cannot be written,
    DataError, with no file written, when there is nothing to write, StoreError and SluiceError when
    the store or the file system fails.
    """
    check_target(path)
    found = database.run_sync(lambda connection: survey(connection, choice))
    columns = {
        name: kind for name, kind in EXPORT_COLUMNS.items() if choice.features or name != "features"
    }
    n_rows = n_requests = 0
    after_id: int | None = found.first_id - 1
    with open_rows(path, columns) as writer:
        while after_id is not None and n_requests < found.chosen:
            work = partial(
                read_page, choice=choice, after_id=after_id, last_id=found.last_id, size=page
            )
            rows, after_id, n_read = database.run_sync(work)
            writer.write(rows)
            n_rows, n_requests = n_rows + len(rows), n_requests + n_read
            if progress is not None:
                progress(n_requests, found.chosen)
        if not n_rows:
            raise DataError(_nothing(choice, found))
    return Exported(rows=n_rows, requests=n_requests, found=found)


def _nothing(choice: Choice, found: Survey) -> str:
    """Why there is nothing to export, and what would change that."""
    if not found.requests:
        return "there is nothing to export: no request was logged in that span"
    if not found.labelled and not choice.unlabelled:
        return (
            f"there is nothing to export: none of {found.requests:,} requests has a label "
            "(POST /v1/feedback gives them); --unlabelled exports requests without"
        )
    if not found.with_text and not choice.without_text:
        return (
            f"there is nothing to export: no text was kept of {found.requests:,} requests "
            "(store.store_text); --without-text exports the figures alone"
        )
    return (
        f"there is nothing to export: of {found.requests:,} requests no answer has both a label "
        "and text; see --unlabelled and --without-text"
    )
