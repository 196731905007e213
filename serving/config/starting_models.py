"""What to begin with at each provider: one cheap model and one strong one, as of November 2026.

All are in the price catalogue, and take `temperature` and tools as callers send them; where a model
does so only without reasoning, its `params` switch that off. A request may ask for it all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from router.config import ModelConfig

__all__ = ["STARTING_MODELS", "StartingPair"]

_PLAIN: Final[Mapping[str, Any]] = {"reasoning_effort": "none"}
_BRIEF: Final[Mapping[str, Any]] = {"reasoning_effort": "low"}
_UNTHINKING: Final[Mapping[str, Any]] = {"thinking": {"type": "disabled"}}


@dataclass(frozen=True, kw_only=True)
class StartingPair:
    """One provider's drafter and verifier."""

    cheap: ModelConfig
    strong: ModelConfig


def _pair(
    provider: str,
    cheap: tuple[str, Mapping[str, Any]],
    strong: tuple[str, Mapping[str, Any]],
) -> StartingPair:
    return StartingPair(
        cheap=ModelConfig(name=cheap[0], provider=provider, params=cheap[1]),
        strong=ModelConfig(name=strong[0], provider=provider, params=strong[1]),
    )


# By provider. The order decides who keeps a name that two of them use.
STARTING_MODELS: Final[Mapping[str, StartingPair]] = MappingProxyType(
    {
        "openai": _pair("openai", ("gpt-6-luna", _PLAIN), ("gpt-6.1-terra", _PLAIN)),
        "anthropic": _pair("anthropic", ("claude-haiku-4-5", {}), ("claude-sonnet-4-6", {})),
        "gemini": _pair("gemini", ("gemini-2.5-flash-lite", {}), ("gemini-3.8-flash", _BRIEF)),
        "groq": _pair("groq", ("openai/gpt-oss-20b", _BRIEF), ("openai/gpt-oss-120b", _BRIEF)),
        "deepseek": _pair(
            "deepseek", ("deepseek-flash", _UNTHINKING), ("deepseek-v4-pro", _UNTHINKING)
        ),
        "mistral": _pair("mistral", ("mistral-small-latest", {}), ("mistral-medium-latest", {})),
        "together": _pair(
            "together",
            ("openai/gpt-oss-120b", _BRIEF),
            ("deepseek-ai/DeepSeek-V4-Pro-0813", {}),
        ),
        "openrouter": _pair(
            "openrouter", ("openai/gpt-6-luna", _PLAIN), ("openai/gpt-6.1-terra", _PLAIN)
        ),
    }
)
