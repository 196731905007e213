"""What training needs of a request when its texts are not kept: numbers, packed into bytes.

Little-endian: a header (format version, number of drafts, sizes of the vectors), the query's
embedding and shape, then each draft. Embeddings are float16, as their rounding is far below what
two readings of the same question differ by; all else is float32. Which columns the vectors have is
the artifact's to say, which stands beside them in `tables.outcomes`.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import InputError, StoreError

__all__ = ["FORMAT", "DraftFeatures", "QueryFeatures", "pack_features", "unpack_features"]

FORMAT: Final = 1

_FORMAT: Final = struct.Struct("<B")
_SIZES: Final = struct.Struct("<BHHHH")  # drafts, numbers in: embedding, shape, single, pair
_DRAFT: Final = struct.Struct("<?Bf")  # has an embedding, pair vectors, log-probability statistic
_FINE: Final = np.dtype("<f4")
_COARSE: Final = np.dtype("<f2")
_MAX_DRAFTS: Final = 255

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class DraftFeatures:
    """One draft as the validator saw it.

    `single` is float32 [n_single], NaN where there was nothing to judge; `embedding` float [d] of
    unit norm, None for a draft too short to have one; `logprob` the log-probability statistic, NaN
    when not given; `pairs` float32 [n_peers, n_pair], the draft beside each of the others.
    """

    single: Floats
    embedding: Floats | None = None
    logprob: float = math.nan
    pairs: Floats | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class QueryFeatures:
    """A query and its drafts: `embedding` is float [d] of unit norm, `shape` float32 [n_shape]."""

    embedding: Floats
    shape: Floats
    drafts: tuple[DraftFeatures, ...] = ()


def pack_features(features: QueryFeatures) -> bytes:
    """The bytes of `tables.outcomes.features`; InputError when the vectors do not fit together."""
    drafts = features.drafts
    n_single = len(drafts[0].single) if drafts else 0
    n_pair = next((one.pairs.shape[1] for one in drafts if one.pairs is not None), 0)
    n_embedding, n_shape = len(features.embedding), len(features.shape)
    if len(drafts) > _MAX_DRAFTS:
        raise InputError(f"{len(drafts)} drafts, at most {_MAX_DRAFTS} can be packed")
    parts = [
        _FORMAT.pack(FORMAT),
        _SIZES.pack(len(drafts), n_embedding, n_shape, n_single, n_pair),
        _bytes(features.embedding, _COARSE, (n_embedding,)),
        _bytes(features.shape, _FINE, (n_shape,)),
    ]
    for draft in drafts:
        n_peers = 0 if draft.pairs is None else len(draft.pairs)
        parts.append(_DRAFT.pack(draft.embedding is not None, n_peers, draft.logprob))
        parts.append(_bytes(draft.single, _FINE, (n_single,)))
        if draft.embedding is not None:
            parts.append(_bytes(draft.embedding, _COARSE, (n_embedding,)))
        if draft.pairs is not None:
            parts.append(_bytes(draft.pairs, _FINE, (n_peers, n_pair)))
    return b"".join(parts)


def unpack_features(packed: bytes) -> QueryFeatures:
    """What `pack_features` was given, embeddings rounded; StoreError when these are not its bytes,
    or those of another format."""
    reader = _Reader(packed)
    (version,) = reader.struct(_FORMAT)
    if version != FORMAT:
        raise StoreError(
            f"features of format {version} cannot be read, only {FORMAT}; use the version of "
            "Sluice that wrote them, or a newer one"
        )
    n_drafts, n_embedding, n_shape, n_single, n_pair = reader.struct(_SIZES)
    embedding = reader.array(_COARSE, n_embedding)
    shape = reader.array(_FINE, n_shape)
    drafts = []
    for _ in range(n_drafts):
        has_embedding, n_peers, logprob = reader.struct(_DRAFT)
        single = reader.array(_FINE, n_single)
        meaning = reader.array(_COARSE, n_embedding) if has_embedding else None
        pairs = reader.array(_FINE, n_peers * n_pair).reshape(n_peers, n_pair) if n_peers else None
        drafts.append(DraftFeatures(single=single, embedding=meaning, logprob=logprob, pairs=pairs))
    reader.end()
    return QueryFeatures(embedding=embedding, shape=shape, drafts=tuple(drafts))


class _Reader:
    """Takes one part after the other; StoreError where there is too little or too much."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._at = 0

    def struct(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack_from(self._packed, self._take(form.size))

    def array(self, dtype: np.dtype[Any], size: int) -> Floats:
        start = self._take(size * dtype.itemsize)
        found = np.frombuffer(self._packed, dtype=dtype, count=size, offset=start)
        return found.astype(np.float32)

    def end(self) -> None:
        if self._at != len(self._packed):
            raise StoreError(f"{len(self._packed) - self._at} bytes too many in packed features")

    def _take(self, size: int) -> int:
        start = self._at
        self._at += size
        if self._at > len(self._packed):
            raise StoreError(
                f"packed features end early: {len(self._packed)} bytes, {self._at} expected"
            )
        return start


def _bytes(values: Floats, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    if values.shape != shape:
        raise InputError(f"features of shape {list(values.shape)}, expected {list(shape)}")
    return values.astype(dtype).tobytes()
