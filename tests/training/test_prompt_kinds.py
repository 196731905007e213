"""Kinds of prompts: as many as asked for, along the sources, and told apart by the gate."""

from __future__ import annotations

import numpy as np
import pytest

from training.prompt_kinds import find_kinds, fit_gate


def points_of(centres: list[float], n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(centre, 0.3, (n, 3)) for centre in centres])
    return points, np.repeat([f"source {i}" for i in range(len(centres))], n)


def test_sources_are_kinds_when_there_are_as_many() -> None:
    points, sources = points_of([0.0, 0.1, 5.0])
    kinds = find_kinds(points, sources, 3, 0)
    assert len({(kind, source) for kind, source in zip(kinds, sources, strict=True)}) == 3


def test_the_closest_sources_are_joined_when_there_are_too_many() -> None:
    points, sources = points_of([0.0, 5.0, 0.2, 9.0])
    kinds = find_kinds(points, sources, 3, 0)
    named = dict(zip(sources, kinds, strict=True))
    assert named["source 0"] == named["source 2"]
    assert sorted(set(kinds)) == [0, 1, 2]


def test_the_widest_source_is_halved_when_there_are_too_few() -> None:
    points, _ = points_of([0.0, 5.0, 10.0])
    sources = np.repeat(["wide", "narrow"], [120, 60])
    kinds = find_kinds(points, sources, 3, 0)
    assert len(set(kinds[:60])) == len(set(kinds[60:120])) == len(set(kinds[120:])) == 1
    assert sorted(set(kinds)) == [0, 1, 2]
    same = find_kinds(np.zeros((10, 3)), np.full(10, "one"), 4, 0)
    assert set(same) == {0}


@pytest.mark.parametrize("n_sources", [1, 2, 4])
def test_the_gate_tells_kinds_apart_and_is_the_same_twice(n_sources: int) -> None:
    points, sources = points_of([6.0 * i for i in range(n_sources)])
    kinds = find_kinds(points, sources, n_sources, 0)
    first, second = (fit_gate(points, kinds, n_sources + 1, 0) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    logits = points @ first[0] + first[1]
    assert (logits.argmax(axis=1) == kinds).mean() > 0.98
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert shares[:, n_sources].max() < 1e-3  # no prompt was of that kind
