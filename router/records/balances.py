"""What is spent and held, as the ledger has it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from ..store.ledger import Balance
from .entries import Window
from .tables import totals

__all__ = ["read_balances"]


def read_balances(connection: Connection, windows: Sequence[Window]) -> dict[Window, Balance]:
    """The balance of each window; zero where nothing was ever spent."""
    keys = {key for key, _ in windows}
    accounts = {account for _, account in windows}
    found = connection.execute(
        select(totals).where(totals.c.window.in_(keys), totals.c.account.in_(accounts))
    )
    balances = dict.fromkeys(windows, Balance(settled_nano=0, reserved_nano=0))
    for key, account, settled_nano, held_nano in found:
        if (key, account) in balances:
            balances[key, account] = Balance(settled_nano=settled_nano, reserved_nano=held_nano)
    return balances
