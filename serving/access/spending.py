"""What was spent of which limit: of the gateway's, each key's, and their users'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from router.budget import Scope, resets_in_s, window_key
from router.money import to_nano, to_usd
from router.records.accounts import TOTAL, key_account
from router.records.balances import read_balances
from router.records.key_records import KeyRecord, KeySettings, find_keys, list_keys
from router.records.tables import totals
from router.store.ledger import Balance

from ..config import GatewayBudget
from .tenants import ADMIN, ANYBODY

__all__ = ["read_budgets"]

_MAX_USERS: Final = 1000
_USER: Final = "user"  # how accounts of users begin
_SCOPES: Final[tuple[Scope, Scope]] = ("daily", "monthly")
_NO_LIMITS: Final = KeySettings()

_Limits = tuple[float | None, float | None]  # USD a day and a month


def read_budgets(connection: Connection, budget: GatewayBudget, *, now: float) -> dict[str, Any]:
    """The current day and month of the gateway, of the oldest keys, and of the users who spent the
    most this month, in the shape of `replies.BudgetsReply`."""
    keys, users = list_keys(connection), _dearest_users(connection, now)
    owners = {key.id: key for key in keys}
    owners |= find_keys(connection, {_owner(account) for account in users} - owners.keys())
    keyless = {key_account(tenant.key_id): tenant for tenant in (ANYBODY, ADMIN)}
    accounts = (TOTAL, *keyless, *(key_account(key.id) for key in keys), *users)
    report = _Report(connection, accounts, now)
    return {
        "gateway": report.windows(TOTAL, (budget.daily_limit, budget.monthly_limit)),
        "keys": [
            *(
                {"key_id": tenant.key_id, "name": tenant.name, **report.windows(account)}
                for account, tenant in keyless.items()
                if report.has_spent(account)
            ),
            *(
                {
                    "key_id": key.id,
                    "name": key.name,
                    **report.windows(key_account(key.id), _key_limits(key)),
                }
                for key in keys
            ),
        ],
        "users": [
            {
                "key_id": _owner(account),
                "user": account.split(":", 2)[2],
                **report.windows(account, _user_limits(owners.get(_owner(account)), budget)),
            }
            for account in users
        ],
    }


class _Report:
    """Day and month of some accounts, as of one moment."""

    def __init__(self, connection: Connection, accounts: Iterable[str], now: float) -> None:
        self._now = now
        self._keys: Mapping[Scope, str] = {scope: window_key(scope, now) for scope in _SCOPES}
        windows = [(key, account) for account in accounts for key in self._keys.values()]
        self._balances = read_balances(connection, windows)

    def has_spent(self, account: str) -> bool:
        return any(self._balances[key, account].taken_nano for key in self._keys.values())

    def windows(self, account: str, limits_usd: _Limits = (None, None)) -> dict[str, Any]:
        """Both windows of one account."""
        return {
            scope: self._window(self._balances[self._keys[scope], account], limit_usd, scope)
            for scope, limit_usd in zip(_SCOPES, limits_usd, strict=True)
        }

    def _window(self, balance: Balance, limit_usd: float | None, scope: Scope) -> dict[str, Any]:
        left_usd = None
        if limit_usd is not None:
            left_usd = to_usd(max(0, to_nano(limit_usd) - balance.taken_nano))
        return {
            "limit_usd": limit_usd,
            "spent_usd": to_usd(balance.settled_nano),
            "held_usd": to_usd(balance.reserved_nano),
            "left_usd": left_usd,
            "resets_in_s": resets_in_s(scope, self._now),
        }


def _dearest_users(connection: Connection, now: float) -> list[str]:
    """Accounts of users, those first who spent the most in this month."""
    rows = connection.execute(
        select(totals.c.account)
        .where(totals.c.window == window_key("monthly", now))
        .where(totals.c.account.startswith(f"{_USER}:", autoescape=True))
        .order_by(totals.c.settled_nano.desc(), totals.c.account)
        .limit(_MAX_USERS)
    )
    return list(rows.scalars())


def _owner(account: str) -> str:
    """The id of the key that a user's account belongs to."""
    return account.split(":", 2)[1]


def _key_limits(key: KeyRecord) -> _Limits:
    return key.settings.daily_limit, key.settings.monthly_limit


def _user_limits(owner: KeyRecord | None, budget: GatewayBudget) -> _Limits:
    """The key's own for its users, else the gateway's."""
    own = _NO_LIMITS if owner is None else owner.settings
    return (
        budget.user_daily_limit if own.user_daily_limit is None else own.user_daily_limit,
        budget.user_monthly_limit if own.user_monthly_limit is None else own.user_monthly_limit,
    )
