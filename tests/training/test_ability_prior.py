"""Models without labels: a guess from the name, and a level from numbers where those may train."""

from __future__ import annotations

import numpy as np
import pytest

from training.ability_prior import able_models, fill_unseen
from training.predictor_data import PredictorData, PromptTexts
from training.success_head import FeatureMap, SuccessHead

MODELS = ("big-70b", "mid-30b", "small-7b", "new-1b", "unknown-9b")


def made(n: int = 400) -> tuple[PredictorData, SuccessHead]:
    """Every model's numbers on one source; the first three have abilities."""
    rng = np.random.default_rng(0)
    accuracy = np.array([0.9, 0.8, 0.7, 0.3])
    model = np.tile(np.arange(4), n)
    empty = np.zeros(0, dtype=np.int32)
    data = PredictorData(
        prompts=tuple(f"q{i}" for i in range(n)),
        texts=PromptTexts(ids=(empty,) * n, shape=np.zeros((n, 1), np.float32)),
        groups=np.arange(n).astype(object),
        models=MODELS,
        row_prompt=np.repeat(np.arange(n), 4),
        row_model=model,
        labels=(rng.random(4 * n) < accuracy[model]).astype(np.float32),
        trainable=np.zeros(4 * n, dtype=bool),
        log_tokens=np.full(4 * n, np.nan, np.float32),
        sources=np.full(4 * n, "cascades-made", dtype=object),
    )
    nothing = np.zeros((1, 1), np.float32)
    features = FeatureMap(
        linear=nothing, linear_bias=nothing[0], local_mean=nothing[0], local_scale=nothing[0],
        experts=nothing, expert_bias=nothing[0], clusters=1, dimension=1, local_axes=1,
    )  # fmt: skip
    level = np.log(accuracy[:3] / (1 - accuracy[:3])) - 0.5  # the source is easier than what trains
    head = SuccessHead(
        features=features,
        theta=np.array([[0.1], [0.2], [0.0], [np.nan], [np.nan]], np.float32),
        bias=np.array([*level, np.nan, np.nan], np.float32),
        n_labels=np.array([500, 500, 500, 0, 0]),
    )
    return data, head


def test_numbers_set_the_level_of_a_model_that_has_no_text_to_learn_from() -> None:
    data, head = made()
    assert data.countable.all()
    filled, counts = fill_unseen(head, data, np.array([0.0, 0.0]), data.countable)
    assert counts.tolist() == [0, 0, 0, 400, 0]
    expected = np.log(0.3 / 0.7) - 0.5
    assert filled.bias[3] == pytest.approx(expected, abs=0.45)
    assert np.isfinite(filled.theta).all()
    assert filled.bias[:3] == pytest.approx(head.bias[:3])
    assert filled.n_labels.tolist() == head.n_labels.tolist()


def test_without_numbers_the_name_alone_speaks() -> None:
    data, head = made()
    filled, counts = fill_unseen(head, data, np.zeros(2), np.zeros(len(data.labels), dtype=bool))
    assert counts.sum() == 0
    assert head.bias[:3].min() - 1 < filled.bias[4] < head.bias[:3].max() + 1


def test_too_few_models_make_no_prior() -> None:
    data, head = made()
    few = SuccessHead(**{**vars(head), "n_labels": np.array([500, 10, 10, 0, 0])})
    assert able_models(few.n_labels, few.bias).tolist() == [0]
    assert fill_unseen(few, data, np.zeros(2), data.countable)[0] is few
