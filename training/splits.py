"""Splits that keep what belongs together on one side: a question, its rewordings, its repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from router.errors import DataError, UsageError

from .near_duplicates import near_duplicates
from .shingles import U64, hash_texts, mix, normalise, shingle_sets

__all__ = ["group_prompts", "kfold_groups", "split_groups"]

Ints = npt.NDArray[np.int64]


def group_prompts(
    prompts: Sequence[str],
    group_keys: Sequence[str | None] | None = None,
    *,
    sources: Sequence[str] | None = None,
    threshold: float = 0.8,
) -> Ints:
    """A group for each prompt, so that splitting by group never parts one question; int64 [n].

    Together are prompts with the same group key, the same text but for case, punctuation and
    white space, or shingle sets of Jaccard similarity >= `threshold` (shingles.py tells what
    is boilerplate, judged by `sources` where given); and whatever these connect. A group's
    number is the smallest 63-bit hash of its normalised texts, so it stays the same when
    unrelated prompts are added and in every run. Pass distinct prompts: repeats only cost time.
    """
    if not 0.5 <= threshold <= 1.0:
        raise UsageError(f"threshold is {threshold}, expected 0.5..1.0", param="threshold")
    for name, column in (("group_keys", group_keys), ("sources", sources)):
        if column is not None and len(column) != len(prompts):
            found = f"{len(column)} {name} for {len(prompts)} prompts"
            raise UsageError(f"{found}, expected one each", param=name)
    texts: dict[str, int] = {}
    codes = np.array([texts.setdefault(normalise(p), len(texts)) for p in prompts], dtype=np.int64)
    edges = [near_duplicates(shingle_sets(list(texts), _sources(codes, sources)), threshold)]
    if group_keys is not None:
        first: dict[str, int] = {}
        keyed = [
            (first.setdefault(key, int(code)), int(code))
            for key, code in zip(group_keys, codes, strict=True)
            if key
        ]
        edges.append(np.array(keyed, dtype=np.int64).reshape(-1, 2))
    names = (hash_texts(list(texts)) >> np.uint64(1)).astype(np.int64)
    return np.asarray(_connect(names, np.concatenate(edges))[codes], dtype=np.int64)


def _sources(codes: Ints, sources: Sequence[str] | None) -> Ints:
    """The source number of each distinct text: that of the first prompt with it."""
    _, first = np.unique(codes, return_index=True)
    if sources is None:
        return np.zeros(len(first), dtype=np.int64)
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(sources[row], len(numbers)) for row in first]
    return np.array(found, dtype=np.int64)


def _connect(names: Ints, edges: Ints) -> Ints:
    """The smallest name in each node's connected component; int64 [n_nodes].

    Every node points to a node with a name no larger than its own; edges and shortcuts lower
    what it points to until nothing changes (about log n rounds).
    """
    rank = np.empty(len(names), dtype=np.int64)
    order = np.argsort(names, kind="stable")
    rank[order] = np.arange(len(names))
    parent = np.arange(len(names))
    left, right = rank[edges[:, 0]], rank[edges[:, 1]]
    while True:
        before = parent.copy()
        lowest = np.minimum(parent[left], parent[right])
        for side in (left, right):
            np.minimum.at(parent, before[side], lowest)
            np.minimum.at(parent, side, lowest)
        parent = parent[parent]
        if np.array_equal(parent, before):
            return names[order][parent][rank]


def split_groups(
    groups: npt.NDArray[Any], fractions: Mapping[str, float], seed: int
) -> npt.NDArray[np.str_]:
    """The side of each row, e.g. {"train": 0.8, "val": 0.2}; str [n], no group on two sides.

    A group's side depends on nothing but the group, the fractions and the seed, so a growing
    data set never moves a row across; the sizes are therefore near the fractions, not exact.
    Raises UsageError for fractions that do not sum to 1, DataError if a side stays empty.
    """
    shares = np.array(list(fractions.values()), dtype=np.float64)
    if not len(shares) or not np.all(shares > 0) or not np.isclose(shares.sum(), 1.0):
        found = dict(fractions)
        raise UsageError(f"fractions are {found}, expected shares above 0 that sum to 1")
    unit = (_hashes(groups, seed) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    sides = np.searchsorted(np.cumsum(shares)[:-1], unit, side="right")
    names = np.array(list(fractions), dtype=np.str_)
    empty = [str(name) for side, name in enumerate(names) if not np.any(sides == side)]
    if empty and len(groups):
        n_groups = len(np.unique(groups))
        raise DataError(
            f"no row fell to {', '.join(empty)}: {n_groups} groups are too few for"
            f" {dict(fractions)}; give more prompts, larger fractions or another seed"
        )
    return names[sides]


def kfold_groups(groups: npt.NDArray[Any], k: int, seed: int) -> Ints:
    """The fold 0..k-1 of each row, int64 [n]; a group's fold depends on it, k and seed only."""
    if k < 2:
        raise UsageError(f"k is {k}, expected at least 2 folds", param="k")
    return (_hashes(groups, seed) % np.uint64(k)).astype(np.int64)


def _hashes(groups: npt.NDArray[Any], seed: int) -> U64:
    """64 random-looking bits for each row's group, from the seed; groups of integers or text."""
    if groups.ndim != 1 or groups.dtype.kind not in "iuUO":
        found = f"{groups.dtype} {list(groups.shape)}"
        raise UsageError(f"groups are {found}, expected one integer or text a row", param="groups")
    if groups.dtype.kind in "iu":
        values = groups.astype(np.uint64)
    elif all(isinstance(group, str) for group in groups.tolist()):
        distinct, inverse = np.unique(groups.astype(np.str_), return_inverse=True)
        values = hash_texts(distinct.tolist())[inverse]
    else:
        raise UsageError("groups hold something other than text, expected text", param="groups")
    salt = mix(np.array([seed % 2**64], dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    return mix(mix(values + np.uint64(0x9E3779B97F4A7C15)) ^ salt)
