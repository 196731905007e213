"""Texts as sets of hashed shingles, with the shingles that are mere boilerplate taken out.

Few-shot examples and instructions are shared by all prompts of a source, and would make all of
them near-duplicates of each other. So a shingle that occurs in more than `COMMON_SHARE` of a
source's texts and in more than `COMMON_COUNT` of them (in a small source: in more than half of
at least five) says nothing about which question is asked, and is removed from every text,
whatever its source: the same question in two sources then compares equal under two templates.
The price: a question asked in more than 20 wordings within a source looks like boilerplate too,
and its wordings are held together by group keys or exact text only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

__all__ = ["ShingleSets", "hash_texts", "mix", "normalise", "shingle_sets"]

COMMON_SHARE = 0.01
COMMON_COUNT = 20
# Two texts that only share a few leftovers of a template are not near-duplicates.
LEAST_SHINGLES = 5
# What is read of a text: enough to tell questions apart, and a bound on memory and time.
EDGE_WORDS = 300
# Below this many words (Chinese has one a clause) characters tell more than words.
FEW_WORDS = 10
CHARACTERS = 5
WORDS = 3
_HASH_BITS = 40
_BATCH = 2_000

U64 = npt.NDArray[np.uint64]
_SEPARATORS = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """Lower case without punctuation, runs of white space as one blank.

    A text of nothing but signs ("???", an emoji) stays as it is, without the blanks around it.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _SEPARATORS.sub(" ", folded).strip() or text.strip()


def mix(values: U64) -> U64:
    """Scramble 64-bit integers (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def hash_texts(texts: Sequence[str]) -> U64:
    """64-bit hashes of texts, the same on every machine and in every run. uint64 [n]."""
    digests = b"".join(
        blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest() for text in texts
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


@dataclass(frozen=True, kw_only=True)
class ShingleSets:
    """Sets in one array: text i has values[starts[i]:starts[i + 1]], ascending, no repeats.

    values uint64 [n_shingles], starts int64 [n_texts + 1]; a text with too few is empty.
    """

    values: U64
    starts: npt.NDArray[np.int64]

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        return np.diff(self.starts)


def shingle_sets(texts: Sequence[str], sources: npt.NDArray[np.int64]) -> ShingleSets:
    """Shingles of normalised texts without boilerplate; `sources` numbers each text's source."""
    kept: dict[int, U64] = {}
    common: list[U64] = []
    for source in np.unique(sources):
        rows = np.flatnonzero(sources == source)
        sets = [
            _batch([texts[row] for row in rows[at : at + _BATCH]])
            for at in range(0, len(rows), _BATCH)
        ]
        common.append(_common(np.concatenate([values for values, _ in sets]), len(rows)))
        for number, (values, owners) in enumerate(sets):
            useful = ~np.isin(values, common[-1])
            parts = _split(values[useful], owners[useful], min(_BATCH, len(rows)))
            batch = rows[number * _BATCH : (number + 1) * _BATCH]
            kept.update(zip(batch.tolist(), parts, strict=False))
    everywhere = np.unique(np.concatenate(common)) if common else np.zeros(0, np.uint64)
    owners = np.repeat(np.arange(len(texts)), [len(kept[row]) for row in range(len(texts))])
    values = np.concatenate([kept[row] for row in range(len(texts))] or [everywhere[:0]])
    useful = ~np.isin(values, everywhere)
    values, owners = values[useful], owners[useful]
    sizes = np.bincount(owners, minlength=len(texts))
    values = values[(sizes >= LEAST_SHINGLES)[owners]]
    sizes[sizes < LEAST_SHINGLES] = 0
    return ShingleSets(values=values, starts=np.concatenate([[0], np.cumsum(sizes)]))


def _common(values: U64, n_texts: int) -> U64:
    """Shingles so frequent in a source of `n_texts` that they tell nothing."""
    distinct, counts = np.unique(values, return_counts=True)
    often = (counts > COMMON_COUNT) & (counts > COMMON_SHARE * n_texts)
    often |= (counts >= 5) & (counts > n_texts / 2)
    return np.asarray(distinct[often])


def _split(values: U64, owners: npt.NDArray[np.int64], n_texts: int) -> list[U64]:
    return np.split(values, np.searchsorted(owners, np.arange(1, n_texts)))


def _batch(texts: Sequence[str]) -> tuple[U64, npt.NDArray[np.int64]]:
    """All shingles of some texts and each one's text number, ordered by both, without repeats."""
    units: list[str] = []
    lengths = np.zeros(len(texts), dtype=np.int64)
    widths = np.zeros(len(texts), dtype=np.int64)
    for number, text in enumerate(texts):
        words = text.split()
        if len(words) < FEW_WORDS:
            parts, widths[number] = list(text[: EDGE_WORDS * CHARACTERS]), CHARACTERS
        else:
            parts, widths[number] = words, WORDS
            if len(words) > 2 * EDGE_WORDS:
                parts = words[:EDGE_WORDS] + words[-EDGE_WORDS:]
        units += parts
        lengths[number] = len(parts)
    vocabulary: dict[str, int] = {}
    codes = [vocabulary.setdefault(unit, len(vocabulary)) for unit in units]
    hashes = hash_texts(list(vocabulary))[codes] if codes else np.zeros(0, np.uint64)
    owners = np.repeat(np.arange(len(texts)), lengths)
    keys = [
        _windows(hashes, owners, widths[owners] == width, width) for width in (CHARACTERS, WORDS)
    ]
    merged = np.unique(np.concatenate(keys))
    mask = np.uint64((1 << _HASH_BITS) - 1)
    return merged & mask, (merged >> np.uint64(_HASH_BITS)).astype(np.int64)


def _windows(
    hashes: U64, owners: npt.NDArray[np.int64], member: npt.NDArray[np.bool_], width: int
) -> U64:
    """Keys (text number << 40 | hash) of the runs of `width` units that lie within one text."""
    hashes, owners = hashes[member], owners[member]
    last = len(hashes) - width + 1
    if last <= 0:
        return np.zeros(0, dtype=np.uint64)
    rolled = np.full(last, width, dtype=np.uint64)
    for offset in range(width):
        rolled = mix(rolled * np.uint64(0x9E3779B97F4A7C15) + hashes[offset : offset + last])
    inside = owners[:last] == owners[width - 1 :]
    owner_bits = owners[:last][inside].astype(np.uint64) << np.uint64(_HASH_BITS)
    keys: U64 = owner_bits | (rolled[inside] >> np.uint64(64 - _HASH_BITS))
    return keys
