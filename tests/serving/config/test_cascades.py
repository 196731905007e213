"""The pool and the cascades: names, whole models in chains, presets, and what "auto" stands for."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from router.config import ModelConfig
from router.errors import ConfigError
from router.presets import PRESET_BALANCED
from serving.config import (
    CascadeSettings,
    GatewayConfig,
    parse_gateway_config,
)

Fault = Callable[..., str]

MODELS = [{"name": "a"}, {"name": "b"}, {"name": "c"}]


def refusal(given: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_gateway_config(given)
    return str(caught.value)


# auto


def test_models_alone_are_a_complete_configuration() -> None:
    config = parse_gateway_config({"models": MODELS})
    assert config.cascades == {}
    assert config.auto_cascade == "auto"
    assert config.serving_cascades == {"auto": CascadeSettings(models=("a", "b", "c"))}


def test_auto_is_the_cascade_of_that_name_else_the_first() -> None:
    cascades = {"fast": {"models": ["a", "b"]}, "auto": {"models": ["b", "c"]}}
    config = parse_gateway_config({"models": MODELS, "cascades": cascades})
    assert config.auto_cascade == "auto"
    del cascades["auto"]
    config = parse_gateway_config({"models": MODELS, "cascades": cascades})
    assert config.auto_cascade == "fast"
    assert list(config.serving_cascades) == ["fast"]


def test_without_models_there_is_no_auto() -> None:
    config = GatewayConfig()
    assert config.auto_cascade is None
    assert config.serving_cascades == {}


# Names


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"models": [{"name": "a"}, {"name": "a", "model": "x"}]},
            "'models[1].name': 'a' is the name of 'models[0]' already; give it another and say",
        ),
        (
            {"models": MODELS, "cascades": {"a": {"models": ["a", "b"]}}},
            "'cascades.a': 'a' is the name of 'models[0]' already; give it another",
        ),
        (
            {"models": MODELS, "embeddings": [{"name": "b"}]},
            "'embeddings[0].name': 'b' is the name of 'models[1]' already",
        ),
        ({"models": [{"name": "auto"}]}, "'models[0].name': 'auto' stands for a cascade"),
        ({"embeddings": [{"name": "auto"}]}, "'embeddings[0].name': 'auto' stands for"),
        (
            {"models": [{"name": "sluice-encoder"}]},
            "'models[0].name': 'sluice-encoder' is the name of the artifact's own encoder already",
        ),
        ({"models": [{"name": "модель"}]}, "'models[0].name': a name should be printable ASCII"),
        ({"models": [{"name": "a\nb"}]}, "'models[0].name': a name should be printable ASCII"),
        (
            {"models": MODELS, "cascades": {" x": {"models": ["a"]}}},
            "'cascades. x': a name should be printable ASCII",
        ),
        (
            {"models": [{"name": "gpt-4o"}], "cascades": {"x": {"models": ["gpt-4"]}}},
            "'cascades.x.models[0]': no model is called 'gpt-4'; did you mean 'gpt-4o'?",
        ),
        (
            {"models": [{"name": "gpt-4o"}], "cascades": {"x": {"domains": {"DEFAULT": ["o"]}}}},
            "'cascades.x.domains.DEFAULT[0]': no model is called 'o'",
        ),
        (
            {"models": [{"name": "a", "fallbacks": ["a"]}]},
            "'models[0].fallbacks[0]': no other model is called 'a'",
        ),
        (
            {"embeddings": [{"name": "e", "fallbacks": ["f"]}]},
            "'embeddings[0].fallbacks': vectors of two models do not compare",
        ),
    ],
)
def test_names_have_to_fit_together(given: Any, message: str) -> None:
    assert refusal(given).startswith(message)


def test_all_names_at_fault_are_said_at_once() -> None:
    cascades = {"a": {"models": ["x", "b"]}, "f": {"models": ["y"]}}
    said = refusal({"models": MODELS, "cascades": cascades})
    assert [part.split(":")[0] for part in said.split("; ") if part.startswith("'")] == [
        "'cascades.a'",
        "'cascades.a.models[0]'",
        "'cascades.f.models[0]'",
    ]


@pytest.mark.parametrize(
    ("cascade", "message"),
    [
        ({}, "'cascades.x': 'models' is empty, expected at least one model"),
        ({"models": []}, "'cascades.x': 'models' is empty"),
        ({"domains": {"CODE": ["a"]}}, "'cascades.x': 'models' is empty"),
        ({"models": ["a", "b", "a"]}, "'cascades.x': 'a' is there twice in 'models'"),
        (
            {"models": ["a"], "domains": {"MATH": ["b", "b"]}},
            "'cascades.x': 'b' is there twice in 'domains.MATH'",
        ),
        (
            {"models": ["a"], "domains": {"COOKING": ["b"]}},
            "'cascades.x.domains': unknown domain 'COOKING'; did you mean",
        ),
        ({"models": ["a"], "domains": {"CODE": []}}, "'cascades.x.domains': the chain of CODE is"),
        ({"models": "a"}, "'cascades.x.models': input should be a valid tuple"),
        ({"models": [4]}, "'cascades.x.models[0]': input should be a valid string"),
        ("a", "'cascades.x': input should be a valid dictionary"),
        ({"models": ["a"], "preset": "cheap"}, "'cascades.x.preset' must be one of ultra_fast"),
        (
            {"models": ["a"], "cache": {"threshold": 2}},
            "'cascades.x.cache.threshold': input",
        ),
        ({"models": ["a"], "stream_policy": "wild"}, "'cascades.x.stream_policy': input should be"),
    ],
)
def test_a_cascade_that_is_none_is_refused(cascade: Any, message: str) -> None:
    assert refusal({"models": MODELS, "cascades": {"x": cascade}}).startswith(message)


def test_a_default_chain_stands_in_for_models() -> None:
    domains = {"CODE": ["b", "a"], "DEFAULT": ["a", "c"]}
    config = parse_gateway_config({"models": MODELS, "cascades": {"x": {"domains": domains}}})
    assert config.cascades["x"].names == ("b", "a", "c")


# Whole models in chains


def test_whole_models_in_a_chain_join_the_pool() -> None:
    mini = {"name": "mini", "provider": "groq"}
    cascades = {
        "x": {"models": [mini, "a"], "domains": {"CODE": [{"name": "coder"}, "a"]}},
        "y": {"models": [mini, "b"]},
    }
    config = parse_gateway_config({"models": MODELS, "cascades": cascades})
    assert [model.name for model in config.models] == ["a", "b", "c", "mini", "coder"]
    assert config.cascades["x"].models == ("mini", "a")
    assert config.cascades["x"].domains == {"CODE": ("coder", "a")}
    assert config.models[3] == ModelConfig(name="mini", provider="groq")


def test_a_wrong_model_in_a_chain_is_named_where_it_stands() -> None:
    cascades = {"x": {"models": ["a", {"name": "m", "provder": "groq"}, {"cost": 1}], "cahce": {}}}
    assert refusal({"models": MODELS, "cascades": cascades}) == (
        "'cascades.x.models[1].provder' is not known; did you mean 'provider'?; "
        "'cascades.x.models[2].name': field required; "
        "'cascades.x.cahce' is not known; did you mean 'cache'?"
    )


def test_one_name_is_one_model() -> None:
    cascades = {"x": {"models": [{"name": "a", "provider": "groq"}, "b"]}}
    assert refusal({"models": MODELS, "cascades": cascades}).startswith(
        "'cascades.x.models[0].name': another model is called 'a' too"
    )
    cascades = {"x": {"models": [{"name": "a"}, "b"]}}
    config = parse_gateway_config({"models": MODELS, "cascades": cascades})
    assert len(config.models) == 3


# Presets


def test_a_preset_brings_its_models_and_quality() -> None:
    cascade = {"preset": "balanced", "quality": {"min_length": 4}}
    config = parse_gateway_config({"cascades": {"auto": cascade}})
    assert config.models == PRESET_BALANCED.models
    found = config.cascades["auto"]
    assert found.models == tuple(model.name for model in PRESET_BALANCED.models)
    assert (found.quality.target_quality, found.quality.min_length) == (0.98, 4)
    assert found.preset == "balanced"


def test_the_pool_may_say_more_of_a_presets_model() -> None:
    name = PRESET_BALANCED.models[0].name
    own = {"name": name, "provider": "openai", "api_base": "http://127.0.0.1:1/v1"}
    config = parse_gateway_config({"models": [own], "cascades": {"auto": {"preset": "balanced"}}})
    assert len(config.models) == len(PRESET_BALANCED.models)
    assert config.models[0].api_base == "http://127.0.0.1:1/v1"


def test_what_is_made_in_code_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="no model is called 'm'"):
        GatewayConfig(cascades={"x": CascadeSettings(models=("m",))})


def test_a_configuration_can_be_handed_to_another_process() -> None:
    given = {
        "models": [{"name": "a", "api_key": "k"}],
        "auth": {"admin_key": "0123456789"},
        "cascades": {"x": {"models": ["a"], "domains": {"CODE": ["a"]}}},
    }
    config = parse_gateway_config(given)
    assert pickle.loads(pickle.dumps(config)) == config
