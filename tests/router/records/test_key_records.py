"""Virtual keys: made once, kept as hashes, bounded, changed, revoked; on both databases."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import func, insert, select, update

from router.errors import InputError, StoreError
from router.records.database import Database
from router.records.key_form import KeyChanges, KeyForm, KeySettings
from router.records.key_records import (
    KeyRecord,
    create_key,
    find_key,
    find_keys,
    list_keys,
    revoke_key,
    update_key,
)
from router.records.tables import keys
from tests.key_databases import postgres_database

NOW = 1_795_000_000.0
FULL = {
    "name": "search team",
    "models": ["gpt-4o", "gpt-4o-mini"],
    "cascades": [],
    "daily_limit": 1.5,
    "monthly_limit": 20,
    "user_daily_limit": 0.1,
    "user_monthly_limit": 1,
    "requests_per_minute": 60,
    "tokens_per_minute": 100_000,
    "expires_at": NOW + 60,
    "metadata": {"team": "search", "seats": 5, "rate": 0.5, "internal": True},
}


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database = Database.open(f"sqlite:///{tmp_path}/keys.db")
        yield database
        database.close()
        return
    with postgres_database() as url:
        database = Database.open(url)
        yield database
        database.close()


def made(database: Database, *, now: float = NOW, **given: Any) -> tuple[KeyRecord, str]:
    form = KeyForm.model_validate({"name": "a key", **given})
    return database.run_sync(partial(create_key, form=form, now=now))


def found(database: Database, key_id: str) -> KeyRecord | None:
    return database.run_sync(partial(find_key, key_id=key_id))


def changed(database: Database, key_id: str, **given: Any) -> KeyRecord | None:
    changes = KeyChanges.model_validate(given)
    return database.run_sync(partial(update_key, key_id=key_id, changes=changes, now=NOW))


def test_a_key_comes_back_as_it_was_made(database: Database) -> None:
    record, _ = made(database, **FULL)
    assert found(database, record.id) == record
    assert record.settings.models == ("gpt-4o", "gpt-4o-mini")
    assert record.settings.cascades == ()
    assert record.settings.monthly_limit == 20.0
    assert record.metadata == FULL["metadata"]
    assert (record.name, record.created_at, record.expires_at) == ("search team", NOW, NOW + 60)
    assert record.state(NOW) == "active"
    assert record.state(NOW + 60) == "expired"


def test_only_the_hash_of_a_secret_is_kept(database: Database) -> None:
    record, key = made(database)
    id_, secret = re.fullmatch(r"sk-slc-([0-9a-f]{16})-([\w-]{43})", key).groups()  # type: ignore[union-attr]
    assert id_ == record.id
    row = database.run_sync(lambda connection: connection.execute(select(keys)).one())
    assert row.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(tuple(row))
    assert row.hash not in repr(record)


def test_no_two_keys_are_alike(database: Database) -> None:
    texts = {made(database)[1] for _ in range(20)}
    assert len(texts) == 20


def test_unknown_ids_find_nothing(database: Database) -> None:
    record, _ = made(database)
    strange = ["", "x", "0" * 16, "' OR '1'='1", "\x00" * 16, "é" * 16, record.id.upper() + "A"]
    for key_id in strange:
        assert found(database, key_id) is None
        assert changed(database, key_id, name="taken over") is None
        assert database.run_sync(partial(revoke_key, key_id=key_id, now=NOW)) is None
    assert set(database.run_sync(partial(find_keys, key_ids=[*strange, record.id]))) == {record.id}


@pytest.mark.parametrize(
    "name",
    ["'; DROP TABLE keys; --", '{"is_admin": true}', "%s %(x)s :x ?", "schlüssel 🔑 鍵", "\\"],
)
def test_names_are_data_and_nothing_else(name: str, database: Database) -> None:
    record, _ = made(database, name=name, models=[name], metadata={name: name})
    again = found(database, record.id)
    assert again is not None
    assert (again.name, again.settings.models, again.metadata) == (name, (name,), {name: name})
    count = database.run_sync(
        lambda connection: connection.execute(select(func.count()).select_from(keys)).scalar()
    )
    assert count == 1


def test_only_what_is_given_is_changed(database: Database) -> None:
    record, _ = made(database, **FULL)
    after = changed(database, record.id, name="renamed", daily_limit=None, requests_per_minute=5)
    assert after is not None
    assert after == found(database, record.id)
    assert (after.name, after.settings.daily_limit) == ("renamed", None)
    assert after.settings.requests_per_minute == 5
    assert after.settings.monthly_limit == 20.0
    assert (after.metadata, after.expires_at) == (record.metadata, record.expires_at)
    assert after.secret_hash == record.secret_hash
    cleared = changed(database, record.id, metadata=None, expires_at=None, models=None)
    assert cleared is not None
    assert (cleared.metadata, cleared.expires_at, cleared.settings.models) == ({}, None, None)


def test_two_changes_at_once_are_both_kept(database: Database) -> None:
    record, _ = made(database)
    fields = ["daily_limit", "monthly_limit", "user_daily_limit", "user_monthly_limit"]
    threads = [
        threading.Thread(target=lambda field=field: changed(database, record.id, **{field: 7.0}))
        for field in fields
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    after = found(database, record.id)
    assert after is not None
    assert [getattr(after.settings, field) for field in fields] == [7.0] * 4


def test_revoking_is_for_good(database: Database) -> None:
    record, _ = made(database)
    revoked = database.run_sync(partial(revoke_key, key_id=record.id, now=NOW + 1))
    assert revoked is not None
    assert (revoked.revoked_at, revoked.state(NOW + 2)) == (NOW + 1, "revoked")
    assert database.run_sync(partial(revoke_key, key_id=record.id, now=NOW + 9)) == revoked
    assert changed(database, record.id, name="back again") == revoked


def test_keys_are_listed_page_by_page_in_the_order_they_were_made(database: Database) -> None:
    ids = [made(database, now=NOW + index // 2)[0].id for index in range(7)]
    listed = [record.id for record in database.run_sync(list_keys)]
    assert sorted(listed) == sorted(ids)
    paged: list[str] = []
    while page := database.run_sync(
        partial(list_keys, limit=3, after=paged[-1] if paged else None)
    ):
        paged += [record.id for record in page]
    assert paged == listed
    with pytest.raises(InputError, match="'after'"):
        database.run_sync(partial(list_keys, after="0" * 16))


def test_an_expiry_in_the_past_is_refused(database: Database) -> None:
    with pytest.raises(InputError, match="in the past"):
        made(database, expires_at=NOW)
    record, _ = made(database)
    with pytest.raises(InputError, match="in the past"):
        changed(database, record.id, expires_at=NOW - 1)


def test_settings_of_a_later_version_stand_in_their_own_key_s_way_only(database: Database) -> None:
    (strange, _), (plain, _) = made(database), made(database)
    database.run_sync(
        lambda connection: connection.execute(
            update(keys).where(keys.c.id == strange.id).values(settings='{"only_on_mondays":true}')
        )
    )
    both = database.run_sync(partial(find_keys, key_ids=[strange.id, plain.id]))
    assert both[plain.id].settings == KeySettings()
    with pytest.raises(StoreError, match=strange.id):
        _ = both[strange.id].settings


def test_two_keys_of_one_id_cannot_be(database: Database) -> None:
    record, _ = made(database)
    row = {
        "id": record.id,
        "hash": "0",
        "name": "",
        "created_at": NOW,
        "settings": "{}",
        "metadata": "{}",
    }
    with pytest.raises(StoreError):
        database.run_sync(lambda connection: connection.execute(insert(keys).values(row)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", " \t"),
        ("name", "two\nlines"),
        ("name", "\x1b[31mred"),
        ("name", "\ud83d"),
        ("name", "\u2028"),
        ("name", "x" * 201),
        ("name", None),
        ("models", "gpt-4o"),
        ("models", ["a", "a"]),
        ("models", [""]),
        ("models", [1]),
        ("models", [f"m{index}" for index in range(257)]),
        ("daily_limit", 0),
        ("daily_limit", -1.0),
        ("daily_limit", float("nan")),
        ("daily_limit", float("inf")),
        ("daily_limit", 1e10),
        ("daily_limit", "10"),
        ("daily_limit", True),
        ("requests_per_minute", 0),
        ("requests_per_minute", 1.5),
        ("tokens_per_minute", 10**13),
        ("expires_at", 0),
        ("expires_at", 1e15),
        ("expires_at", "tomorrow"),
        ("metadata", []),
        ("metadata", "x"),
        ("metadata", {"": 1}),
        ("metadata", {"n" * 65: 1}),
        ("metadata", {"a": "x" * 513}),
        ("metadata", {"a": {"nested": 1}}),
        ("metadata", {"a": None}),
        ("metadata", {"a": "\ud83d"}),
        ("metadata", {"\ud83d": 1}),
        ("metadata", {"a": float("nan")}),
        ("metadata", {"a": 10**400}),
        ("metadata", {str(index): index for index in range(33)}),
        ("is_admin", True),
    ],
)
def test_a_form_is_strict_and_bounded(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refusal:
        KeyForm.model_validate({"name": "a key", field: value})
    assert refusal.value.errors()[0]["loc"][0] == field
    if field != "is_admin":
        assert "x" * 100 not in str(refusal.value)


def test_a_name_is_the_least_and_nothing_else_is_limited() -> None:
    form = KeyForm(name="a key")
    assert form.settings == KeySettings()
    assert (form.expires_at, form.metadata) == (None, {})
    assert KeyChanges().given == {}
