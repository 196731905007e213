"""Invented prompts with their domains, written the way people write to a chat assistant.

The recorded data is mostly exam wording; these prompts bring the words, registers and pasted
documents of chat to the domain classifier. Everything here was made up for this purpose.
"""

from .abroad import generate_abroad
from .generator import DOMAINS, LabelledPrompt, generate
from .joined import join_documents
from .written import read_written

__all__ = [
    "DOMAINS",
    "LabelledPrompt",
    "generate",
    "generate_abroad",
    "join_documents",
    "read_written",
]
