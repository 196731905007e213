"""Whose form a configuration has: cascadeflow's or ours, and never a mixture."""

from __future__ import annotations

import pytest
import yaml

from router.migration import is_cascadeflow
from tests.cascadeflow_files import MODELS, fault

# Which form it is


@pytest.mark.parametrize(
    "text",
    [
        "models: [{name: m, base_url: 'http://h'}]",
        "models: [{name: m}, {name: n, quality_score: 0.9}]",
        "settings: {verbose: true}",
        "channels: {}",
        "quality: {threshold: 0.7}",
        "domains: {code: {drafter: a}}",
        "models: [{name: m, base_url: 'http://h'}]\nbudget: {daily_limit: 1}",
    ],
)
def test_a_key_of_cascadeflows_tells_its_form(text: str) -> None:
    assert is_cascadeflow(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "models: [{name: m, provider: openai, cost: 0.1, max_tokens: 100, api_key: k}]",
        "models: [{name: m, bse_url: 'http://h'}]",
        "quality: {target_quality: 0.97}",
        "domains: {domains: {CODE: [m]}}",
        "budget: {daily_limit: 1}",
        "models: nonsense\nquality: nonsense\ndomains: nonsense",
        "models: [nonsense]\ndomains: {code: nonsense}",
    ],
)
def test_anything_else_is_ours(text: str) -> None:
    assert not is_cascadeflow(yaml.safe_load(text), file_name="sluice.yaml")


def test_a_files_name_decides_where_its_keys_do_not() -> None:
    either = {"models": [{"name": "m", "provider": "openai"}]}
    for name in ("cascadeflow.yaml", ".cascadeflow.json"):
        assert is_cascadeflow(either, file_name=name)
        assert not is_cascadeflow({**either, "preset": "balanced"}, file_name=name)


@pytest.mark.parametrize(
    ("addition", "key"),
    [
        ("budget: {daily_limit: 1}", "budget"),
        ("stream_policy: optimistic", "stream_policy"),
        ("quality: {target_quality: 0.97}", "quality.target_quality"),
        ("domains: {enabled: false}", "domains.enabled"),
    ],
)
def test_a_mixture_of_both_forms_is_refused(addition: str, key: str) -> None:
    assert fault(f"{MODELS}settings: {{}}\n{addition}") == (
        f"'{key}' is Sluice's, in a configuration of cascadeflow's form; write one form "
        "throughout (docs/migration.md has the names)"
    )


def test_a_model_of_both_forms_is_refused() -> None:
    text = "models: [{name: m, provider: vllm, api_base: 'http://h', base_url: 'http://h'}]"
    assert fault(text).startswith("'models[0].api_base' is Sluice's")
