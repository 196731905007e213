"""Splits: what is one question stays on one side, and what is not stays apart."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import DataError, UsageError
from training.splits import group_prompts, kfold_groups, split_groups

LONG = (
    "A farmer keeps twelve hens and every hen lays five eggs a week; he sells the eggs in boxes of"
    " ten at the market on Saturday. How many boxes can he fill after three weeks of work"
)


def test_case_punctuation_and_keys_join() -> None:
    groups = group_prompts(["What is  two?", "what is TWO", "x", "y"], [None, None, "k", "k"])
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert groups[0] != groups[2]


def test_near_duplicates_join_and_others_do_not() -> None:
    groups = group_prompts([LONG, LONG + " altogether, please", "Name the capital of France."])
    assert groups[0] == groups[1] != groups[2]


def test_a_template_does_not_join_what_it_frames() -> None:
    rng = random.Random(7)
    words = [f"word{number}" for number in range(3000)]
    template = " ".join(rng.sample(words, 200))
    prompts = [f"{template} {' '.join(rng.sample(words, 25))}" for _ in range(60)]
    assert len(np.unique(group_prompts(prompts))) == 60
    again = [*prompts, prompts[0] + " now"]
    assert len(np.unique(group_prompts(again))) == 60


def test_a_group_keeps_its_number_when_prompts_are_added() -> None:
    few = group_prompts([LONG, "Name the capital of France."])
    more = group_prompts(["Sing!", "Name the capital of France.", LONG])
    assert set(few) <= set(more)


def test_signs_only_and_empty_input_are_fine() -> None:
    assert len(set(group_prompts(["???", "!!!", "\U0001f600"]).tolist())) == 3
    assert group_prompts([]).shape == (0,)


KEYS = st.lists(st.integers(-50, 50), min_size=1, max_size=200)


@given(keys=KEYS, seed=st.integers(-(2**40), 2**40), k=st.integers(2, 9))
@settings(deadline=None)
def test_no_group_is_in_two_folds(keys: list[int], seed: int, k: int) -> None:
    groups = np.array(keys)
    folds = kfold_groups(groups, k, seed)
    assert folds.min() >= 0
    assert folds.max() < k
    pairs = set(zip(keys, folds.tolist(), strict=True))
    assert len(pairs) == len(set(keys))
    assert np.array_equal(kfold_groups(groups[::-1], k, seed)[::-1], folds)
    assert kfold_groups(groups[:1], k, seed)[0] == folds[0]


@given(texts=st.lists(st.text(max_size=12), min_size=1, max_size=40), seed=st.integers(0, 99))
@settings(deadline=None)
def test_equal_texts_are_on_one_side(texts: list[str], seed: int) -> None:
    prompts = texts + texts
    sides = kfold_groups(group_prompts(prompts), 2, seed)
    assert np.array_equal(sides[: len(texts)], sides[len(texts) :])


def test_split_sizes_are_near_the_fractions() -> None:
    sides = split_groups(np.arange(5000), {"train": 0.7, "val": 0.2, "test": 0.1}, seed=3)
    assert abs(np.mean(sides == "train") - 0.7) < 0.03
    assert abs(np.mean(sides == "test") - 0.1) < 0.03


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="sum to 1"):
        split_groups(np.arange(9), {"train": 0.5}, seed=0)
    with pytest.raises(DataError, match="too few"):
        split_groups(np.array([1]), {"train": 0.5, "val": 0.5}, seed=0)
    with pytest.raises(UsageError, match="at least 2"):
        kfold_groups(np.arange(3), 1, seed=0)
    with pytest.raises(UsageError, match="one each"):
        group_prompts(["a"], ["k", "l"])
