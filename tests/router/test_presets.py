"""Presets work as they are: known providers, known prices, a verifier above its drafters."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from router.chat import Usage
from router.config import CascadeConfig
from router.presets import (
    PRESET_BALANCED,
    PRESET_COST_OPTIMIZED,
    PRESET_ULTRA_FAST,
    PRESETS,
    Preset,
)
from router.prices import price_of
from router.providers.catalogue import find_provider

each_preset = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


def blended_cost(preset: Preset) -> list[float]:
    usage = Usage(prompt_tokens=750_000, completion_tokens=250_000)
    prices = [price_of(model) for model in preset.models]
    assert None not in prices
    costs = [price.cost_usd(usage) for price in prices if price is not None]
    return [cost for cost in costs if cost is not None]


@each_preset
def test_models_have_catalogue_prices_and_stand_from_cheap_to_dear(preset: Preset) -> None:
    costs = blended_cost(preset)
    assert len(costs) == len(preset.models)
    assert costs == sorted(costs)
    assert len(set(costs)) == len(costs)


@each_preset
def test_two_drafters_can_agree(preset: Preset) -> None:
    assert len(preset.models) == 3


@each_preset
def test_drafting_twice_costs_less_than_the_verifier(preset: Preset) -> None:
    *drafters, verifier = blended_cost(preset)
    assert sum(drafters) < verifier


@each_preset
def test_providers_are_known_and_keys_are_left_to_the_environment(preset: Preset) -> None:
    for model in preset.models:
        assert find_provider(model.provider).key_variables
        assert model.api_key is None


@each_preset
def test_a_preset_is_a_whole_configuration(preset: Preset) -> None:
    config = CascadeConfig(
        models=preset.models, quality=preset.quality, stream_policy=preset.stream_policy
    )
    assert config.models == preset.models


def test_each_preset_leans_to_its_side() -> None:
    assert PRESET_ULTRA_FAST.stream_policy == "optimistic"
    assert {model.provider for model in PRESET_ULTRA_FAST.models} == {"groq"}
    assert PRESET_BALANCED.quality.target_quality == 0.98
    assert PRESET_COST_OPTIMIZED.quality.target_quality == 0.96
    assert sum(blended_cost(PRESET_COST_OPTIMIZED)) < sum(blended_cost(PRESET_BALANCED))


def test_presets_go_by_their_names() -> None:
    assert list(PRESETS) == ["ultra_fast", "balanced", "cost_optimized"]
    assert all(name == preset.name for name, preset in PRESETS.items())


def test_a_preset_cannot_be_changed() -> None:
    changed: Any = PRESET_BALANCED
    with pytest.raises(FrozenInstanceError):
        changed.name = "mine"
