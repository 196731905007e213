"""Work in the store on a request's behalf, and what a client is told when the store is away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from router.errors import StoreError
from router.records.database import Database

from .errors import ApiError

__all__ = ["run_in_store"]

_LOG = logging.getLogger("sluice.serving")
_Found = TypeVar("_Found")


async def run_in_store(database: Database, work: Callable[[Connection], _Found]) -> _Found:
    """What `work` finds, in one transaction; ApiError (503) while the database is away."""
    try:
        return await database.run(work)
    except StoreError as exc:
        _LOG.error("%s", exc)
        message = "the store does not answer just now; nothing was changed"
        headers = {"retry-after": "1"}
        raise ApiError(
            503, message, code="not_ready", kind="server_error", headers=headers
        ) from exc
