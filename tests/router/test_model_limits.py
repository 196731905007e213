"""The longest answer of a model: by exact id, or not known."""

from __future__ import annotations

import pytest

from router.config import ModelConfig
from router.model_limits import max_output_tokens


@pytest.mark.parametrize(
    ("provider", "model", "limit"),
    [
        ("anthropic", "claude-3-haiku-20240307", 4_096),
        ("anthropic", "claude-3-opus-latest", 4_096),
        ("anthropic", "claude-3-5-sonnet-20241022", 8_192),
        ("anthropic", "claude-3-7-sonnet-20250219", 64_000),
        ("anthropic", "claude-sonnet-4-20250514", 64_000),
        ("anthropic", "claude-opus-4-20250514", 32_000),
        ("anthropic", "claude-opus-4-1-20250805", 32_000),
        ("anthropic", "claude-opus-4-5-20251101", 64_000),
        ("anthropic", "claude-haiku-4-5-20251001", 64_000),
        ("anthropic", "claude-sonnet-4-6", 128_000),
        ("openai", "gpt-4o", 16_384),
        ("openai", "gpt-4o-2024-05-13", 4_096),
        ("openai", "gpt-4o-mini-2024-07-18", 16_384),
        ("openai", "gpt-4.1-mini", 32_768),
        ("openai", "o3-mini", 100_000),
        ("openai", "gpt-5-2025-08-07", 128_000),
        ("openai", "gpt-3.5-turbo-0125", 4_096),
        ("gemini", "gemini-2.0-flash-001", 8_192),
        ("deepseek", "deepseek-chat", 8_192),
        ("groq", "openai/gpt-oss-20b", 131_072),
        ("openrouter", "anthropic/claude-3.5-sonnet", 8_192),
        ("openrouter", "openai/GPT-4o", 16_384),
    ],
)
def test_known_models(provider: str, model: str, limit: int) -> None:
    assert max_output_tokens(ModelConfig(name=model, provider=provider)) == limit


def test_the_configuration_comes_first() -> None:
    assert max_output_tokens(ModelConfig(name="gpt-4o", max_tokens=100)) == 100


def test_the_upstream_name_counts_not_ours() -> None:
    assert max_output_tokens(ModelConfig(name="drafter", model="gpt-4o-mini")) == 16_384


def test_the_context_window_bounds_what_is_not_in_the_table() -> None:
    config = ModelConfig(name="Qwen/Qwen3.5-9B", provider="together")
    assert max_output_tokens(config) == 262_144


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini-foo"),
        ("ollama", "llama3.1"),
        ("anthropic", "claude-of-tomorrow"),
        ("openrouter", "deepseek/deepseek-chat-of-tomorrow"),
    ],
)
def test_what_is_unknown_is_none(provider: str, model: str) -> None:
    assert max_output_tokens(ModelConfig(name=model, provider=provider)) is None
