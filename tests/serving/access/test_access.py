"""Who gets in, as whom, and what is said to those who do not."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from functools import partial

import pytest
from sqlalchemy import text, update

from router.records.database import Database
from router.records.key_form import KeyChanges
from router.records.key_records import revoke_key, update_key
from router.records.tables import keys
from serving.access.access import Access
from serving.errors import ApiError
from tests.serving.access.given import ADMIN_KEY, MakeAccess, MakeKey, bearer

NOBODY = "sk-slc-0123456789abcdef-" + "x" * 43


async def refusal(access: Access, headers: Mapping[str, str], *, admin: bool = False) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await (access.identify_admin(headers) if admin else access.identify(headers))
    return caught.value


async def test_a_key_tells_its_tenant(make_key: MakeKey, make_access: MakeAccess) -> None:
    key_id, key = make_key(name="search", models=["gpt-4o"], cascades=["auto"], daily_limit=2)
    access = make_access()
    for headers in (
        bearer(key),
        {"authorization": f"bearer   {key} "},
        {"x-api-key": key},
        {"x-api-key": "not this one", **bearer(key)},
        {"authorization": "Basic dXNlcjpwYXNz", "x-api-key": key},
        {"authorization": "Bearer ", "x-api-key": key},
    ):
        tenant = await access.identify(headers)
        assert (tenant.key_id, tenant.name, tenant.is_admin) == (key_id, "search", False)
        assert tenant.settings.daily_limit == 2.0
    assert tenant.may_use_model("gpt-4o")
    assert not tenant.may_use_model("gpt-4o-mini")
    assert tenant.may_use_cascade("auto")
    assert not tenant.may_use_cascade("gpt-4o")


async def test_what_is_not_limited_may_all_be_used(
    make_key: MakeKey, make_access: MakeAccess
) -> None:
    access = make_access()
    free = await access.identify(bearer(make_key()[1]))
    assert free.may_use_model("any")
    assert free.may_use_cascade("any")
    nothing = await access.identify(bearer(make_key(models=[], cascades=[])[1]))
    assert not nothing.may_use_model("any")
    assert not nothing.may_use_cascade("any")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer  "},
        {"authorization": NOBODY},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"x-api-key": " "},
        {"api-key": NOBODY},
        {"cookie": f"key={NOBODY}"},
    ],
)
async def test_a_request_without_a_key_is_told_how_to_send_one(
    headers: dict[str, str], make_access: MakeAccess
) -> None:
    error = await refusal(make_access(), headers)
    assert (error.status, error.code) == (401, "missing_api_key")
    assert error.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in error.message
    assert "x-api-key" in error.message


async def test_strangers_are_not_told_what_was_wrong(
    make_key: MakeKey, make_access: MakeAccess, database: Database
) -> None:
    key_id, key = make_key()
    gone_id, _ = make_key(name="gone")
    database.run_sync(partial(revoke_key, key_id=gone_id, now=time.time()))
    access = make_access()
    said = set()
    for sent in (
        "nonsense",
        "sk-slc-",
        NOBODY,
        f"sk-slc-{key_id}-{'x' * 43}",  # another's id
        f"sk-slc-{gone_id}-{'x' * 43}",  # a revoked one's
        key[:-1],
        key + "x",
        key.upper(),
        key.replace("-", "_"),
        f"{key} {key}",
        "schlüssel-ümläut",
        "鍵",
        "\ud83d",
        "\x00",
        "' OR 1=1 --",
        "x" * 100_000,
        "sk-slc-" + "0" * 100_000,
        ADMIN_KEY[:-1],
        ADMIN_KEY + "x",
        "ｓｋ-slc-" + key[7:],
    ):
        for headers in (bearer(sent), {"x-api-key": sent}):
            error = await refusal(access, headers)
            assert (error.status, error.code) == (401, "invalid_api_key")
            assert error.headers == {"www-authenticate": "Bearer"}
            said.add(error.message)
    assert len(said) == 1
    [message] = said
    assert key not in message


async def test_who_has_the_secret_is_told_that_it_expired_or_was_revoked(
    make_key: MakeKey, make_access: MakeAccess, database: Database
) -> None:
    revoked_id, revoked = make_key()
    database.run_sync(partial(revoke_key, key_id=revoked_id, now=time.time()))
    expiring = make_key(expires_at=time.time() + 0.1)[1]
    access = make_access()
    await access.identify(bearer(expiring))
    time.sleep(0.11)
    for key, word in ((expiring, "expired"), (revoked, "revoked")):
        error = await refusal(access, bearer(key))
        assert (error.status, error.code) == (401, "invalid_api_key")
        assert word in error.message


async def test_secrets_are_compared_in_constant_time_whether_or_not_there_is_such_a_key(
    make_key: MakeKey, make_access: MakeAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id, key = make_key()
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def watch(one: str, other: str) -> bool:
        if isinstance(one, str):  # the admin key's are bytes
            compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watch)
    access = make_access()
    await access.identify(bearer(key))
    await refusal(access, bearer(NOBODY))
    await refusal(access, bearer(f"sk-slc-{key_id}-{'x' * 43}"))
    assert compared == [(64, 64)] * 3


async def test_open_mode_lets_everybody_in_and_asks_nothing(
    make_access: MakeAccess, make_key: MakeKey, asked: list[str]
) -> None:
    access = make_access("open")
    key = make_key(daily_limit=1)[1]
    del asked[:]
    for headers in ({}, bearer("sk-proj-of-openai"), bearer(key), bearer("x" * 100_000)):
        tenant = await access.identify(headers)
        assert (tenant.key_id, tenant.is_admin) == ("", False)
        assert tenant.settings.daily_limit is None
    assert asked == []


@pytest.mark.parametrize("mode", ["open", "keys"])
async def test_the_admin_key_opens_the_admin_routes(mode: str, make_access: MakeAccess) -> None:
    access = make_access(mode)
    for headers in (bearer(ADMIN_KEY), {"x-api-key": ADMIN_KEY}):
        admin = await access.identify_admin(headers)
        assert (admin.key_id, admin.is_admin) == ("admin", True)
    error = await refusal(access, {}, admin=True)
    assert (error.status, error.code) == (401, "missing_api_key")
    assert "admin key" in error.message
    error = await refusal(access, bearer(ADMIN_KEY + "x"), admin=True)
    assert (error.status, error.code) == (401, "invalid_api_key")


@pytest.mark.parametrize("mode", ["open", "keys"])
async def test_without_an_admin_key_nobody_is_admin(
    mode: str, make_access: MakeAccess, make_key: MakeKey
) -> None:
    access = make_access(mode, admin_key=None)
    for headers in ({}, bearer(""), bearer("None"), bearer(make_key()[1])):
        error = await refusal(access, headers, admin=True)
        assert (error.status, error.code) == (403, "no_admin_key")
        assert "auth.admin_key" in error.message


async def test_a_tenant_is_no_admin(make_access: MakeAccess, make_key: MakeKey) -> None:
    key = make_key(name="admin", metadata={"is_admin": True})[1]
    error = await refusal(make_access(), bearer(key), admin=True)
    assert (error.status, error.code) == (403, "not_admin")
    error = await refusal(make_access("open"), bearer(key), admin=True)
    assert (error.status, error.code) == (401, "invalid_api_key")


async def test_the_admin_may_use_everything(make_access: MakeAccess) -> None:
    admin = await make_access().identify(bearer(ADMIN_KEY))
    assert admin.is_admin
    assert admin.may_use_model("any")


async def test_without_its_database_nobody_gets_in(
    make_access: MakeAccess, make_key: MakeKey, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    key = make_key()[1]
    access = make_access()
    await access.identify(bearer(key))
    database.run_sync(lambda connection: connection.execute(text("DROP TABLE keys")))
    time.sleep(0.5)
    for sent in (key, NOBODY):
        error = await refusal(access, bearer(sent))
        assert (error.status, error.code) == (503, "not_ready")
        assert error.headers == {"retry-after": "1"}
        assert "keys" in error.message
    assert "could not be looked up" in caplog.text
    assert key not in caplog.text
    assert (await access.identify(bearer(ADMIN_KEY))).is_admin


async def test_settings_that_cannot_be_read_keep_their_key_out(
    make_access: MakeAccess, make_key: MakeKey, database: Database
) -> None:
    (strange_id, strange), (_, plain) = make_key(), make_key()
    database.run_sync(
        lambda connection: connection.execute(
            update(keys).where(keys.c.id == strange_id).values(settings='{"only_on_mondays":true}')
        )
    )
    access = make_access()
    assert (await refusal(access, bearer(strange))).status == 503
    assert await access.identify(bearer(plain))


async def test_changes_are_seen_within_a_second_everywhere(
    make_access: MakeAccess, make_key: MakeKey, database: Database
) -> None:
    key_id, key = make_key()
    replicas = [make_access(), make_access()]
    for access in replicas:
        await access.identify(bearer(key))
    database.run_sync(
        partial(
            update_key, key_id=key_id, changes=KeyChanges(requests_per_minute=7), now=time.time()
        )
    )
    time.sleep(0.51)
    for access in replicas:
        tenant = await access.identify(bearer(key))
        assert tenant.settings.requests_per_minute == 7
    database.run_sync(partial(revoke_key, key_id=key_id, now=time.time()))
    time.sleep(0.51)
    for access in replicas:
        assert "revoked" in (await refusal(access, bearer(key))).message
