"""Prompts that a source reworded but kept under one id: told apart instead of refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from .key_checks import codes_of, join_codes

__all__ = ["rename_revised"]


def rename_revised(table: Any) -> Any:
    """Give each further text of a (source, prompt_id) its own id: "q7", "q7#2", "q7#3".

    Models that answered different wordings must not be compared as if they had answered one;
    grouping near-duplicates keeps the wordings on one side of a split all the same.
    """
    keys = join_codes(codes_of(table.column("source")), codes_of(table.column("prompt_id")))
    texts = codes_of(table.column("prompt"))
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    differs = np.flatnonzero(texts != texts[first[inverse]])
    if not len(differs):
        return table
    ids = table.column("prompt_id").to_pylist()
    versions: dict[int, list[int]] = {}
    for row in differs.tolist():
        seen = versions.setdefault(int(keys[row]), [int(texts[first[inverse[row]]])])
        if int(texts[row]) not in seen:
            seen.append(int(texts[row]))
        ids[row] = f"{ids[row]}#{seen.index(int(texts[row])) + 1}"
    column = pa.chunked_array([pa.array(ids, pa.large_string())])
    return table.set_column(table.schema.get_field_index("prompt_id"), "prompt_id", column)
