"""Packed features come back as they were, but for the rounding of embeddings."""

from __future__ import annotations

import math
import struct
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import InputError, StoreError
from router.records.features import (
    FORMAT,
    DraftFeatures,
    QueryFeatures,
    pack_features,
    unpack_features,
)

RANDOM = np.random.default_rng(0)


def embedding(size: int = 256) -> npt.NDArray[np.float32]:
    vector = RANDOM.normal(size=size).astype(np.float32)
    return vector / np.linalg.norm(vector)


def draft(peers: int = 0, *, size: int = 256, short: bool = False) -> DraftFeatures:
    single = RANDOM.normal(size=51).astype(np.float32) * 1e6
    single[3] = math.nan
    return DraftFeatures(
        single=single,
        embedding=None if short else embedding(size),
        logprob=-0.25 if peers else math.nan,
        pairs=RANDOM.normal(size=(peers, 35)).astype(np.float32) if peers else None,
    )


def query(*drafts: DraftFeatures) -> QueryFeatures:
    shape = RANDOM.random(44, dtype=np.float32)
    return QueryFeatures(embedding=embedding(), shape=shape, drafts=drafts)


@pytest.mark.parametrize(
    "features",
    [
        pytest.param(query(), id="no draft"),
        pytest.param(query(draft()), id="one draft"),
        pytest.param(query(draft(short=True)), id="a draft without embedding"),
        pytest.param(query(draft(1), draft(1, short=True)), id="two drafts"),
        pytest.param(query(draft(2), draft(2), draft(2)), id="three drafts"),
    ],
)
def test_what_was_packed_comes_back(features: QueryFeatures) -> None:
    found = unpack_features(pack_features(features))
    np.testing.assert_allclose(found.embedding, features.embedding, atol=2e-4)
    np.testing.assert_array_equal(found.shape, features.shape)
    assert found.embedding.dtype == found.shape.dtype == np.float32
    assert len(found.drafts) == len(features.drafts)
    for one, before in zip(found.drafts, features.drafts, strict=True):
        np.testing.assert_array_equal(one.single, before.single)
        np.testing.assert_equal(one.logprob, before.logprob)
        assert (one.embedding is None) == (before.embedding is None)
        if one.embedding is not None:
            np.testing.assert_allclose(one.embedding, before.embedding, atol=2e-4)
        assert (one.pairs is None) == (before.pairs is None)
        if one.pairs is not None:
            np.testing.assert_array_equal(one.pairs, before.pairs)


def test_a_draft_costs_little_room() -> None:
    assert len(pack_features(query(draft()))) < 1500


def test_vectors_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(InputError, match="expected \\[256\\]"):
        pack_features(query(draft(size=128)))
    other = DraftFeatures(single=np.zeros(3, np.float32))
    with pytest.raises(InputError, match="expected \\[51\\]"):
        pack_features(query(draft(), other))


def test_another_format_is_named() -> None:
    packed = bytes([FORMAT + 1]) + pack_features(query())[1:]
    with pytest.raises(StoreError, match="features of format 2 cannot be read, only 1"):
        unpack_features(packed)


def test_bytes_that_are_cut_off_or_too_many_are_refused() -> None:
    packed = pack_features(query(draft(1), draft(1)))
    for size in (0, 1, 5, 100, len(packed) - 1):
        with pytest.raises(StoreError, match="end early"):
            unpack_features(packed[:size])
    with pytest.raises(StoreError, match="2 bytes too many"):
        unpack_features(packed + b"xy")


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(packed: bytes) -> None:
    with suppress(StoreError):
        unpack_features(struct.pack("<B", FORMAT) + packed)
