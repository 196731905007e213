"""The ten domains a query can belong to. GENERAL is also what the classifier says when unsure."""

from __future__ import annotations

from typing import Final

__all__ = ["DOMAINS", "GENERAL"]

GENERAL: Final = "GENERAL"
DOMAINS: Final = (
    "CODE",
    "MATH",
    "DATA",
    "MEDICAL",
    "LEGAL",
    "FINANCE",
    "CREATIVE",
    "TRANSLATION",
    "SUMMARIZATION",
    GENERAL,
)
