"""A configuration that is already read: presets, names, and what a mapping may not do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from router.config import CascadeConfig
from router.config_file import parse_cascade
from router.errors import ConfigError
from router.presets import PRESET_BALANCED, PRESET_ULTRA_FAST

SECRET = "sk-very-secret-0123456789"
MINI = {"name": "gpt-4o-mini", "provider": "openai"}
BIG = {"name": "gpt-4o", "provider": "openai"}


def test_what_is_given_wins_over_a_preset() -> None:
    given = {"preset": "ultra_fast", "models": [MINI], "quality": {"target_quality": 0.9}}
    config = parse_cascade({**given, "stream_policy": "buffered"})
    assert [model.name for model in config.models] == ["gpt-4o-mini"]
    assert config.quality.target_quality == 0.9
    assert config.quality.optimistic_above == PRESET_ULTRA_FAST.quality.optimistic_above
    assert config.stream_policy == "buffered"


def test_a_chain_can_name_a_presets_model() -> None:
    given = {"preset": "balanced", "domains": {"domains": {"CODE": ["gpt-4o-mini", "gpt-4o"]}}}
    config = parse_cascade(given)
    assert config.domains is not None
    assert config.domains.domains["CODE"][-1] == PRESET_BALANCED.models[-1]


@pytest.mark.parametrize("preset", ["cheap", ["balanced"], 3])
def test_an_unknown_preset_is_refused(preset: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cascade({"preset": preset}, where="cascades.fast")
    assert str(caught.value) == (
        "'cascades.fast.preset' must be one of ultra_fast, balanced, cost_optimized"
    )


def test_a_wrong_quality_beside_a_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="'quality': input should be a valid dictionary"):
        parse_cascade({"preset": "balanced", "quality": "high"})


# Mappings


def test_a_mapping_is_called_what_its_owner_calls_it() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cascade({"models": [{"name": "a", "provder": "b"}]}, where="cascades.fast")
    assert caught.value.param == "cascades.fast.models[0].provder"


@pytest.mark.parametrize("given", [None, [], "models"])
def test_only_a_mapping_is_a_configuration(given: Any) -> None:
    with pytest.raises(ConfigError, match="must be a mapping, found"):
        parse_cascade(given)


def test_a_mapping_does_not_reach_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_TEST_KEY", SECRET)
    config = parse_cascade({"models": [{"name": "m", "model": "${SLUICE_TEST_KEY}"}]})
    assert config.models[0].model == "${SLUICE_TEST_KEY}"


def test_what_is_given_stays_as_it_is() -> None:
    given = {"models": [MINI], "domains": {"domains": {"CODE": ["gpt-4o-mini"]}}}
    before = json.dumps(given)
    assert isinstance(parse_cascade(given), CascadeConfig)
    assert json.dumps(given) == before
