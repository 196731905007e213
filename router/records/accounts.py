"""Whose money is counted: the whole gateway's, each key's, each user's of a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..budget import Limit, Scope
from ..money import to_nano

__all__ = ["TOTAL", "account_limits", "accounts_of", "key_account", "user_account"]

TOTAL: Final = ""
"""The account that every call counts in."""


def key_account(key_id: str) -> str:
    """The account of one key; open mode's calls have the key ''."""
    return f"key:{key_id}"


def user_account(key_id: str, user: str) -> str:
    """The account of one user of a key: two keys' users are never the same one."""
    return f"user:{key_id}:{user}"


def accounts_of(key_id: str, user: str) -> tuple[str, ...]:
    """All accounts that a call counts in; `user` is '' where nobody was named."""
    accounts = (TOTAL, key_account(key_id))
    return (*accounts, user_account(key_id, user)) if user else accounts


def account_limits(account: str, limits_usd: Mapping[Scope, float | None]) -> tuple[Limit, ...]:
    """The limits of one account, those that are set."""
    return tuple(
        Limit(scope=scope, limit_nano=to_nano(limit_usd), user=account)
        for scope, limit_usd in limits_usd.items()
        if limit_usd is not None
    )
