"""Virtual keys in the database: made, found, listed, changed and revoked.

Functions on a connection, within its caller's transaction. A key is never deleted: outcomes and
ledger go on speaking of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from pydantic import ValidationError
from sqlalchemy import Connection, Row, insert, select, tuple_, update

from ..errors import InputError, StoreError
from .key_form import KeyChanges, KeyForm, KeySettings, Metadata
from .key_secrets import hash_secret, is_key_id, make_key
from .tables import keys

__all__ = [
    "MAX_LISTED",
    "KeyRecord",
    "KeySettings",
    "KeyState",
    "create_key",
    "find_key",
    "find_keys",
    "list_keys",
    "revoke_key",
    "update_key",
]

KeyState = Literal["active", "expired", "revoked"]
MAX_LISTED: Final = 1000  # keys on one page


@dataclass(frozen=True, kw_only=True)
class KeyRecord:
    """A key as it is kept. Times are Unix seconds; `secret_hash` is in no repr and no reply.

    `settings` and `metadata` are read when they are asked for, so that a key that a later version
    wrote stands in nobody's way but its own: then they raise StoreError.
    """

    id: str
    name: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    secret_hash: str = field(repr=False)
    settings_json: str
    metadata_json: str

    @cached_property
    def settings(self) -> KeySettings:
        """What the key allows."""
        try:
            return KeySettings.model_validate_json(self.settings_json)
        except ValidationError as exc:
            # A limit that cannot be read is not one that may be passed over.
            raise StoreError(
                f"what key {self.id} allows cannot be read; did a later version write it?"
            ) from exc

    @cached_property
    def metadata(self) -> Metadata:
        """What its maker wanted to find again."""
        try:
            metadata: Metadata = json.loads(self.metadata_json)
        except ValueError as exc:
            raise StoreError(f"the metadata of key {self.id} are not JSON") from exc
        return metadata

    def state(self, now: float) -> KeyState:
        """What a key is good for at a moment."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active"


def create_key(connection: Connection, form: KeyForm, *, now: float) -> tuple[KeyRecord, str]:
    """Make a key; the text is the key itself, which nothing can tell again. InputError when it
    would have expired already."""
    _check_expiry(form.expires_at, now)
    key = make_key()
    columns = _columns(form) | {"id": key.id, "hash": hash_secret(key.secret), "created_at": now}
    connection.execute(insert(keys).values(columns))
    made = find_key(connection, key.id)
    assert made is not None  # it was written in this transaction
    return made, str(key)


def find_key(connection: Connection, key_id: str) -> KeyRecord | None:
    """The key of that id; None when there is none."""
    return find_keys(connection, (key_id,)).get(key_id)


def find_keys(connection: Connection, key_ids: Collection[str]) -> Mapping[str, KeyRecord]:
    """The keys of these ids, as far as there are any, in one query."""
    wanted = [key_id for key_id in key_ids if is_key_id(key_id)]
    if not wanted:
        return {}
    rows = connection.execute(select(keys).where(keys.c.id.in_(wanted)))
    return {row.id: _record(row) for row in rows}


def list_keys(
    connection: Connection, *, limit: int = MAX_LISTED, after: str | None = None
) -> tuple[KeyRecord, ...]:
    """At most `limit` keys, the oldest first, revoked ones too; `after` is the id of the last one
    seen (InputError when there is none of that id)."""
    query = select(keys).order_by(keys.c.created_at, keys.c.id).limit(limit)
    if after is not None:
        last = find_key(connection, after)
        if last is None:
            raise InputError("'after' is not the id of a key", param="after")
        query = query.where(tuple_(keys.c.created_at, keys.c.id) > (last.created_at, last.id))
    return tuple(map(_record, connection.execute(query)))


def update_key(
    connection: Connection, key_id: str, changes: KeyChanges, *, now: float
) -> KeyRecord | None:
    """The key as it is after the change; None when there is none. One that is revoked is left as
    it is. InputError when it would have expired already."""
    if "expires_at" in changes.given:
        _check_expiry(changes.expires_at, now)
    if not is_key_id(key_id):
        return None
    mine = keys.c.id == key_id, keys.c.revoked_at.is_(None)
    # A write first, so that nobody else changes the row between reading and writing it.
    connection.execute(update(keys).where(*mine).values(name=keys.c.name))
    record = find_key(connection, key_id)
    if record is None or record.revoked_at is not None:
        return record
    form = _changed(record, changes)
    connection.execute(update(keys).where(*mine).values(**_columns(form)))
    return find_key(connection, key_id)


def revoke_key(connection: Connection, key_id: str, *, now: float) -> KeyRecord | None:
    """The key, revoked for good; None when there is none. One that was revoked before stays so
    from then."""
    if not is_key_id(key_id):
        return None
    connection.execute(
        update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return find_key(connection, key_id)


def _check_expiry(expires_at: float | None, now: float) -> None:
    if expires_at is not None and expires_at <= now:
        raise InputError("'expires_at' is in the past; it is in Unix seconds", param="expires_at")


def _changed(record: KeyRecord, changes: KeyChanges) -> KeyForm:
    """All of a key's form, with the changes made."""
    kept = {
        **{name: getattr(record.settings, name) for name in KeySettings.model_fields},
        "name": record.name,
        "expires_at": record.expires_at,
        "metadata": record.metadata,
    }
    given = dict(changes.given)
    if "metadata" in given:
        given["metadata"] = given["metadata"] or {}
    return KeyForm(**{**kept, **given})


def _columns(form: KeyForm) -> dict[str, Any]:
    return {
        "name": form.name,
        "expires_at": form.expires_at,
        "settings": form.settings.model_dump_json(exclude_none=True),
        "metadata": json.dumps(form.metadata),
    }


def _record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        secret_hash=row.hash,
        settings_json=row.settings,
        metadata_json=row.metadata,
    )
