"""How many tokens a model can write in one answer, by exact id, with or without its date.

From the providers' own model pages, as of November 2026. A limit can only be too low if a provider
raises it; `ModelConfig.max_tokens` overrides what is here.
"""

from __future__ import annotations

from typing import Final

from .config import ModelConfig
from .prices import context_window, undated

__all__ = ["max_output_tokens"]

_IDS: Final = {
    4_096: """
        claude-2 claude-2-0 claude-2-1 claude-3-haiku claude-3-opus claude-3-sonnet
        gpt-3.5-turbo gpt-3.5-turbo-0125 gpt-3.5-turbo-1106 gpt-4-0125-preview gpt-4-1106-preview
        gpt-4-turbo gpt-4-turbo-preview gpt-4o-2024-05-13
        """,
    8_192: """
        claude-3-5-haiku claude-3-5-sonnet
        deepseek-chat
        gemini-1.5-flash gemini-1.5-flash-8b gemini-1.5-pro gemini-2.0-flash gemini-2.0-flash-lite
        gemma2-9b-it gpt-4 gpt-4-0613 llama3-70b-8192 llama3-8b-8192
        meta-llama/llama-4-maverick-17b-128e-instruct meta-llama/llama-4-scout-17b-16e-instruct
        """,
    16_384: """
        chatgpt-4o gpt-4.5-preview gpt-4o gpt-4o-audio-preview gpt-4o-mini
        gpt-4o-mini-search-preview gpt-4o-search-preview gpt-5-chat
        gpt-5.1-chat gpt-5.2-chat gpt-5.3-chat
        """,
    32_000: "claude-opus-4 claude-opus-4-0 claude-opus-4-1 gpt-5.3-codex-spark",
    32_768: """
        gpt-4-32k gpt-4.1 gpt-4.1-mini gpt-4.1-nano llama-3.3-70b-versatile o1-preview
        """,
    40_960: "qwen/qwen3-32b",
    64_000: """
        claude-3-7-sonnet claude-haiku-4-5 claude-opus-4-5 claude-sonnet-4 claude-sonnet-4-0
        claude-sonnet-4-5
        """,
    65_536: """
        deepseek-reasoner
        gemini-2.5-flash gemini-2.5-flash-lite gemini-2.5-flash-lite-preview gemini-2.5-pro
        gemini-3-flash-preview gemini-3-pro-preview gemini-3.1-flash-lite
        gemini-3.1-flash-lite-preview gemini-3.1-pro-preview gemini-3.5-flash gemini-3.5-flash-lite
        gemini-3.6-flash gemini-3.7-flash gemini-3.8-flash gemini-4-argon gemini-flash
        gemini-flash-lite gemini-pro
        o1-mini
        """,
    100_000: "codex-mini o1 o1-pro o3 o3-mini o3-pro o4-mini",
    128_000: """
        claude-fable-5 claude-fable-5-1 claude-fable-5-2 claude-haiku-5-5 claude-mythos-5
        claude-mythos-5-1 claude-mythos-5-2 claude-opus-4-6 claude-opus-4-7 claude-opus-4-8
        claude-opus-5 claude-opus-5-5 claude-sonnet-4-6 claude-sonnet-5 claude-sonnet-5-5
        gpt-5 gpt-5-codex gpt-5-mini gpt-5-nano gpt-5.1 gpt-5.1-codex gpt-5.1-codex-max
        gpt-5.1-codex-mini gpt-5.2 gpt-5.2-codex gpt-5.2-pro gpt-5.3-codex gpt-5.4 gpt-5.4-mini
        gpt-5.4-nano gpt-5.4-pro gpt-5.5 gpt-5.5-pro gpt-5.6 gpt-5.6-luna gpt-5.6-sol gpt-5.6-terra
        gpt-6-astra gpt-6-luna gpt-6-sol gpt-6.1-sol gpt-6.1-terra
        open-mistral-nemo
        """,
    131_072: """
        gpt-oss-120b gpt-oss-20b gpt-oss-safeguard-20b llama-3.1-8b-instant
        meta-llama/llama-3.3-70b-instruct-turbo meta-llama/meta-llama-3.1-405b-instruct-turbo
        meta-llama/meta-llama-3.1-70b-instruct-turbo meta-llama/meta-llama-3.1-8b-instruct-turbo
        mistral-large-2407 mistral-large-2411 mistral-medium-2505 mistral-small-2506
        """,
    262_144: """
        devstral-2512 mistral-large mistral-large-2512 mistral-medium mistral-medium-2508
        mistral-medium-2604 mistral-small mistral-small-2603
        """,
    272_000: "gpt-5-pro",
    384_000: "deepseek-flash deepseek-v4-flash deepseek-v4-pro",
}
_LIMITS: Final = {name: limit for limit, names in _IDS.items() for name in names.split()}

# Whose models are the same wherever they are had; of open models every host sets its own limit.
_MAKERS: Final = ("anthropic", "google", "openai")


def max_output_tokens(config: ModelConfig) -> int | None:
    """The most tokens the model can write in one answer, its reasoning included.

    What the configuration says, else what is known of the model, else its context window, which
    bounds any answer; None when nothing is known. Not the context window of Anthropic's models:
    there the number is sent, and one that is too high is refused.
    """
    if config.max_tokens is not None:
        return config.max_tokens
    model = config.model or config.name
    known = _known_limit(model)
    if known is not None or config.provider == "anthropic":
        return known
    return context_window(config.provider, model)


def _known_limit(model: str) -> int | None:
    name = model.lower()
    maker, _, rest = name.partition("/")
    if maker in _MAKERS:
        name = rest
    if name.startswith("claude-"):
        name = name.replace(".", "-")  # claude-3.5-sonnet and claude-3-5-sonnet are one model
    return _LIMITS.get(name, _LIMITS.get(undated(name)))
