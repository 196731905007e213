"""cascadeflow's configurations: what comes along, what is noted, what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from router.config_file import load_config
from router.migration.form import (
    DOMAINS,
    CascadeForm,
    DomainForm,
    FileForm,
    ModelForm,
    QualityForm,
    SettingsForm,
)
from tests.cascadeflow_files import DOCUMENTED, MODELS, SECRET, chain_names, fault, note_on, read

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "migration.md").read_text(encoding="utf-8")


def test_the_documented_form_comes_along() -> None:
    migrated = read(DOCUMENTED)
    config = migrated.config
    assert [(model.name, model.cost) for model in config.models] == [
        ("gpt-4o-mini", 0.00015),
        ("gpt-4o", 0.0025),
    ]
    assert chain_names(config) == {
        "CODE": ["gpt-4o-mini@code", "gpt-4o@code"],
        "MEDICAL": ["gpt-4o"],
        "DEFAULT": ["gpt-4o-mini", "gpt-4o"],
    }
    assert config.domains is not None
    assert config.domains.enabled
    about = sorted(key for note in migrated.notes for key in note.partition(": ")[0].split(", "))
    assert about == [
        "channel_failover",
        "channels",
        "domains.code.temperature",
        "domains.code.threshold",
        "domains.code.validation_method",
        "domains.general",
        "domains.medical.require_verifier",
        "domains.medical.threshold",
        "domains.medical.validation_method",
        "models[0].supports_tools",
        "models[1].supports_tools",
        "settings.verbose",
    ]


def test_nothing_is_noted_where_all_means_the_same() -> None:
    migrated = read(
        f"{MODELS}"
        "settings: {enable_cascade: true}\n"
        "cascade: {max_retries: 1, timeout: 20}\n"
        "domains: {code: {drafter: mini, verifier: big}}\n"
    )
    assert migrated.notes == ()


# Models


def test_a_model_keeps_its_name_place_key_and_cost() -> None:
    migrated = read(
        "models: [{name: m, provider: Custom, cost: 0.002, base_url: 'http://h:1/v1', "
        f"api_key: {SECRET}}}]"
    )
    (model,) = migrated.config.models
    assert (model.provider, model.api_base, model.cost) == ("custom", "http://h:1/v1", 0.002)
    assert model.api_key is not None
    assert model.api_key.get_secret_value() == SECRET
    assert SECRET not in repr(migrated)


def test_temperature_and_max_tokens_are_a_calls_defaults() -> None:
    migrated = read("models: [{name: m, provider: openai, temperature: 0.2, max_tokens: 300}]")
    (model,) = migrated.config.models
    assert model.params == {"temperature": 0.2, "max_tokens": 300}
    assert model.max_tokens is None
    assert "as 'params'" in note_on(migrated, "models[0].max_tokens")


@pytest.mark.parametrize(
    ("base_url", "api_base"),
    [
        ("http://gpu:11434", "http://gpu:11434/v1"),
        ("http://gpu:11434/", "http://gpu:11434/v1"),
        ("http://gpu:11434/v1", "http://gpu:11434/v1"),
    ],
)
def test_ollamas_address_gets_the_path_of_its_openai_api(base_url: str, api_base: str) -> None:
    migrated = read(f"models: [{{name: m, provider: ollama, base_url: '{base_url}'}}]")
    assert migrated.config.models[0].api_base == api_base
    assert bool(migrated.notes) == (base_url != api_base)


@pytest.mark.parametrize(
    "key", ["quality_score", "speed_ms", "keywords", "domains", "system_prompt", "extra"]
)
def test_what_a_model_cannot_say_here_is_noted(key: str) -> None:
    migrated = read(f"models: [{{name: m, provider: openai, {key}: [{SECRET}]}}]")
    assert note_on(migrated, f"models[0].{key}").startswith("left out; ")
    assert SECRET not in str(migrated)


def test_one_note_speaks_for_all_models() -> None:
    migrated = read(
        "models: [{name: a, provider: openai, cost: 1, speed_ms: 1}, "
        "{name: b, provider: openai, cost: 2, speed_ms: 2, http_config: {}}]"
    )
    assert migrated.notes == (
        "models[0].speed_ms, models[1].speed_ms: left out; latency is measured here",
        "models[1].http_config: left out; there is no such setting here",
    )


def test_models_stand_in_order_of_cost() -> None:
    migrated = read(
        "models: [{name: big, provider: openai, cost: 0.01}, {name: odd, provider: openai}, "
        "{name: mini, provider: openai, cost: 0.0001}]"
    )
    assert [model.name for model in migrated.config.models] == ["mini", "odd", "big"]
    assert note_on(migrated, "models") == "put in order of cost, as cascadeflow does"


@pytest.mark.parametrize("provider", ["huggingface", "replicate", "custom"])
def test_a_provider_without_an_address_is_refused(provider: str) -> None:
    assert fault(f"models: [{{name: m, provider: {provider}, cost: 1}}]") == (
        f"'models[0].provider': {provider} is reached by an OpenAI-compatible API only; "
        "give its address in 'models[0].base_url'"
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{provider: openai}", "'models[0].name': field required"),
        ("{name: m}", "'models[0].provider': field required"),
        (
            "{name: m, provider: openai, temperature: 3}",
            "'models[0].temperature': input should be less than or equal to 2",
        ),
        (
            "{name: m, provider: openai, cost: -1}",
            "'models[0].cost': input should be greater than or equal to 0",
        ),
        (
            "{name: m, provider: openai, base_url: localhost}",
            "'models[0].api_base': should begin with http:// or https://",
        ),
        (f"{{name: m, provider: openai, cost: {SECRET}}}", "'models[0].cost': input should be a "),
        (
            "{name: m, provider: openai, quality_scor: 1}",
            "'models[0].quality_scor' is not known; did you mean 'quality_score'?",
        ),
    ],
)
def test_a_wrong_model_is_refused(model: str, message: str) -> None:
    assert fault(f"models: [{model}]").startswith(message)


# Quality, cascade, settings


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ("quality: {threshold: 0.7}", ["quality.threshold"]),
        ("cascade: {quality_threshold: 0.7}", ["cascade.quality_threshold"]),
        (
            "quality: {threshold: 0.7}\ncascade: {quality_threshold: 0.7}",
            ["quality.threshold", "cascade.quality_threshold"],
        ),
        (
            "quality: {confidence_thresholds: "
            "{trivial: 0.7, simple: 0.7, moderate: 0.7, hard: 0.7, expert: 0.7}}",
            ["quality.confidence_thresholds"],
        ),
    ],
)
def test_one_threshold_is_the_floor_of_acceptance(settings: str, keys: list[str]) -> None:
    migrated = read(MODELS + settings)
    assert migrated.config.quality.confidence_threshold == 0.7
    for key in keys:
        assert note_on(migrated, key).startswith("is 'quality.confidence_threshold'")


@pytest.mark.parametrize(
    "levels",
    [
        "{trivial: 0.25, simple: 0.4, moderate: 0.55, hard: 0.7, expert: 0.8}",
        "{simple: 0.7}",
    ],
)
def test_thresholds_by_complexity_are_left_out(levels: str) -> None:
    migrated = read(f"{MODELS}quality: {{confidence_thresholds: {levels}}}")
    assert migrated.config.quality.confidence_threshold is None
    assert note_on(migrated, "quality.confidence_thresholds").startswith("left out; ")


def test_lengths_that_hold_for_all_are_the_least_length() -> None:
    same = "{trivial: 5, simple: 5, moderate: 5, hard: 5, expert: 5}"
    migrated = read(f"{MODELS}quality: {{min_length_thresholds: {same}}}")
    assert migrated.config.quality.min_length == 5
    assert migrated.notes == ()
    migrated = read(f"{MODELS}quality: {{min_length_thresholds: {{trivial: 1, hard: 50}}}}")
    assert migrated.config.quality.min_length == 1
    assert note_on(migrated, "quality.min_length_thresholds").startswith("left out; ")


@pytest.mark.parametrize(
    "key",
    [
        "require_specifics_for_complex",
        "max_hedging_ratio",
        "min_specificity_score",
        "enable_hallucination_detection",
        "enable_comparative",
        "enable_adaptive",
        "log_decisions",
        "log_details",
    ],
)
def test_what_quality_cannot_say_here_is_noted(key: str) -> None:
    migrated = read(f"{MODELS}quality: {{{key}: true}}")
    assert note_on(migrated, f"quality.{key}").startswith("left out; ")


def test_retries_and_timeout_are_every_models() -> None:
    config = read(f"{MODELS}cascade: {{max_retries: 0, timeout: 12}}").config
    assert [(model.max_retries, model.timeout.total_s) for model in config.models] == [
        (0, 12.0),
        (0, 12.0),
    ]


@pytest.mark.parametrize(
    "key",
    [
        "require_minimum_tokens",
        "max_budget",
        "track_costs",
        "track_metrics",
        "routing_strategy",
        "use_speculative",
        "deferral_strategy",
        "comparative_delta",
        "verbose",
        "log_level",
    ],
)
def test_what_the_cascade_cannot_say_here_is_noted(key: str) -> None:
    migrated = read(f"{MODELS}cascade: {{{key}: 1}}")
    assert note_on(migrated, f"cascade.{key}").startswith("left out; ")


def test_without_a_cascade_the_dearest_model_is_asked() -> None:
    migrated = read(
        f"{MODELS}settings: {{enable_cascade: false}}\n"
        "domains: {code: {drafter: mini, verifier: big}}"
    )
    assert [model.name for model in migrated.config.models] == ["big"]
    assert migrated.config.domains is None
    assert note_on(migrated, "settings.enable_cascade").startswith("only the most expensive")


def test_domains_that_are_not_detected_are_kept_and_not_used() -> None:
    migrated = read(
        f"{MODELS}settings: {{enable_domain_detection: false}}\n"
        "domains: {code: {drafter: mini, verifier: big}}"
    )
    assert migrated.config.domains is not None
    assert not migrated.config.domains.enabled


@pytest.mark.parametrize(
    "setting",
    [
        "channels: {voice: big}",
        "channel_failover: {voice: text}",
        "tiers: {free: {daily_budget: 1}}",
        "workflows: {draft_mode: {}}",
        "harness: {mode: enforce}",
        "mode: enforce",
        "budget: 0.5",
        "max_tool_calls: 3",
        "max_latency_ms: 100",
        "max_energy: 5",
        "kpi_targets: {quality: 1}",
        "kpi_weights: {quality: 1}",
        "compliance: gdpr",
        "verbose: true",
    ],
)
def test_what_a_file_cannot_say_here_is_noted(setting: str) -> None:
    migrated = read(MODELS + setting)
    assert note_on(migrated, setting.partition(":")[0]).startswith("left out; ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("settings: {}", "'models': field required"),
        ("models: []\nsettings: {}", "'models' is empty, expected at least one model"),
        (
            f"{MODELS}setings: {{}}",
            "'setings' is not known; did you mean 'settings'?",
        ),
        (
            f"{MODELS}settings: {{enable_cascde: true}}",
            "'settings.enable_cascde' is not known; did you mean 'enable_cascade'?",
        ),
        (
            f"{MODELS}quality: {{treshold: 0.7}}",
            "'quality.treshold' is not known; did you mean 'threshold'?",
        ),
        (
            f"{MODELS}cascade: {{time_out: 3}}",
            "'cascade.time_out' is not known; did you mean 'timeout'?",
        ),
        (
            f"{MODELS}quality: {{threshold: 0.7}}\ncascade: {{quality_threshold: 0.8}}",
            "quality.threshold and cascade.quality_threshold differ; keep one",
        ),
        (
            f"{MODELS}cascade: {{timeout: -1}}",
            "'models[0].timeout.total_s': input should be greater than 0",
        ),
        (
            "models: [{name: m, provider: openai}, {name: m, provider: openai}]",
            "'models[1].name': 'm' is there twice",
        ),
    ],
)
def test_a_wrong_file_is_refused(text: str, message: str) -> None:
    assert fault(text) == message


# The page about it


@pytest.mark.parametrize(
    "form", [FileForm, ModelForm, DomainForm, QualityForm, CascadeForm, SettingsForm]
)
def test_the_page_names_every_key(form: type[BaseModel]) -> None:
    tables = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", tables))))
    assert set(form.model_fields) <= named
    assert set(DOMAINS) <= named


def test_the_pages_two_files_are_one_cascade(tmp_path: Path) -> None:
    files = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in files] == ["cascadeflow.yaml", "sluice.yaml"]
    for name, text in files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    theirs, ours = (load_config(tmp_path / name) for name, _ in files)
    assert theirs == ours
