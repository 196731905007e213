"""The seam between the journal and its database: entries are written many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Protocol, TypeVar

from ..errors import StoreError
from .entries import Entry, RecordEntry
from .outcome import CallRecord, Outcome

__all__ = ["RowRefusedError", "StoreBusyError", "Writer", "write_entries"]

_Row = TypeVar("_Row", Outcome, CallRecord)


class StoreBusyError(StoreError):
    """Others are using the database, and the time to wait for them is over."""


class RowRefusedError(StoreError):
    """The database does not take a value of one of the entries; nothing was written."""


class Writer(Protocol):
    """Writes entries into the database, in one transaction. Safe to use from several threads."""

    @property
    def is_quick(self) -> bool:
        """Whether writing takes microseconds as long as nobody has to be waited for."""
        ...

    def write(self, entries: Sequence[Entry], *, wait_s: float) -> None:
        """Write the entries; those that are refused have an `error` afterwards.

        `wait_s`: how long others are waited for before StoreBusyError; 0 means not at all. When any
        StoreError is raised, the database is as it was before.
        """
        ...

    def tidy(self) -> None:
        """Do the upkeep that waits for the disk, so that writing does not meet it."""
        ...

    def close(self) -> None:
        """Let go of the connection; the next `write` takes it up again."""
        ...


def write_entries(writer: Writer, entries: Sequence[Entry], *, wait_s: float) -> None:
    """Write the entries, one by one where not all of them are taken together.

    What fails has an `error` afterwards; nothing is raised but by a fault in the program.
    """
    try:
        writer.write(entries, wait_s=wait_s)
    except RowRefusedError as exc:
        if len(entries) > 1:
            for entry in entries:
                write_entries(writer, [entry], wait_s=wait_s)
        else:
            _write_cleaned(writer, entries[0], exc, wait_s=wait_s)
    except StoreError as exc:
        for entry in entries:
            entry.error = exc


def _write_cleaned(
    writer: Writer, entry: Entry, refusal: RowRefusedError, *, wait_s: float
) -> None:
    """Try once more with all text made storable: what was paid for has to be recorded."""
    if not isinstance(entry, RecordEntry):
        entry.error = refusal
        return
    entry.outcome = _clean(entry.outcome)
    entry.calls = [_clean(call) for call in entry.calls]
    entry.windows = tuple((key, _storable(account)) for key, account in entry.windows)
    try:
        writer.write([entry], wait_s=wait_s)
    except StoreError as exc:
        entry.error = exc


def _clean(row: _Row) -> _Row:
    values: dict[str, Any] = {field.name: getattr(row, field.name) for field in fields(row)}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    return type(row)(**values | {name: _storable(text) for name, text in texts.items()})


def _storable(text: str) -> str:
    """The text with a replacement character for what is no Unicode, and for NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
