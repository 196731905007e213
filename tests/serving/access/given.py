"""What the tests of access share beside their fixtures."""

from __future__ import annotations

from collections.abc import Callable

from serving.access.access import Access

__all__ = ["ADMIN_KEY", "MakeAccess", "MakeKey", "bearer"]

ADMIN_KEY = "admin-key-for-tests"
MakeKey = Callable[..., tuple[str, str]]
MakeAccess = Callable[..., Access]


def bearer(key: str) -> dict[str, str]:
    """Headers with a key, as OpenAI's clients send it."""
    return {"authorization": f"Bearer {key}"}
