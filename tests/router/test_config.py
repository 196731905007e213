"""Configurations are checked where they enter: what is wrong is named, and no key is shown."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from router.config import (
    DOMAIN_KEYS,
    BudgetConfig,
    BudgetStatus,
    CascadeConfig,
    DomainConfig,
    EndpointConfig,
    ModelConfig,
    QualityConfig,
    TimeoutConfig,
    nearest,
    parse_config,
)
from router.errors import ConfigError

SECRET = "sk-very-secret-0123456789"
MINI: dict[str, Any] = {"name": "gpt-4o-mini", "provider": "openai"}
BIG: dict[str, Any] = {"name": "gpt-4o", "provider": "openai"}


def fault(kind: type[BaseModel], given: Any, *, where: str = "") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_config(kind, given, where=where)
    return caught.value


# A model


def test_a_model_needs_no_more_than_a_name() -> None:
    model = parse_config(ModelConfig, {"name": "gpt-4o"})
    assert (model.provider, model.cost, model.params) == ("openai", None, {})
    assert model.timeout == TimeoutConfig()


def test_what_is_already_parsed_passes_as_it_is() -> None:
    model = ModelConfig(name="gpt-4o")
    assert parse_config(ModelConfig, model) is model


def test_a_provider_is_lower_case_without_spaces() -> None:
    assert ModelConfig(name="m", provider=" OpenAI ").provider == "openai"


@pytest.mark.parametrize(
    ("given", "param", "message"),
    [
        ({}, "models[1].name", "'models[1].name': field required"),
        (
            {"name": ""},
            "models[1].name",
            "'models[1].name': string should have at least 1 character",
        ),
        (
            {"name": "m", "provder": "groq"},
            "models[1].provder",
            "'models[1].provder' is not known; did you mean 'provider'?",
        ),
        (
            {"name": "m", "base_url": "http://h"},
            "models[1].base_url",
            "'models[1].base_url' is not known; did you mean 'api_base'?",
        ),
        ({"name": "m", "zzz": 1}, "models[1].zzz", "'models[1].zzz' is not known"),
        (
            {"name": "m", "cost": -1},
            "models[1].cost",
            "'models[1].cost': input should be greater than or equal to 0",
        ),
        (
            {"name": "m", "cost": float("inf")},
            "models[1].cost",
            "'models[1].cost': input should be a finite number",
        ),
        (
            {"name": "m", "api_base": "localhost:8000"},
            "models[1].api_base",
            "'models[1].api_base': should begin with http:// or https://",
        ),
        (
            {"name": "m", "max_tokens": 0},
            "models[1].max_tokens",
            "'models[1].max_tokens': input should be greater than or equal to 1",
        ),
        (
            {"name": "m", "max_retries": 11},
            "models[1].max_retries",
            "'models[1].max_retries': input should be less than or equal to 10",
        ),
        (
            {"name": "m", "timeout": {"total_s": 0}},
            "models[1].timeout.total_s",
            "'models[1].timeout.total_s': input should be greater than 0",
        ),
        (
            {"name": "m", "timeout": {"totl_s": 5}},
            "models[1].timeout.totl_s",
            "'models[1].timeout.totl_s' is not known; did you mean 'total_s'?",
        ),
        (
            {"name": "m", "endpoints": [{"modle": "x"}]},
            "models[1].endpoints[0].modle",
            "'models[1].endpoints[0].modle' is not known; did you mean 'model'?",
        ),
        (
            {"name": "m", "cost": 0.1, "input_cost": 1, "output_cost": 2},
            "models[1]",
            "'models[1]': give 'cost' or 'input_cost' and 'output_cost', not both",
        ),
        (
            {"name": "m", "input_cost": 1},
            "models[1]",
            "'models[1]': give both 'input_cost' and 'output_cost', or neither",
        ),
        (
            "gpt-4o",
            "models[1]",
            "'models[1]': input should be a valid dictionary or instance of ModelConfig",
        ),
    ],
)
def test_a_wrong_model_is_refused_by_the_name_of_its_field(
    given: Any, param: str, message: str
) -> None:
    error = fault(ModelConfig, given, where="models[1]")
    assert str(error) == message
    assert error.param == param


def test_every_wrong_field_is_named_at_once() -> None:
    error = fault(ModelConfig, {"nam": "m", "cost": -1})
    assert str(error) == (
        "'name': field required; 'cost': input should be greater than or equal to 0; "
        "'nam' is not known; did you mean 'name'?"
    )
    assert error.param == "name"


def test_a_configuration_cannot_be_changed() -> None:
    model: Any = ModelConfig(name="m")
    with pytest.raises(ValidationError, match="frozen"):
        model.name = "other"


# Keys


def test_keys_and_headers_do_not_show() -> None:
    model = ModelConfig.model_validate(
        {
            **MINI,
            "api_key": SECRET,
            "headers": {"x-key": SECRET},
            "endpoints": [{"api_key": SECRET}],
        }
    )
    config = CascadeConfig(models=(model,))
    for shown in (repr(model), str(model), repr(config), f"{model.endpoints}"):
        assert SECRET not in shown
    assert model.api_key is not None
    assert model.api_key.get_secret_value() == SECRET


@pytest.mark.parametrize(
    "given",
    [
        {**MINI, "api_key": [SECRET]},
        {**MINI, "api_key": {SECRET: SECRET}},
        {**MINI, "api_base": SECRET},
        {**MINI, "headers": SECRET},
        {**MINI, "headers": {"x": [SECRET]}},
        {**MINI, "endpoints": [{"api_key": {"a": SECRET}}]},
        {**MINI, "cost": SECRET},
        {**MINI, "key": SECRET},
        {"name": [SECRET]},
        SECRET,
    ],
)
def test_no_error_shows_a_value(given: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = fault(ModelConfig, given)
    assert SECRET not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert SECRET not in caplog.text


# Quality, domains, budget


def test_the_contracts_quality_config() -> None:
    quality = QualityConfig(
        min_length=10,
        max_length=5000,
        confidence_threshold=0.7,
        semantic_similarity=0.85,
        target_quality=0.97,
    )
    assert quality.target_quality == 0.97
    assert not quality.return_rejected_draft


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target_quality": 97}, "'target_quality': input should be less than or equal to 1"),
        ({"min_length": -1}, "'min_length': input should be greater than or equal to 0"),
        ({"min_length": 9, "max_length": 3}, "'max_length' is below 'min_length'"),
        (
            {"target_qualty": 0.9},
            "'target_qualty' is not known; did you mean 'target_quality'?",
        ),
    ],
)
def test_a_wrong_quality_is_refused(given: Any, message: str) -> None:
    assert str(fault(QualityConfig, given)) == message


def test_domains_are_the_ten_with_default_for_general() -> None:
    assert "GENERAL" not in DOMAIN_KEYS
    assert DOMAIN_KEYS[-1] == "DEFAULT"
    assert len(DOMAIN_KEYS) == 10


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        ({"CODING": [MINI]}, "'domains': unknown domain 'CODING'; did you mean CODE?"),
        ({"code": [MINI]}, "'domains': unknown domain 'code'; did you mean CODE?"),
        ({"CODE": []}, "'domains': the chain of CODE is empty"),
        (
            {"CODE": [MINI, {"name": "m", "provder": "x"}]},
            "'domains.CODE[1].provder' is not known; did you mean 'provider'?",
        ),
    ],
)
def test_a_wrong_domain_is_refused(domains: Any, message: str) -> None:
    error = fault(DomainConfig, {"domains": domains})
    assert str(error).startswith(message)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"daily_limit": 0}, "'daily_limit': input should be greater than 0"),
        ({"monthly_limit": float("nan")}, "'monthly_limit': input should be a finite number"),
        ({"action": "stop"}, "'action': input should be 'refuse' or 'drafters_only'"),
        ({"on_limit_exceeded": "call me"}, "'on_limit_exceeded': input should be callable"),
        (
            {"user_daily_limit": 1},
            "'user_daily_limit' is not known; did you mean 'per_user_daily_limit'?",
        ),
    ],
)
def test_a_wrong_budget_is_refused(given: Any, message: str) -> None:
    assert str(fault(BudgetConfig, given)) == message


def test_a_budget_tells_its_callback_what_is_spent() -> None:
    told: list[BudgetStatus] = []
    budget = BudgetConfig(daily_limit=10.0, on_limit_exceeded=told.append)
    assert budget.on_limit_exceeded is not None
    status = BudgetStatus(scope="daily", limit_usd=10.0, spent_usd=9.99, resets_in_s=60.0)
    budget.on_limit_exceeded(status)
    assert told == [status]


# A whole cascade


def test_a_cascade_has_defaults_for_all_but_its_models() -> None:
    config = parse_config(CascadeConfig, {"models": [MINI, BIG]})
    assert [model.name for model in config.models] == ["gpt-4o-mini", "gpt-4o"]
    assert (config.domains, config.budget, config.stream_policy) == (None, None, "buffered")
    assert config.quality == QualityConfig()


def test_a_default_chain_may_stand_in_for_models() -> None:
    config = parse_config(CascadeConfig, {"domains": {"domains": {"DEFAULT": [MINI, BIG]}}})
    assert config.models == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "'models' is empty, expected at least one model"),
        (
            {"domains": {"domains": {"CODE": [MINI]}}},
            "'models' is empty, expected at least one model",
        ),
        (
            {"domains": {"enabled": False, "domains": {"DEFAULT": [MINI]}}},
            "'models' is empty, expected at least one model",
        ),
        ({"models": [MINI, BIG, MINI]}, "'models[2].name': 'gpt-4o-mini' is there twice"),
        (
            {"models": [MINI], "domains": {"domains": {"MATH": [{**MINI, "cost": 1}]}}},
            "'domains.domains.MATH[0].name': another model is called 'gpt-4o-mini' too; name one "
            "of them otherwise and say with 'model' what it is called upstream",
        ),
        (
            {"models": [{**MINI, "fallbacks": ["gpt-4"]}, BIG]},
            "'fallbacks' of 'gpt-4o-mini': no other model is called 'gpt-4'; "
            "did you mean 'gpt-4o'?",
        ),
        (
            {"models": [{**MINI, "fallbacks": ["gpt-4o-mini"]}]},
            "'fallbacks' of 'gpt-4o-mini': no other model is called 'gpt-4o-mini'",
        ),
        ({"models": [MINI], "budgt": {}}, "'budgt' is not known; did you mean 'budget'?"),
        (
            {"models": [MINI], "stream_policy": "fast"},
            "'stream_policy': input should be 'buffered' or 'optimistic'",
        ),
        (
            {"models": [MINI, {**BIG, "provder": "x"}]},
            "'models[1].provder' is not known; did you mean 'provider'?",
        ),
        (
            {
                "models": [MINI],
                "domains": {"domains": {"CODE": [{**BIG, "timeout": {"conect_s": 1}}]}},
            },
            "'domains.domains.CODE[0].timeout.conect_s' is not known; did you mean 'connect_s'?",
        ),
        (
            {"models": [MINI], "budget": {"daly_limit": 1}},
            "'budget.daly_limit' is not known; did you mean 'daily_limit'?",
        ),
    ],
)
def test_a_wrong_cascade_is_refused_with_the_whole_path(given: Any, message: str) -> None:
    assert str(fault(CascadeConfig, given)) == message


def test_a_chain_repeats_a_model_as_a_whole_and_falls_back_on_any() -> None:
    drafter = {**MINI, "fallbacks": ["sonnet"]}
    sonnet = {"name": "sonnet", "provider": "anthropic"}
    config = parse_config(
        CascadeConfig,
        {"models": [drafter, BIG], "domains": {"domains": {"CODE": [drafter, sonnet]}}},
    )
    assert config.domains is not None
    assert config.domains.domains["CODE"][0] == config.models[0]


def test_endpoints_may_leave_everything_to_the_model() -> None:
    assert EndpointConfig().provider is None


def test_the_nearest_name_is_offered_only_when_it_is_near() -> None:
    assert nearest("qualty", ["quality", "models"]) == "; did you mean 'quality'?"
    assert nearest("zzz", ["quality", "models"]) == ""
    assert nearest("x", []) == ""
