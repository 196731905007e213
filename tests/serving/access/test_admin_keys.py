"""/admin/keys: told once, changed where it is said, revoked for good; what is wrong is named."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from serving.access.replies import KeyListReply, KeyReply, NewKeyReply
from tests.serving.access.admin_app import client_of, content_of, error_in
from tests.serving.access.given import bearer

FULL = {
    "name": "search team",
    "models": ["gpt-4o"],
    "cascades": ["auto"],
    "daily_limit": 1.5,
    "monthly_limit": 20.0,
    "user_daily_limit": 0.25,
    "user_monthly_limit": 1.0,
    "requests_per_minute": 60,
    "tokens_per_minute": 100_000,
    "expires_at": 4_000_000_000.0,
    "metadata": {"team": "search", "seats": 5},
}


async def test_a_key_is_told_once_and_opens(admin: httpx.AsyncClient, app: FastAPI) -> None:
    before = time.time()
    made = content_of(await admin.post("/admin/keys", json=FULL), NewKeyReply, 201)
    key = made.pop("key")
    assert {field: made[field] for field in FULL} == FULL
    assert made["state"] == "active"
    assert before <= made["created_at"] <= time.time()
    tenant = await app.state.service.access.identify(bearer(key))
    assert (tenant.key_id, tenant.settings.daily_limit) == (made["id"], 1.5)

    shown = await admin.get(f"/admin/keys/{made['id']}")
    assert content_of(shown, KeyReply) == made
    listed = await admin.get("/admin/keys")
    assert content_of(listed, KeyListReply) == {"data": [made], "has_more": False}
    secret = key.rpartition("-")[2]
    hashed = app.state.service.database.run_sync(
        lambda connection: connection.execute(text("SELECT hash FROM keys")).scalar()
    )
    for answer in (shown, listed):
        assert secret not in answer.text
        assert hashed not in answer.text


async def test_a_key_is_changed_where_it_is_said_and_nowhere_else(
    admin: httpx.AsyncClient,
) -> None:
    made = (await admin.post("/admin/keys", json=FULL)).json()
    del made["key"]
    path = f"/admin/keys/{made['id']}"
    changes = {"name": "renamed", "daily_limit": None, "models": [], "metadata": {"a": True}}
    changed = content_of(await admin.patch(path, json=changes), KeyReply)
    assert changed == {**made, **changes}
    assert content_of(await admin.get(path), KeyReply) == changed
    cleared = await admin.patch(path, json={"metadata": None, "models": None, "expires_at": None})
    assert cleared.json() == {**changed, "metadata": {}, "models": None, "expires_at": None}


async def test_a_revoked_key_stays_listed_and_opens_no_more(
    admin: httpx.AsyncClient, app: FastAPI
) -> None:
    made = (await admin.post("/admin/keys", json={"name": "a"})).json()
    path = f"/admin/keys/{made['id']}"
    revoked = content_of(await admin.delete(path), KeyReply)
    assert revoked["state"] == "revoked"
    assert revoked["revoked_at"] >= made["created_at"]
    assert content_of(await admin.delete(path), KeyReply) == revoked
    assert content_of(await admin.get("/admin/keys"), KeyListReply)["data"] == [revoked]
    error = error_in(await admin.patch(path, json={"name": "back"}), 409, "key_revoked")
    assert "another" in error["message"]
    async with client_of(app, **bearer(made["key"])) as client:
        error_in(await client.get("/admin/keys"), 401, "invalid_api_key")


async def test_keys_are_listed_in_pages(admin: httpx.AsyncClient) -> None:
    ids = [
        (await admin.post("/admin/keys", json={"name": f"k{index}"})).json()["id"]
        for index in range(5)
    ]
    first = content_of(await admin.get("/admin/keys", params={"limit": 3}), KeyListReply)
    assert [one["id"] for one in first["data"]] == ids[:3]
    assert first["has_more"]
    params = {"limit": 3, "after": ids[2]}
    rest = content_of(await admin.get("/admin/keys", params=params), KeyListReply)
    assert [one["id"] for one in rest["data"]] == ids[3:]
    assert not rest["has_more"]


@pytest.mark.parametrize(
    ("params", "param", "code"),
    [
        ({"limit": "0"}, "limit", "invalid_value"),
        ({"limit": "1001"}, "limit", "invalid_value"),
        ({"limit": "many"}, "limit", "invalid_value"),
        ({"after": "nothing"}, "after", "invalid_value"),
        ({"after": "x" * 65}, "after", "invalid_value"),
        ({"limt": "3"}, "limt", "unknown_field"),
    ],
)
async def test_a_page_that_cannot_be_is_refused_by_name(
    params: dict[str, str], param: str, code: str, admin: httpx.AsyncClient
) -> None:
    error = error_in(await admin.get("/admin/keys", params=params), 400, code)
    assert error["param"] == param


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"nmae": "x"}, "nmae", "unknown_field"),
        ({"daily_limt": 1}, "daily_limt", "unknown_field"),
        ({"is_admin": True}, "is_admin", "unknown_field"),
        ({"id": "0123456789abcdef"}, "id", "unknown_field"),
        ({"hash": "0" * 64}, "hash", "unknown_field"),
        ({"name": 5}, "name", "wrong_type"),
        ({"name": "a\x00b"}, "name", "invalid_value"),
        ({"models": "gpt-4o"}, "models", "wrong_type"),
        ({"models": ["gpt-4o", 5]}, "models[1]", "wrong_type"),
        ({"daily_limit": "1"}, "daily_limit", "wrong_type"),
        ({"daily_limit": 0}, "daily_limit", "invalid_value"),
        ({"requests_per_minute": 1.5}, "requests_per_minute", "wrong_type"),
        ({"expires_at": 1}, "expires_at", "invalid_value"),
        ({"metadata": []}, "metadata", "wrong_type"),
        ({"metadata": {"team": None}}, "metadata.team", "invalid_value"),
        ({"metadata": {"team": {"a": 1}}}, "metadata.team", "invalid_value"),
        ({"metadata": {"team": "x" * 100_000}}, "metadata.team", "invalid_value"),
        ({"metadata": {str(n): n for n in range(10_000)}}, "metadata", "invalid_value"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_done(
    changes: dict[str, Any], param: str, code: str, admin: httpx.AsyncClient
) -> None:
    error = error_in(await admin.post("/admin/keys", json={"name": "a", **changes}), 400, code)
    assert error["param"] == param
    assert len(error["message"]) < 300
    made = (await admin.post("/admin/keys", json={"name": "a"})).json()
    error = error_in(await admin.patch(f"/admin/keys/{made['id']}", json=changes), 400, code)
    assert error["param"] == param
    listed = (await admin.get("/admin/keys")).json()["data"]
    assert listed == [{field: value for field, value in made.items() if field != "key"}]


async def test_a_misspelt_field_gets_a_suggestion(admin: httpx.AsyncClient) -> None:
    error = error_in(
        await admin.post("/admin/keys", json={"name": "a", "request_per_minute": 5}),
        400,
        "unknown_field",
    )
    assert "did you mean 'requests_per_minute'?" in error["message"]
    error = error_in(await admin.post("/admin/keys", json={}), 400, "missing_field")
    assert error["param"] == "name"


async def test_a_change_of_nothing_is_refused(admin: httpx.AsyncClient) -> None:
    made = (await admin.post("/admin/keys", json={"name": "a"})).json()
    error_in(await admin.patch(f"/admin/keys/{made['id']}", json={}), 400, "invalid_value")


@pytest.mark.parametrize(
    "key_id",
    ["0123456789abcdef", "x", "%00", "'%20OR%20'1'='1", "..%2Fbudgets", "%F0%9F%94%91", "0" * 5000],
)
async def test_an_unknown_id_is_a_404_that_repeats_nothing(
    key_id: str, admin: httpx.AsyncClient
) -> None:
    path = f"/admin/keys/{key_id}"
    for response in (
        await admin.get(path),
        await admin.patch(path, json={"name": "a"}),
        await admin.delete(path),
    ):
        error_in(response, 404, "not_found")
        assert key_id not in response.text


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE keys; --", '","is_admin":true,"x":"', "</script><script>", "鍵 🔑"]
)
async def test_names_are_only_names(name: str, admin: httpx.AsyncClient, app: FastAPI) -> None:
    given = {"name": name, "models": [name], "metadata": {name: name}}
    made = content_of(await admin.post("/admin/keys", json=given), NewKeyReply, 201)
    assert (made["name"], made["models"], made["metadata"]) == (name, [name], {name: name})
    tenant = await app.state.service.access.identify(bearer(made["key"]))
    assert (tenant.name, tenant.is_admin) == (name, False)
    assert len((await admin.get("/admin/keys")).json()["data"]) == 1
