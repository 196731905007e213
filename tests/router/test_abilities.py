"""Abilities: names resolve, unknown models get a prior, outcomes move it."""

from __future__ import annotations

import numpy as np
import pytest

from router.abilities import Abilities, Ability, fit_ability, prior_features
from router.errors import ArtifactDamagedError, UsageError
from router.model_names import NAME_FEATURES, describe_name, plain_name
from tests.tiny_predictor import tiny_fitted
from training.export_predictor import abilities_json

ALIASES = {"gpt-4o-2024-08-06": "gpt-4o", "Meta-Llama-3.1-8B-Instruct": "llama-3.1-8b"}


@pytest.fixture(scope="module")
def abilities() -> Abilities:
    return Abilities.from_json(abilities_json(tiny_fitted(), ALIASES))


def flat(k: int = 3, **changes: object) -> Ability:
    fields = {"theta": (0.0,) * k, "bias": 0.0, "verbosity": 0.0, "input_cost": None}
    return Ability(**{"name": "m", "output_cost": None, "n_labels": 0, **fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("gpt-4o", "gpt-4o"),
        ("openai/gpt-4o-2024-11-20", "gpt-4o"),
        ("GPT-4o-mini", "gpt-4o-mini"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("llama3.1-8b", "llama-3.1-8b"),
        ("claude-3.5-sonnet-20241022", "claude-3.5-sonnet"),
    ],
)
def test_names_in_the_wild_resolve(abilities: Abilities, name: str, canonical: str) -> None:
    assert abilities.resolve(name) == canonical
    assert abilities.get(name).name == canonical


def test_models_that_merely_look_alike_are_not_mixed_up(abilities: Abilities) -> None:
    for name in ("gpt-4", "gpt-4o-audio", "llama-3.1-80b", "", "claude-3.5"):
        assert abilities.resolve(name) is None


def test_an_unknown_model_gets_a_finite_prior_without_labels(abilities: Abilities) -> None:
    for name in ("acme-7b", "", "x" * 500, "模型", "qwen-999999999b"):
        prior = abilities.get(name, input_cost=0.0, output_cost=1e9)
        assert prior.n_labels == 0
        assert np.isfinite(prior.vector).all()
        assert prior.vector.shape == (4,)


def test_prior_features_know_price_size_and_family() -> None:
    features = prior_features("mistralai/Mixtral-8x7B-Instruct", 0.24, 0.24)
    named = dict(zip(("one", "log_price", "price_known", *NAME_FEATURES), features, strict=True))
    assert named["price_known"] == 1.0
    assert named["log_price"] == pytest.approx(np.log(0.24))
    assert named["log_params"] == pytest.approx(np.log(56) / 6)
    assert named["mistral"] == 1.0
    assert dict(zip(NAME_FEATURES, describe_name("o1-mini"), strict=True))["gpt"] == 1.0
    assert plain_name("anthropic/Claude_3.5_Sonnet-latest") == "claude-3.5-sonnet"


def test_outcomes_move_an_ability_to_the_truth_and_few_move_it_little() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 3)).astype(np.float32)
    difficulty = rng.normal(size=4000).astype(np.float32)
    theta, bias = np.array([1.0, -0.5, 0.2]), 0.7
    p = 1 / (1 + np.exp(-(features @ theta - difficulty + bias)))
    correct = rng.random(4000) < p
    found = fit_ability(features, difficulty, correct, flat())
    assert found.theta == pytest.approx(theta, abs=0.12)
    assert found.bias == pytest.approx(bias, abs=0.12)
    assert found.n_labels == 4000
    few = fit_ability(
        features[:3], difficulty[:3], correct[:3], flat(), covariance=np.eye(4) * 0.01
    )
    assert np.abs(few.vector).max() < 0.1


def test_no_outcomes_leave_the_prior_and_one_sided_ones_stay_finite() -> None:
    prior = flat(theta=(0.3, 0.1, 0.0), bias=1.0)
    none = fit_ability(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), [], prior)
    assert none.theta == pytest.approx(prior.theta)
    features = np.full((500, 3), 50.0, dtype=np.float32)
    sided = fit_ability(features, np.zeros(500, np.float32), np.ones(500, bool), prior)
    assert np.isfinite(sided.vector).all()


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(UsageError, match=r"expected \[2, 3\]"):
        fit_ability(np.zeros((2, 5), np.float32), np.zeros(2, np.float32), [True, False], flat())


@pytest.mark.parametrize("gone", ["abilities", "aliases", "prior", "k"])
def test_an_incomplete_table_is_damaged(gone: str) -> None:
    content = abilities_json(tiny_fitted(), ALIASES)
    del content[gone]
    with pytest.raises(ArtifactDamagedError, match=r"abilities\.json"):
        Abilities.from_json(content)
