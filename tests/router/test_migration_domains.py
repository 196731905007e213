"""cascadeflow's domains: which keep their chains, and what a chain cannot say here."""

from __future__ import annotations

import pytest

from tests.cascadeflow_files import MODELS, chain_names, fault, note_on, read, with_domains

# Domains


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("code", "CODE"),
        ("math", "MATH"),
        ("data", "DATA"),
        ("medical", "MEDICAL"),
        ("legal", "LEGAL"),
        ("financial", "FINANCE"),
        ("creative", "CREATIVE"),
        ("translation", "TRANSLATION"),
        ("summary", "SUMMARIZATION"),
        ("general", "DEFAULT"),
    ],
)
def test_a_domain_that_is_known_here_keeps_its_chain(theirs: str, ours: str) -> None:
    migrated = with_domains(f"{{{theirs}: {{drafter: mini, verifier: big}}}}")
    assert chain_names(migrated.config) == {ours: ["mini", "big"]}


def test_the_general_chain_serves_more_here_and_says_so() -> None:
    migrated = with_domains("{general: {drafter: mini, verifier: big}}")
    assert note_on(migrated, "domains.general").endswith("as DEFAULT")


@pytest.mark.parametrize(
    "name",
    "structured rag conversation tool comparison science factual multimodal".split(),
)
def test_a_domain_that_is_not_told_apart_here_is_left_out(name: str) -> None:
    migrated = with_domains(f"{{{name}: {{drafter: mini, verifier: elsewhere, threshold: 0.5}}}}")
    assert migrated.config.domains is None
    assert migrated.notes == (f"domains.{name}: left out; no such domain is told apart here",)


def test_a_disabled_domain_is_left_out() -> None:
    migrated = with_domains("{code: {drafter: mini, verifier: big, enabled: false}}")
    assert migrated.config.domains is None
    assert note_on(migrated, "domains.code") == "left out; it is disabled"


def test_a_chain_with_its_own_parameters_has_models_of_its_own() -> None:
    migrated = read(
        "models: [{name: mini, provider: openai, cost: 1, temperature: 0.9, max_tokens: 10}, "
        "{name: big, provider: openai, cost: 2}]\n"
        "domains: {math: {drafter: mini, verifier: big, temperature: 0.1, "
        "fallback_models: [mini]}}"
    )
    config = migrated.config
    assert config.domains is not None
    drafter, verifier = config.domains.domains["MATH"]
    assert (drafter.name, drafter.model) == ("mini@math", "mini")
    assert drafter.params == {"temperature": 0.1, "max_tokens": 10}
    assert (verifier.name, verifier.model, verifier.fallbacks) == ("big@math", "big", ("mini",))
    assert verifier.params == {"temperature": 0.1}
    assert config.models[0].params == {"temperature": 0.9, "max_tokens": 10}
    assert "wins over the call's own" in note_on(migrated, "domains.math.temperature")


def test_a_chain_may_hold_models_of_its_own() -> None:
    migrated = with_domains(
        "{legal: {drafter: mini, verifier: {name: opus, provider: anthropic, speed_ms: 9}}}"
    )
    assert chain_names(migrated.config) == {"LEGAL": ["mini", "opus"]}
    assert "domains.legal.verifier.speed_ms: left out; latency is measured here" in migrated.notes


def test_a_required_verifier_is_the_whole_chain() -> None:
    migrated = with_domains("{medical: {drafter: mini, verifier: big, require_verifier: true}}")
    assert chain_names(migrated.config) == {"MEDICAL": ["big"]}
    assert note_on(migrated, "domains.medical.require_verifier") == (
        "the chain is the verifier alone"
    )


def test_a_model_that_verifies_itself_stands_once() -> None:
    migrated = with_domains("{data: {drafter: big, verifier: big}}")
    assert chain_names(migrated.config) == {"DATA": ["big"]}


@pytest.mark.parametrize(
    "key",
    [
        "threshold",
        "validation_method",
        "tool_drafter",
        "tool_verifier",
        "adaptive_threshold",
        "skip_on_simple",
        "cascade_complexities",
        "description",
        "metadata",
    ],
)
def test_what_a_domain_cannot_say_here_is_noted(key: str) -> None:
    migrated = with_domains(f"{{code: {{drafter: mini, verifier: big, {key}: 0.5}}}}")
    assert note_on(migrated, f"domains.code.{key}").startswith("left out; ")
    assert chain_names(migrated.config) == {"CODE": ["mini", "big"]}


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        (
            "{code: {drafter: minii, verifier: big}}",
            "'domains.code.drafter': no model of 'models' is called 'minii', so cascadeflow would "
            "ask another one instead; did you mean 'mini'?",
        ),
        (
            "{code: {drafter: mini, verifier: [big]}}",
            "'domains.code.verifier': input should be a valid dictionary",
        ),
        ("{code: {drafter: mini}}", "'domains.code.verifier': field required"),
        (
            "{code: {drafter: mini, verifier: big, treshold: 1}}",
            "'domains.code.treshold' is not known; did you mean 'threshold'?",
        ),
        (
            "{code: {drafter: mini, verifier: big, threshold: 2}}",
            "'domains.code.threshold': input should be less than or equal to 1",
        ),
        (
            "{coding: {drafter: mini, verifier: big}}",
            "'domains': unknown domain 'coding'; did you mean 'code'?",
        ),
        (
            "{code: {drafter: mini, verifier: big, fallback_models: [bigger]}}",
            "'fallbacks' of 'big@code': no other model is called 'bigger'; did you mean 'big'?",
        ),
        (
            "{code: {drafter: {name: mini, provider: groq}, verifier: big}}",
            "'domains.domains.CODE[0].name': another model is called 'mini' too",
        ),
    ],
)
def test_a_wrong_domain_is_refused(domains: str, message: str) -> None:
    assert fault(f"{MODELS}domains: {domains}").startswith(message)
