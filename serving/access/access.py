"""Whether a request may come in, and as whom."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from router.errors import StoreError
from router.records.database import Database
from router.records.key_secrets import hash_secret, matches, read_key

from ..config import AuthConfig
from ..errors import ApiError
from .credentials import MAX_KEY_CHARS, BadKey, bad_key, missing_key, read_credential
from .lookups import KeyLookups
from .tenants import ADMIN, ANYBODY, Tenant

__all__ = ["MEMORY_S", "Access"]

_LOG = logging.getLogger("sluice.serving")

MEMORY_S: Final = 0.5  # how long a change of a key may take to be seen
_REFRESH_S: Final = 0.25  # from then on a key in use is looked up beside its requests
_MAX_KNOWN: Final = 10_000
_MAX_REFUSED: Final = 10_000


@dataclass(kw_only=True, slots=True)
class _Known:
    """What is known of one text that was sent as a key, until a moment of the monotonic clock."""

    verdict: Tenant | BadKey
    until: float
    refresh_at: float


class _Memory:
    """Verdicts by the SHA-256 of what was sent as a key; the oldest go when it is full."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._entries: OrderedDict[bytes, _Known] = OrderedDict()
        self.get = self._entries.get

    def __len__(self) -> int:
        return len(self._entries)

    def drop(self, digest: bytes) -> None:
        self._entries.pop(digest, None)

    def keep(self, digest: bytes, known: _Known) -> None:
        self._entries[digest] = known
        self._entries.move_to_end(digest)
        if len(self._entries) > self._bound:
            self._entries.popitem(last=False)


class Access:
    """Tells tenants by their keys; for one event loop.

    A key that was seen is remembered for MEMORY_S from when it was asked for, whatever became of
    it: so long a revoked key may still be let in. What does not open is remembered in a place of
    its own, so that strangers push no tenant out.
    """

    def __init__(self, auth: AuthConfig, database: Database) -> None:
        self._is_open = auth.mode == "open"
        admin_key = auth.admin_key
        self._admin_digest = None if admin_key is None else _digest(admin_key.get_secret_value())
        self._lookups = KeyLookups(database)
        self._known = _Memory(_MAX_KNOWN)
        self._refused = _Memory(_MAX_REFUSED)
        self._refreshing: set[asyncio.Task[None]] = set()

    async def identify(self, headers: Mapping[str, str]) -> Tenant:
        """Who sends these headers (names in lower case); in open mode ANYBODY, whatever they say.

        Raises ApiError: 401 where a key is missing or does not open, 503 where the keys cannot be
        read.
        """
        if self._is_open:
            return ANYBODY
        key = read_credential(headers)
        if key is None:
            raise missing_key()
        return await self._identify(key)

    async def identify_admin(self, headers: Mapping[str, str]) -> Tenant:
        """The admin; ApiError for everyone else: 403 for a tenant, and where there is no admin key
        to have, else as `identify`."""
        if self._admin_digest is None:
            message = "the admin routes are closed: set 'auth.admin_key' in the configuration"
            raise ApiError(403, message, code="no_admin_key", kind="permission_error")
        key = read_credential(headers)
        if key is None:
            raise missing_key(admin=True)
        if self._is_open:
            if not self._is_admin(_digest(key)):
                raise bad_key("unknown")
            return ADMIN
        tenant = await self._identify(key)
        if not tenant.is_admin:
            message = "this takes the admin key, and the key that was sent is a tenant's"
            raise ApiError(403, message, code="not_admin", kind="permission_error")
        return tenant

    async def _identify(self, key: str) -> Tenant:
        if len(key) > MAX_KEY_CHARS:
            raise bad_key("unknown")
        digest = _digest(key)
        known = self._known.get(digest) or self._refused.get(digest)
        now = time.monotonic()
        if known is None or now >= known.until:
            known = await self._look_up(key, digest)
        elif now >= known.refresh_at:
            self._refresh(key, digest, known)
        verdict = known.verdict
        if isinstance(verdict, Tenant):
            return verdict
        raise bad_key(verdict)

    def _refresh(self, key: str, digest: bytes, known: _Known) -> None:
        """Look a key up anew, which no request waits for. A failure is told to the first request
        that has to wait."""
        known.refresh_at = known.until
        task = asyncio.create_task(self._look_up_quietly(key, digest))
        self._refreshing.add(task)
        task.add_done_callback(self._refreshing.discard)

    async def _look_up_quietly(self, key: str, digest: bytes) -> None:
        try:
            await self._look_up(key, digest)
        except ApiError:
            return

    async def _look_up(self, key: str, digest: bytes) -> _Known:
        asked_at = time.monotonic()
        try:
            verdict, good_for_s = await self._judge(key, digest)
        except StoreError as exc:
            _LOG.error("a key could not be looked up: %s", exc)
            raise ApiError(
                503,
                "keys cannot be looked up just now, so nobody is let in",
                code="not_ready",
                kind="server_error",
                headers={"retry-after": "1"},
            ) from exc
        is_tenant = isinstance(verdict, Tenant)
        known = _Known(
            verdict=verdict,
            until=asked_at + good_for_s,
            refresh_at=asked_at + (_REFRESH_S if is_tenant else good_for_s),
        )
        place, other = (self._known, self._refused) if is_tenant else (self._refused, self._known)
        other.drop(digest)
        place.keep(digest, known)
        return known

    async def _judge(self, key: str, digest: bytes) -> tuple[Tenant | BadKey, float]:
        """What a key is, and for how many seconds that may be remembered; StoreError."""
        if self._is_admin(digest):
            return ADMIN, MEMORY_S
        text = read_key(key)
        if text is None:
            return "unknown", MEMORY_S
        secret_hash = hash_secret(text.secret)
        record = await self._lookups.find(text.id)
        is_right = matches(secret_hash, None if record is None else record.secret_hash)
        if record is None or not is_right:
            return "unknown", MEMORY_S
        now = time.time()
        state = record.state(now)
        if state != "active":
            return state, MEMORY_S
        left_s = math.inf if record.expires_at is None else record.expires_at - now
        tenant = Tenant(key_id=record.id, name=record.name, settings=record.settings)
        return tenant, min(MEMORY_S, left_s)

    def _is_admin(self, digest: bytes) -> bool:
        return self._admin_digest is not None and hmac.compare_digest(digest, self._admin_digest)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
