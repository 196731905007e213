"""Checks across all rows of all files: one row per key, one prompt per id, one kind of label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .errors import MAX_REPORTED, Problem, ProblemLog
from .loaded_rows import Loaded

__all__ = ["check_keys", "check_labels", "codes_of", "join_codes"]

Codes = npt.NDArray[np.int64]


def codes_of(values: Any) -> Codes:
    """Small integers that are equal where the values are; null is -1. int64 [n_rows]."""
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    chunks = values.unify_dictionaries().chunks
    parts = [pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False) for chunk in chunks]
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)


def join_codes(*columns: Codes) -> Codes:
    """Codes of the combination of several columns, dense from 0."""
    joined = np.zeros(len(columns[0]), dtype=np.int64)
    for codes in columns:
        # Dense after every step, so the product stays below n_rows * (n_rows + 1).
        joined = joined * (int(codes.max(initial=0)) + 2) + codes + 1
        joined = np.unique(joined, return_inverse=True)[1].astype(np.int64)
    return joined


class _Places:
    """Finds file and row number of a row of all files together."""

    def __init__(self, files: Sequence[Loaded]) -> None:
        self._files = files
        self._starts = np.cumsum([0] + [len(file.rows) for file in files])

    def of(self, index: int) -> tuple[str, str]:
        at = int(np.searchsorted(self._starts, index, side="right")) - 1
        file = self._files[at]
        return file.name, file.place(index - int(self._starts[at]))


def check_keys(files: Sequence[Loaded], table: Any, log: ProblemLog) -> None:
    """Report two rows for one (source, prompt_id, model), and two prompts for one prompt_id."""
    prompt_keys = join_codes(codes_of(table.column("source")), codes_of(table.column("prompt_id")))
    _report_pairs(
        files,
        join_codes(prompt_keys, codes_of(table.column("model"))),
        None,
        log,
        column="model",
        found="the same source, prompt_id and model as",
        expected="one row per source, prompt_id and model",
        fix="drop one of them, or give repeats their own prompt_id",
    )
    _report_pairs(
        files,
        prompt_keys,
        codes_of(table.column("prompt")),
        log,
        column="prompt",
        found="another prompt under the same source and prompt_id as",
        expected="one prompt text per source and prompt_id",
        fix="give different prompts different ids, or read with revised_prompts='rename'",
    )


def check_labels(files: Sequence[Loaded], table: Any, log: ProblemLog) -> None:
    """Report sources that mix rows labelled by `correct` with rows that only have a score.

    Such rows cannot be compared: a share of right answers is no judge's mean. The same holds
    for scores of two kinds where score is the only label.
    """
    sources = codes_of(table.column("source"))
    only_score = codes_of(table.column("correct")) < 0
    kinds = np.where(only_score, codes_of(table.column("score_kind")) + 1, -1)
    _report_pairs(
        files,
        sources,
        kinds,
        log,
        column="correct",
        found="another kind of label (correct, or score with its score_kind) than in",
        expected="one kind of label in a source",
        fix="give rows with another kind of label their own source",
    )


def _report_pairs(
    files: Sequence[Loaded],
    keys: Codes,
    values: Codes | None,
    log: ProblemLog,
    *,
    column: str,
    found: str,
    expected: str,
    fix: str,
) -> None:
    """Report rows whose key was seen before, with another value if `values` are given."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    earlier = first[inverse]
    clash = earlier != np.arange(len(keys))
    if values is not None:
        clash &= values != values[earlier]
    places = _Places(files)
    indices = np.flatnonzero(clash)
    problems = []
    for index in indices[:MAX_REPORTED]:
        file, place = places.of(int(index))
        other_file, other_place = places.of(int(earlier[index]))
        other = other_place if other_file == file else f"{other_file} {other_place}"
        problems.append(
            Problem(
                file=file,
                place=place,
                column=column,
                found=f"{found} {other}",
                expected=expected,
                fix=fix,
            )
        )
    log.add_all(problems, count=len(indices))
