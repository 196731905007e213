"""Invented prompts with their domains, written the way people write to a chat assistant.

The recorded data is mostly exam wording; these prompts bring the words, registers and pasted
documents of chat to the domain classifier. Everything here was made up for this purpose.
"""

from .generator import DOMAINS, LabelledPrompt, generate

__all__ = ["DOMAINS", "LabelledPrompt", "generate"]
