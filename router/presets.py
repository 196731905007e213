"""Three cascades to start from. A preset is a value: pass it on as it is, or take its parts.

Each has two drafters of different make, because two drafts that agree are the strongest evidence
there is. All take `temperature` and `max_tokens` as a caller sets them, which some models that
reason refuse. Prices are left to the catalogue, keys to the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .config import ModelConfig, QualityConfig, StreamPolicy

__all__ = ["PRESETS", "PRESET_BALANCED", "PRESET_COST_OPTIMIZED", "PRESET_ULTRA_FAST", "Preset"]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Models, cheapest first and the verifier last, with the quality and streaming that suit
    them."""

    name: str
    models: tuple[ModelConfig, ...]
    quality: QualityConfig
    stream_policy: StreamPolicy = "buffered"


# One fast host, so one key (GROQ_API_KEY). What is likely to be right streams at once.
PRESET_ULTRA_FAST: Final = Preset(
    name="ultra_fast",
    models=(
        ModelConfig(name="llama-3.1-8b-instant", provider="groq"),
        ModelConfig(name="openai/gpt-oss-20b", provider="groq", params={"reasoning_effort": "low"}),
        ModelConfig(
            name="openai/gpt-oss-120b", provider="groq", params={"reasoning_effort": "low"}
        ),
    ),
    quality=QualityConfig(target_quality=0.95, optimistic_above=0.8),
    stream_policy="optimistic",
)

# OPENAI_API_KEY and GEMINI_API_KEY. Keeps 98% of gpt-4o's quality with strong drafters.
PRESET_BALANCED: Final = Preset(
    name="balanced",
    models=(
        ModelConfig(name="gpt-4o-mini", provider="openai"),
        ModelConfig(
            name="gemini-2.5-flash", provider="gemini", params={"reasoning_effort": "none"}
        ),
        ModelConfig(name="gpt-4o", provider="openai"),
    ),
    quality=QualityConfig(target_quality=0.98),
)

# OPENAI_API_KEY and GEMINI_API_KEY. The cheapest drafters of two makers, and fewer escalations.
PRESET_COST_OPTIMIZED: Final = Preset(
    name="cost_optimized",
    models=(
        ModelConfig(name="gemini-2.5-flash-lite", provider="gemini"),
        ModelConfig(name="gpt-4o-mini", provider="openai"),
        ModelConfig(name="gpt-4o", provider="openai"),
    ),
    quality=QualityConfig(target_quality=0.96),
)

PRESETS: Final[Mapping[str, Preset]] = {
    preset.name: preset for preset in (PRESET_ULTRA_FAST, PRESET_BALANCED, PRESET_COST_OPTIMIZED)
}
