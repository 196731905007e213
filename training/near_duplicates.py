"""Pairs of texts that say nearly the same: MinHash with banding, then exact Jaccard similarity.

Broder, "On the resemblance and containment of documents" (1997); banding as in Leskovec,
Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .shingles import U64, ShingleSets, mix

__all__ = ["near_duplicates"]

# A pair of similarity 0.8 shares one of 16 bands of 4 hashes with probability 0.9998.
BANDS = 16
ROWS = 4
# Within a bucket up to this size all pairs are compared; beyond it, each text with its
# neighbour and with the first, which keeps the number of pairs linear.
SMALL_BUCKET = 12
_CHUNK = 2_000_000

Pairs = npt.NDArray[np.int64]


def near_duplicates(sets: ShingleSets, threshold: float) -> Pairs:
    """Pairs (i, j), i < j, with Jaccard similarity >= threshold; int64 [n_pairs, 2]."""
    members = np.flatnonzero(sets.sizes)
    if len(members) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    signatures = _signatures(sets, members)
    pairs = _candidates(signatures)
    agree = (signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).mean(axis=1)
    # 0.3 is over four standard deviations of the estimate: nothing that could pass is lost.
    pairs = members[pairs[agree >= threshold - 0.3]]
    near: Pairs = pairs[_jaccard(sets, pairs) >= threshold]
    return near


def _signatures(sets: ShingleSets, members: npt.NDArray[np.int64]) -> U64:
    """MinHash signatures of the non-empty sets; uint64 [n_members, BANDS * ROWS]."""
    n_hashes = BANDS * ROWS
    salts = mix(np.arange(1, n_hashes + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    signatures = np.empty((len(members), n_hashes), dtype=np.uint64)
    ends = sets.starts[members + 1]
    at = 0
    while at < len(members):
        first = sets.starts[members[at]]
        stop = max(int(np.searchsorted(ends, first + _CHUNK, side="right")), at + 1)
        values = sets.values[first : ends[stop - 1]]
        offsets = sets.starts[members[at:stop]] - first
        for number, salt in enumerate(salts):
            hashed = (values ^ salt) * np.uint64(0xBF58476D1CE4E5B9)
            hashed ^= hashed >> np.uint64(29)
            hashed *= np.uint64(0x94D049BB133111EB)
            hashed >>= np.uint64(16)
            signatures[at:stop, number] = np.minimum.reduceat(hashed, offsets)
        at = stop
    return signatures


def _candidates(signatures: U64) -> Pairs:
    """Pairs of rows that agree in a whole band; int64 [n_pairs, 2]."""
    n_rows = np.int64(len(signatures))
    found = [np.zeros(0, dtype=np.int64)]
    for band in range(BANDS):
        key = np.zeros(len(signatures), dtype=np.uint64)
        for column in range(band * ROWS, (band + 1) * ROWS):
            key = mix(key + signatures[:, column] + np.uint64(0x9E3779B97F4A7C15))
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        sizes = np.diff(np.append(starts, len(order)))
        position = np.arange(len(order)) - np.repeat(starts, sizes)
        size = np.repeat(sizes, sizes)
        for gap in range(1, SMALL_BUCKET):
            # Everyone with the gap-th before it in its bucket: all pairs of a small bucket.
            rows = np.flatnonzero((position >= gap) & ((size <= SMALL_BUCKET) | (gap == 1)))
            found.append(_key(order[rows - gap], order[rows], n_rows))
        rows = np.flatnonzero((size > SMALL_BUCKET) & (position > 0))
        found.append(_key(order[rows - position[rows]], order[rows], n_rows))
        found = [np.unique(np.concatenate(found))]
    return np.stack([found[0] // n_rows, found[0] % n_rows], axis=1)


def _key(
    left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], n_rows: np.int64
) -> npt.NDArray[np.int64]:
    return np.minimum(left, right) * n_rows + np.maximum(left, right)


def _jaccard(sets: ShingleSets, pairs: Pairs) -> npt.NDArray[np.float64]:
    """Exact similarity of each pair's shingle sets; float64 [n_pairs]."""
    result = np.empty(len(pairs), dtype=np.float64)
    sizes = sets.sizes[pairs].sum(axis=1)
    ends = np.cumsum(sizes)
    at = 0
    while at < len(pairs):
        done = int(ends[at - 1]) if at else 0
        stop = max(int(np.searchsorted(ends, done + _CHUNK, side="right")), at + 1)
        shared = _shared(sets, pairs[at:stop])
        result[at:stop] = shared / (sizes[at:stop] - shared)
        at = stop
    return result


def _shared(sets: ShingleSets, pairs: Pairs) -> npt.NDArray[np.int64]:
    """How many shingles the two texts of each pair share.

    Both sets are laid out one after the other, marked with their pair; a value that then
    stands twice is shared.
    """
    texts = pairs.reshape(-1)
    sizes = sets.sizes[texts]
    total = int(sizes.sum())
    within = np.arange(total) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    values = sets.values[np.repeat(sets.starts[texts], sizes) + within]
    owner = np.repeat(np.arange(len(texts)) // 2, sizes)
    order = np.lexsort((values, owner))
    values, owner = values[order], owner[order]
    twice = (values[1:] == values[:-1]) & (owner[1:] == owner[:-1])
    return np.bincount(owner[1:][twice], minlength=len(pairs))
