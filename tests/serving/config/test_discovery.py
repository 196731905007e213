"""A gateway from what is there: which models, in which order, under which names."""

from __future__ import annotations

import pytest

from router.errors import ConfigError
from router.model_limits import max_output_tokens
from router.prices import price_of
from router.providers.catalogue import PROVIDERS
from serving.config import GatewayConfig, parse_gateway_config
from serving.config.discovery import Discovery, discover, discovered_config, no_models_hint
from serving.config.starting_models import STARTING_MODELS
from tests.serving.config.local_servers import nobody, ollama, ollama_entry, vllm, vllm_entry


def find(**environ: str) -> Discovery:
    return discover({**nobody(), **environ})


def chains(found: Discovery) -> dict[str, tuple[str, ...]]:
    return {name: cascade.models for name, cascade in found.cascades.items()}


# The table


@pytest.mark.parametrize("provider", STARTING_MODELS)
def test_what_to_start_with_is_priced_and_the_strong_model_costs_more(provider: str) -> None:
    pair = STARTING_MODELS[provider]
    prices = [price_of(model) for model in (pair.cheap, pair.strong)]
    cheap, strong = (price.input_cost + price.output_cost for price in prices if price is not None)
    assert cheap < strong
    for model in (pair.cheap, pair.strong):
        assert model.provider == provider
        assert max_output_tokens(model) is not None


def test_every_provider_with_a_key_has_something_to_start_with() -> None:
    assert set(STARTING_MODELS) == {spec.name for spec in PROVIDERS.values() if spec.needs_key}


@pytest.mark.parametrize("provider", STARTING_MODELS)
def test_one_key_is_enough(provider: str) -> None:
    variable = PROVIDERS[provider].key_variables[0]
    found = find(**{variable: "sk"})
    pair = STARTING_MODELS[provider]
    assert found.keys == {provider: variable}
    assert chains(found) == {"auto": (pair.cheap.name, pair.strong.name)}
    assert discovered_config(GatewayConfig(), found).auto_cascade == "auto"


# Several providers


def test_two_drafters_of_different_make_stand_before_the_dearest_verifier() -> None:
    found = find(OPENAI_API_KEY="sk", GOOGLE_API_KEY="sk", ANTHROPIC_API_KEY="sk")
    assert found.keys["gemini"] == "GOOGLE_API_KEY"
    assert chains(found) == {"auto": ("gemini-2.5-flash-lite", "gpt-6-luna", "claude-sonnet-4-6")}
    assert len(found.models) == 6


def test_one_model_at_two_providers_is_not_two_drafters() -> None:
    found = find(OPENAI_API_KEY="sk", OPENROUTER_API_KEY="sk")
    assert chains(found) == {"auto": ("gpt-6-luna", "gpt-6.1-terra")}


def test_a_name_that_two_providers_use_is_told_apart() -> None:
    found = find(GROQ_API_KEY="sk", TOGETHER_API_KEY="sk")
    names = {model.name: (model.provider, model.model) for model in found.models}
    assert names["openai/gpt-oss-120b"] == ("groq", None)
    assert names["together/openai/gpt-oss-120b"] == ("together", "openai/gpt-oss-120b")


def test_drafting_never_costs_more_than_asking_at_once() -> None:
    for keys in (("GROQ_API_KEY", "MISTRAL_API_KEY"), ("DEEPSEEK_API_KEY", "GEMINI_API_KEY")):
        found = find(**dict.fromkeys(keys, "sk"))
        by_name = {model.name: price_of(model) for model in found.models}
        *drafters, verifier = (by_name[name] for name in found.cascades["auto"].models)
        assert verifier is not None
        spent = sum(one.input_cost * 3 + one.output_cost for one in drafters if one is not None)
        assert spent < verifier.input_cost * 3 + verifier.output_cost


def test_a_blank_key_is_none() -> None:
    assert find(OPENAI_API_KEY="  ").models == ()


# Local servers


