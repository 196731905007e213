"""What a model's name gives away: its family, its size, how it is marketed."""

from __future__ import annotations

import math
import re
from typing import Final

__all__ = ["FAMILIES", "NAME_FEATURES", "describe_name", "plain_name"]

FAMILIES: Final = (
    "claude",
    "command",
    "deepseek",
    "gemini",
    "gemma",
    "glm",
    "gpt",
    "grok",
    "kimi",
    "llama",
    "mistral",
    "phi",
    "qwen",
    "yi",
)
_WORDS: Final = {
    "small_word": ("mini", "nano", "small", "flash", "haiku", "lite", "tiny", "instant", "air"),
    "large_word": ("opus", "pro", "large", "ultra", "max", "sonnet", "plus"),
    "thinks": ("thinking", "reasoning", "reasoner", "r1", "o1", "o3", "o4", "qwq"),
}
NAME_FEATURES: Final = ("log_params", "params_known", *_WORDS, *FAMILIES)

_PARAMS = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z0-9])")
_SPLIT = re.compile(r"[^a-z0-9.]+")
_NOISE = re.compile(
    r"(@.*$|:free$|-(20\d\d-?\d\d-?\d\d|\d{4}-\d\d-\d\d|latest|instruct|chat|it|turbo|preview|hf|fp8"
    r"|bf16|awq|gptq|v\d+(\.\d+)?)$|(?<=\db)-(instant|versatile)$)"
)
_DASHED_VERSION = re.compile(r"(?<=-)(\d)-(\d)(?=-|$)")


def plain_name(name: str) -> str:
    """A name without provider, date, serving details and case, for looking it up.

    "openai/gpt-4o-2024-08-06" and "GPT-4o" are both "gpt-4o", "claude-3-5-haiku" is
    "claude-3.5-haiku". Two models that differ only in such
    a suffix share a plain name, so an exact match always comes first.
    """
    plain = name.strip().lower().rpartition("/")[2].replace("_", "-").replace(" ", "-")
    plain = re.sub(r":(?!free$)", "-", re.sub(r"^meta-", "", plain))  # ollama: "llama3.1:8b"
    plain = re.sub(r"^(llama|qwen|gemma|phi)-?(\d)", r"\1-\2", plain)
    while (shorter := _NOISE.sub("", plain)) != plain and shorter:
        plain = shorter
    return _DASHED_VERSION.sub(r"\1.\2", plain)


def describe_name(name: str) -> tuple[float, ...]:
    """NAME_FEATURES of a model name: log of billions of parameters / 6, then 0 or 1 each."""
    lower = name.lower()
    words = set(_SPLIT.split(lower))
    sizes = [float(n or 1) * float(b) for n, b in _PARAMS.findall(lower)]
    size = min(max(sizes, default=0.0), 2000.0)
    known = size > 0.0
    if "mixtral" in lower or "codestral" in lower:
        lower += " mistral"
    if words & {"o1", "o3", "o4", "chatgpt"}:
        lower += " gpt"
    if "qwq" in lower:
        lower += " qwen"
    from_words = (float(bool(words & set(marks))) for marks in _WORDS.values())
    return (
        math.log(max(size, 0.1)) / 6.0 if known else 0.0,
        float(known),
        *from_words,
        *(float(re.search(rf"(?<![a-z]){family}", lower) is not None) for family in FAMILIES),
    )
