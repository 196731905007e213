"""List prices of models that ship with an ability, USD per 1M tokens (input, output).

Only prices that are certain; a model without one has None and its prior goes by its name.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LIST_PRICES"]

LIST_PRICES: Final[dict[str, tuple[float, float]]] = {
    "claude-3-haiku": (0.25, 1.25),
    "claude-3-opus-20240229": (15.0, 75.0),
    "claude-3-sonnet-20240229": (3.0, 15.0),
    "claude-3.5-haiku": (0.80, 4.0),
    "claude-3.5-sonnet": (3.0, 15.0),
    "deepseek-v2-chat": (0.14, 0.28),
    "deepseek-v2-chat-0628": (0.14, 0.28),
    "deepseek-v2.5-0908": (0.14, 0.28),
    "gemini-1.5-flash": (0.075, 0.30),
    "gemini-1.5-pro": (1.25, 5.0),
    "gemma-2-9b-it": (0.20, 0.20),
    "gpt-3.5-turbo": (0.50, 1.50),
    "gpt-4-0314": (30.0, 60.0),
    "gpt-4-1106": (10.0, 30.0),
    "gpt-4-32k": (60.0, 120.0),
    "gpt-4-turbo-2024-04-09": (10.0, 30.0),
    "gpt-4o": (2.50, 10.0),
    "gpt-4o-mini": (0.15, 0.60),
    "llama-3.1-405b": (3.50, 3.50),
    "llama-3.1-70b": (0.59, 0.79),
    "llama-3.1-8b": (0.05, 0.08),
    "o1-mini-2024-09-12": (3.0, 12.0),
    "o1-preview-2024-09-12": (15.0, 60.0),
}