def test_local_models_alone_draft_for_the_biggest() -> None:
    entries = [ollama_entry("big", "70.6B"), ollama_entry("small", "3.2B"), ollama_entry("m", "8B")]
    with ollama(*entries) as server:
        found = find(OLLAMA_HOST=server.origin)
    assert chains(found) == {"auto": ("small", "m", "big")}
    assert all(model.cost == 0.0 for model in found.models)


def test_one_local_model_is_a_cascade_too() -> None:
    with vllm(vllm_entry("m-7b")) as server:
        found = find(VLLM_BASE_URL=server.url)
    assert chains(found) == {"auto": ("m-7b",)}
    (model,) = found.models
    assert (model.provider, model.max_tokens) == ("vllm", 8192)


def test_local_models_draft_before_a_paid_verifier() -> None:
    entries = [ollama_entry("tiny", "1B"), ollama_entry("mid", "8B"), ollama_entry("big", "32B")]
    with ollama(*entries) as server:
        found = find(OLLAMA_HOST=server.origin, OPENAI_API_KEY="sk")
    assert chains(found) == {
        "auto": ("mid", "big", "gpt-6.1-terra"),
        "local": ("tiny", "mid", "big"),
    }


def test_one_local_model_has_a_paid_drafter_beside_it() -> None:
    with ollama(ollama_entry("m", "8B")) as server:
        found = find(OLLAMA_HOST=server.origin, OPENAI_API_KEY="sk")
    assert chains(found)["auto"] == ("m", "gpt-6-luna", "gpt-6.1-terra")


def test_local_names_that_are_taken_get_their_server_before_them() -> None:
    with (
        vllm(vllm_entry("auto"), vllm_entry("gpt-6-luna")) as one,
        ollama(ollama_entry("local", "1B"), ollama_entry("sluice-encoder", "2B")) as other,
    ):
        found = find(VLLM_BASE_URL=one.url, OLLAMA_HOST=other.origin, OPENAI_API_KEY="sk")
    local = {model.name: model.model for model in found.models if model.cost == 0.0}
    assert local == {
        "vllm/auto": "auto",
        "vllm/gpt-6-luna": "gpt-6-luna",
        "ollama/local": "local",
        "ollama/sluice-encoder": "sluice-encoder",
    }
    discovered_config(GatewayConfig(), found)


def test_models_for_embeddings_are_for_embeddings() -> None:
    entries = [ollama_entry("m", "8B"), ollama_entry("nomic-embed-text", "137M", family="bert")]
    with ollama(*entries) as server:
        found = find(OLLAMA_HOST=server.origin)
    config = discovered_config(GatewayConfig(), found)
    assert [model.name for model in config.models] == ["m"]
    assert [model.name for model in config.embeddings] == ["nomic-embed-text"]


# Without a file


def test_nothing_found_is_refused_and_says_what_was_looked_for() -> None:
    with pytest.raises(ConfigError, match="OLLAMA_HOST: nothing answers"):
        discovered_config(GatewayConfig(), find())


def test_a_configuration_that_has_models_is_left_alone() -> None:
    found = find(OPENAI_API_KEY="sk")
    config = parse_gateway_config({"models": [{"name": "m"}]})
    with pytest.raises(ConfigError, match="has models already"):
        discovered_config(config, found)


def test_the_rest_of_the_configuration_stays() -> None:
    config = parse_gateway_config({"budget": {"daily_limit": 1}, "embeddings": [{"name": "e"}]})
    made = discovered_config(config, find(OPENAI_API_KEY="sk"))
    assert made.budget.daily_limit == 1.0
    assert [model.name for model in made.embeddings] == ["e"]


def test_the_hint_names_what_is_set_already() -> None:
    assert "Set OPENAI_API_KEY" in no_models_hint({})
    said = no_models_hint({"GEMINI_API_KEY": "sk-secret", "GROQ_API_KEY": "sk-secret"})
    assert "GEMINI_API_KEY and GROQ_API_KEY are set: start with --discover" in said
    assert "sk-secret" not in said
    assert "\n" not in said
