"""Configuration files: what is read, and how a wrong one is refused in one line."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from router.config import ModelConfig
from router.config_file import load_config, parse_cascade
from router.errors import ConfigError
from router.presets import PRESET_BALANCED

SECRET = "sk-very-secret-0123456789"
MINI = {"name": "gpt-4o-mini", "provider": "openai"}
BIG = {"name": "gpt-4o", "provider": "openai"}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str | bytes, *, name: str = "sluice.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write_file


def fault(path: Path) -> str:
    """What is said of a file that is refused, without its name; always one line."""
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    start = f"{path}: "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


WHOLE = """
models:
  - &mini {name: gpt-4o-mini, provider: openai, cost: 0.00015}
  - name: gpt-4o
    provider: openai
    api_key: ${SLUICE_TEST_KEY}
    input_cost: 2.5
    output_cost: 10
    timeout: {total_s: 90}
    fallbacks: [sonnet]
  - {name: sonnet, model: claude-sonnet-4-5, provider: anthropic}
quality: {target_quality: 0.97, min_length: 10}
domains:
  enabled: true
  domains:
    CODE: [gpt-4o-mini, sonnet]
    MATH:
      - <<: *mini
        name: careful-mini
        model: gpt-4o-mini
        params: {temperature: 0}
      - gpt-4o
budget: {daily_limit: "${SLUICE_TEST_LIMIT:-10}", action: drafters_only}
stream_policy: optimistic
"""


def test_a_yaml_file_holds_a_whole_cascade(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_TEST_KEY", SECRET)
    config = load_config(write(WHOLE))
    mini, big, sonnet = config.models
    assert (mini.cost, big.input_cost, big.timeout.total_s) == (0.00015, 2.5, 90.0)
    assert big.api_key is not None
    assert big.api_key.get_secret_value() == SECRET
    assert config.quality.target_quality == 0.97
    assert config.domains is not None
    assert config.domains.domains["CODE"] == (mini, sonnet)
    careful, verifier = config.domains.domains["MATH"]
    assert (careful.name, careful.cost, careful.params) == (
        "careful-mini",
        0.00015,
        {"temperature": 0},
    )
    assert verifier == big
    assert config.budget is not None
    assert (config.budget.daily_limit, config.budget.action) == (10.0, "drafters_only")
    assert config.stream_policy == "optimistic"
    assert SECRET not in repr(config)


@pytest.mark.parametrize("name", ["a.json", "b.JSON"])
def test_a_json_file_says_the_same(write: Write, name: str) -> None:
    given = {"models": [MINI, BIG], "quality": {"min_length": 3}}
    config = load_config(write(json.dumps(given, indent="\t"), name=name))
    assert config == parse_cascade(given)


def test_a_path_may_be_a_string_and_text_may_begin_with_a_byte_order_mark(write: Write) -> None:
    path = write(b"\xef\xbb\xbfmodels: [{name: gpt-4o}]", name="x.yml")
    assert load_config(str(path)).models == (ModelConfig(name="gpt-4o"),)


# The environment


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("http://${SLUICE_TEST_HOST}/v1", "http://gpu-1/v1"),
        ("http://${SLUICE_TEST_HOST}:${SLUICE_TEST_PORT:-8000}/v1", "http://gpu-1:8000/v1"),
        ("http://${SLUICE_TEST_EMPTY:-local}/v1", "http://local/v1"),
        ("http://h${SLUICE_TEST_UNSET:-}/v1", "http://h/v1"),
        ("http://${SLUICE_TEST_UNSET:-a:-b}/v1", "http://a:-b/v1"),
        ("http://$${SLUICE_TEST_HOST}/v1", "http://${SLUICE_TEST_HOST}/v1"),
        ("http://$HOST/$$/v1", "http://$HOST/$$/v1"),
    ],
)
def test_references_to_the_environment_are_resolved(
    write: Write, monkeypatch: pytest.MonkeyPatch, text: str, base: str
) -> None:
    monkeypatch.setenv("SLUICE_TEST_HOST", "gpu-1")
    monkeypatch.setenv("SLUICE_TEST_EMPTY", "")
    given = {"models": [{"name": "m", "provider": "vllm", "api_base": text}]}
    assert load_config(write(json.dumps(given), name="c.json")).models[0].api_base == base


def test_what_the_environment_holds_is_text_and_nothing_else(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_TEST_KEY", "a, provider: groq}] # ${HOME}")
    model = load_config(write("models: [{name: m, model: '${SLUICE_TEST_KEY}'}]")).models[0]
    assert model.model == "a, provider: groq}] # ${HOME}"
    assert model.provider == "openai"


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_variable_is_named_with_its_place(
    write: Write, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("SLUICE_TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SLUICE_TEST_KEY", value)
    path = write("models:\n  - {name: m, endpoints: [{api_key: '${SLUICE_TEST_KEY}'}]}")
    assert fault(path) == (
        "'models[0].endpoints[0].api_key': the environment variable SLUICE_TEST_KEY is missing "
        "or empty"
    )


def test_all_references_at_fault_are_said_at_once(write: Write) -> None:
    path = write("models: [{name: '${SLUICE_TEST_UNSET}', model: 'x${1}'}]")
    parts = fault(path).split("; ")
    assert parts[0] == (
        "'models[0].name': the environment variable SLUICE_TEST_UNSET is missing or empty"
    )
    assert parts[1].startswith("'models[0].model': after '${' comes the name")


@pytest.mark.parametrize("reference", ["${}", "${1X}", "${A B}", "${A-b}", "${a:=b}"])
def test_a_malformed_reference_is_refused(write: Write, reference: str) -> None:
    path = write(f"models: [{{name: '{reference}'}}]")
    assert fault(path).startswith("'models[0].name': after '${' comes the name of an environment")


def test_a_value_from_the_environment_never_shows(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_TEST_KEY", SECRET)
    for key in ("api_base", "cost", "max_tokens", "logprobs", "timeout", "headers"):
        path = write(f"models: [{{name: m, {key}: '${{SLUICE_TEST_KEY}}'}}]")
        assert f"'models[0].{key}" in fault(path)


# Files that cannot be read


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    assert fault(tmp_path / "none.yaml") == "cannot be read (No such file or directory)"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    assert fault(tmp_path / "folder.yaml") == "cannot be read (Is a directory)"


@pytest.mark.parametrize("name", ["sluice.toml", "sluice", "sluice.yaml.bak"])
def test_another_kind_of_file_is_refused(write: Write, name: str) -> None:
    message = "a configuration's name ends in .json, .yaml, .yml"
    assert fault(write("models: []", name=name)) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected keys and values at the top, such as 'models:'"),
        ("# nothing yet\n", "expected keys and values at the top, such as 'models:'"),
        ("- name: m", "expected keys and values at the top, such as 'models:'"),
        (SECRET, "expected keys and values at the top, such as 'models:'"),
        (b"models: \xff\xfe", "not UTF-8 text"),
        ("models: \x01", "not YAML (a character that YAML does not allow)"),
        (
            "models:\n  - name: a\n  provider: b",
            "line 3: not YAML (while parsing a block collection, expected <block end>, but found",
        ),
        (
            "models:\n\t- name: a",
            "line 2: not YAML (while scanning for the next token, found character ... that cannot",
        ),
        ("a: b: c", "line 1: not YAML (mapping values are not allowed here)"),
        (f"a: 'x\nb: {SECRET}", "line 2: not YAML (while scanning a quoted scalar, found "),
        (f"a:\n  api_key: *{SECRET}", "line 2: not YAML (found undefined alias ...)"),
        (f"a:\n  api_key: !{SECRET} x", "line 2: not YAML (could not determine a constructor for "),
        (f"a: !it's-{SECRET} x", "line 1: not YAML (could not determine a constructor for the"),
        (
            "a: {b: 1",
            "line 1: not YAML (while parsing a flow mapping, expected ',' or '}', but got",
        ),
        (
            f"a: &{SECRET} 1\nb: &{SECRET} 2",
            "line 2: not YAML (found duplicate anchor ...; first occurrence, second occurrence)",
        ),
        (
            "a: 1\n---\nb: 2",
            "line 2: not YAML (expected a single document in the stream, but found another",
        ),
        ("a: 2024-13-45", "not YAML (a value looks like a date or number and is none)"),
        ("a: &x [*x]", "nested too deeply, or an alias stands within itself"),
        ("a: " + "[" * 2000 + "]" * 2000, "nested too deeply, or an alias stands within itself"),
    ],
)
def test_what_is_not_a_yaml_configuration_is_refused_with_its_line(
    write: Write, text: str | bytes, message: str
) -> None:
    assert fault(write(text)).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: not JSON (Expecting value)"),
        ('{\n "models": [,]}', "line 2: not JSON (Expecting value)"),
        ("[]", "expected keys and values at the top, such as 'models:'"),
        ("[" * 100_000, "nested too deeply, or an alias stands within itself"),
    ],
)
def test_what_is_not_a_json_configuration_is_refused_with_its_line(
    write: Write, text: str, message: str
) -> None:
    assert fault(write(text, name="c.json")) == message


# Keys


def test_a_key_that_is_there_twice_is_refused(write: Write) -> None:
    text = f"models:\n  - name: m\n    api_key: {SECRET}\n    provider: groq\n    api_key: other\n"
    assert fault(write(text)) == "line 5: the key 'api_key' is there twice"
    assert fault(write("models: []\nquality: {}\nmodels: []")) == (
        "line 3: the key 'models' is there twice"
    )
    twice = '{"models": [{"name": "m", "api_key": "a", "api_key": "b"}]}'
    assert fault(write(twice, name="c.json")) == "the key 'api_key' is there twice"


@pytest.mark.parametrize("key", ["on", "1", "null", "2024-08-06", "[a]"])
def test_a_key_that_is_no_string_is_refused(write: Write, key: str) -> None:
    assert fault(write(f"models: []\n{key}: 1")) == (
        "line 2: a key is not a string; put it in quotes"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modls: []", "'modls' is not known; did you mean 'models'?"),
        (
            "models: [{name: a}, {name: b, provder: groq}]",
            "'models[1].provder' is not known; did you mean 'provider'?",
        ),
        (
            "models: [{name: a}]\nquality: {targetquality: 1}",
            "'quality.targetquality' is not known; did you mean 'target_quality'?",
        ),
        (
            "models: [{name: a}]\nbudget: {dayly_limit: 1}",
            "'budget.dayly_limit' is not known; did you mean 'daily_limit'?",
        ),
        (
            "models: [{name: a}]\ndomains: {domains: {CODE: [{name: b, timeout: {totals: 1}}]}}",
            "'domains.domains.CODE[0].timeout.totals' is not known; did you mean 'total_s'?",
        ),
    ],
)
def test_an_unknown_key_is_refused_at_every_level(write: Write, text: str, message: str) -> None:
    assert fault(write(text)) == message


def test_the_error_carries_the_key(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write("models: [{name: a, provder: groq}]"))
    assert caught.value.param == "models[0].provder"


# Names in chains


def test_a_chain_names_models(write: Write) -> None:
    text = "models: [{name: gpt-4o-mini}, {name: gpt-4o}]\ndomains: {domains: {LEGAL: [gpt-4]}}"
    assert fault(write(text)) == (
        "'domains.domains.LEGAL[0]': no model is called 'gpt-4'; did you mean 'gpt-4o'?"
    )


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"models": "m", "domains": {"domains": {"CODE": ["m"]}}}, "domains.domains.CODE[0]"),
        ({"models": [None], "domains": {"domains": {"CODE": ["m"]}}}, "domains.domains.CODE[0]"),
        ({"models": [MINI], "domains": {"domains": {"CODE": "m"}}}, "domains.domains.CODE"),
        ({"models": [MINI], "domains": {"domains": ["m"]}}, "domains.domains"),
        ({"models": [MINI], "domains": ["m"]}, "domains"),
        ({"models": [MINI], "domains": {"domains": {"CODE": []}}}, "domains.domains"),
    ],
)
def test_domains_of_another_shape_are_refused(given: Any, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cascade(given)
    assert caught.value.param == path
    assert str(caught.value).startswith(f"'{path}': ")


def test_models_made_in_code_can_be_named_too() -> None:
    model = ModelConfig(name="mine")
    given = {"models": [model], "domains": {"domains": {"DATA": ["mine"]}}}
    config = parse_cascade(given)
    assert config.domains is not None
    assert config.domains.domains["DATA"] == (model,)


# Presets


def test_a_preset_fills_in_what_is_not_given(write: Write) -> None:
    config = load_config(write("preset: balanced\nquality: {min_length: 5}"))
    assert config.models == PRESET_BALANCED.models
    assert (config.quality.target_quality, config.quality.min_length) == (0.98, 5)
    assert config.preset == "balanced"


# cascadeflow's files


def test_a_file_of_cascadeflow_is_read_and_what_it_loses_is_logged(
    write: Write, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_TEST_KEY", SECRET)
    path = write(
        "models:\n"
        "  - {name: gpt-4o-mini, provider: openai, cost: 0.00015, speed_ms: 600}\n"
        "  - {name: gpt-4o, provider: openai, cost: 0.00625, api_key: '${SLUICE_TEST_KEY}'}\n"
    )
    with caplog.at_level(logging.WARNING, logger="sluice"):
        config = load_config(path)
    assert [model.cost for model in config.models] == [0.00015, 0.00625]
    assert caplog.messages == [
        f"{path}, written for cascadeflow: models[0].speed_ms: left out; latency is measured here"
    ]
    assert SECRET not in caplog.text


def test_a_file_called_cascadeflow_is_taken_for_one(write: Write) -> None:
    text = "models: [{name: gpt-4o, provider: openai, max_tokens: 500}]"
    assert load_config(write(text, name=".cascadeflow.yml")).models[0].params == {"max_tokens": 500}
    assert load_config(write(text, name="mine.yml")).models[0].max_tokens == 500


def test_a_wrong_file_of_cascadeflow_is_refused_by_its_own_names(write: Write) -> None:
    text = "models: [{name: m, provider: openai, qualty_score: 1}]\nsettings: {}"
    assert fault(write(text)) == (
        "'models[0].qualty_score' is not known; did you mean 'quality_score'?"
    )


def test_an_own_file_logs_nothing(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        load_config(write("preset: balanced"))
    assert caplog.messages == []
