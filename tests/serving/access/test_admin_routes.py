"""/admin/...: for who has the admin key, and nobody else; nothing secret in any answer."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate
from sqlalchemy import insert, text

from router.budget import day_key, month_key
from router.chat import ChatRequest
from router.errors import UpstreamError
from router.records.accounts import TOTAL, key_account, user_account
from router.records.database import Database
from router.records.tables import totals
from serving.access.replies import BudgetsReply, NewKeyReply, PoolReply
from serving.openapi import install_openapi
from tests.serving.access.admin_app import ROUTES, app_of, client_of, content_of, error_in
from tests.serving.access.given import ADMIN_KEY, MakeAccess, MakeKey, bearer


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_only_the_admin_key_opens_a_route(
    method: str, path: str, stranger: httpx.AsyncClient, make_key: MakeKey, asked: list[str]
) -> None:
    tenant = make_key(name="admin", metadata={"is_admin": True})[1]
    nobody = "sk-slc-0123456789abcdef-" + "x" * 43
    body = {"json": {"name": "x"}} if method in ("POST", "PATCH") else {}
    for headers, params, status, code in (
        ({}, {}, 401, "missing_api_key"),
        (
            {},
            {"key": ADMIN_KEY, "api_key": ADMIN_KEY, "x-api-key": ADMIN_KEY},
            401,
            "missing_api_key",
        ),
        ({"cookie": f"authorization=Bearer {ADMIN_KEY}"}, {}, 401, "missing_api_key"),
        (bearer(nobody), {}, 401, "invalid_api_key"),
        (bearer(ADMIN_KEY[:-1]), {}, 401, "invalid_api_key"),
        (bearer("x" * 100_000), {}, 401, "invalid_api_key"),
        (bearer(tenant), {}, 403, "not_admin"),
        ({"x-api-key": tenant}, {}, 403, "not_admin"),
    ):
        response = await stranger.request(method, path, headers=headers, params=params, **body)
        error_in(response, status, code)
        assert ADMIN_KEY not in response.text
        assert (status == 401) == (response.headers.get("www-authenticate") == "Bearer")
    raw = [("authorization", "Bearer schlüssel".encode()), ("x-api-key", "鍵".encode())]
    response = await stranger.request(method, path, headers=raw, **body)
    error_in(response, 401, "invalid_api_key")


async def test_the_body_of_a_stranger_is_not_even_read(stranger: httpx.AsyncClient) -> None:
    response = await stranger.post("/admin/keys", content=b"not json", headers=bearer("x"))
    error_in(response, 401, "invalid_api_key")


async def test_a_tenant_changes_nothing(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient, make_key: MakeKey
) -> None:
    own_id, own = make_key(requests_per_minute=1)
    other_id, _ = make_key()
    before = (await admin.get("/admin/keys")).json()
    for key_id in (own_id, other_id):
        path = f"/admin/keys/{key_id}"
        for method in ("GET", "DELETE", "PATCH"):
            response = await stranger.request(
                method, path, headers=bearer(own), json={"requests_per_minute": 999}
            )
            error_in(response, 403, "not_admin")
    assert (await admin.get("/admin/keys")).json() == before


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_open_mode_has_no_open_admin_routes(
    method: str, path: str, make_access: MakeAccess, database: Database
) -> None:
    async with client_of(app_of(make_access("open", admin_key=None), database)) as client:
        for headers in ({}, bearer("anything")):
            error = error_in(
                await client.request(method, path, headers=headers), 403, "no_admin_key"
            )
            assert "auth.admin_key" in error["message"]
    async with client_of(app_of(make_access("open"), database)) as client:
        error_in(await client.request(method, path), 401, "missing_api_key")
        error_in(
            await client.request(method, path, headers=bearer("guess")), 401, "invalid_api_key"
        )


async def test_open_mode_with_an_admin_key_is_run_by_it(
    make_access: MakeAccess, database: Database
) -> None:
    async with client_of(app_of(make_access("open"), database), **bearer(ADMIN_KEY)) as client:
        made = content_of(await client.post("/admin/keys", json={"name": "a"}), NewKeyReply, 201)
        assert (await client.get(f"/admin/keys/{made['id']}")).status_code == 200


async def test_without_the_database_it_says_so(
    admin: httpx.AsyncClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.run_sync(lambda connection: connection.execute(text("DROP TABLE keys")))
    for method, path in ROUTES[:6]:
        body = {"json": {"name": "secret name"}} if method in ("POST", "PATCH") else {}
        error_in(await admin.request(method, path, **body), 503, "not_ready")
    assert "secret name" not in caplog.text


@pytest.fixture
def spent(database: Database, make_key: MakeKey) -> str:
    """A key whose users have spent something; gives its id."""
    key_id, _ = make_key(name="spender", daily_limit=2, user_daily_limit=1)
    now = time.time()
    day, month = day_key(now), month_key(now)
    ann, bob = user_account(key_id, "ann:of:sales"), user_account("gone", "bob")
    rows = [
        (day, TOTAL, 1_500_000_000, 250_000_000),
        (month, TOTAL, 4_000_000_000, 0),
        (day, key_account(key_id), 2_500_000_000, 0),
        (month, key_account(key_id), 3_000_000_000, 0),
        (day, key_account("admin"), 1_000_000_000, 0),
        (day, ann, 400_000_000, 100_000_000),
        (month, ann, 500_000_000, 0),
        (month, bob, 900_000_000, 0),
        ("2020-01-01", ann, 77_000_000_000, 0),
        ("2020-01", user_account(key_id, "old"), 77_000_000_000, 0),
    ]
    database.run_sync(
        lambda connection: connection.execute(
            insert(totals),
            [
                {
                    "window": window,
                    "account": account,
                    "settled_nano": settled,
                    "held_nano": held,
                }
                for window, account, settled, held in rows
            ],
        )
    )
    return key_id


async def test_budgets_tell_what_is_spent_held_and_left(
    admin: httpx.AsyncClient, spent: str
) -> None:
    told = content_of(await admin.get("/admin/budgets"), BudgetsReply)

    def window(of: dict[str, Any], scope: str) -> tuple[Any, ...]:
        found = of[scope]
        assert 0 < found["resets_in_s"] <= (86_400 if scope == "daily" else 31 * 86_400)
        return found["limit_usd"], found["spent_usd"], found["held_usd"], found["left_usd"]

    assert window(told["gateway"], "daily") == (10.0, 1.5, 0.25, 8.25)
    assert window(told["gateway"], "monthly") == (None, 4.0, 0.0, None)
    admins, key = told["keys"]
    assert (admins["key_id"], admins["name"]) == ("admin", "admin")
    assert window(admins, "daily") == (None, 1.0, 0.0, None)
    assert (key["key_id"], key["name"]) == (spent, "spender")
    assert window(key, "daily") == (2.0, 2.5, 0.0, 0.0)
    bob, ann = told["users"]
    assert (bob["key_id"], bob["user"]) == ("gone", "bob")
    assert window(bob, "monthly") == (3.0, 0.9, 0.0, 2.1)
    assert (ann["key_id"], ann["user"]) == (spent, "ann:of:sales")
    assert window(ann, "daily") == (1.0, 0.4, 0.1, 0.5)
    assert window(ann, "monthly") == (3.0, 0.5, 0.0, 2.5)


async def test_the_pool_is_shown_without_its_secrets(admin: httpx.AsyncClient) -> None:
    response = await admin.get("/admin/models")
    openai, azure, mine = content_of(response, PoolReply)["data"]
    assert openai["name"] == "gpt-4o"
    assert [one["origin"] for one in openai["endpoints"]] == ["https://api.openai.com:443"]
    assert openai["prices"]["input_usd_per_mtok"] > 0
    assert openai["n_labels"] > 0
    first, second = azure["endpoints"]
    assert (first["upstream_model"], first["origin"]) == ("gpt-4o-mini", "http://127.0.0.1:9")
    assert (second["provider"], second["circuit"]) == ("ollama", "closed")
    assert azure["fallbacks"] == ["gpt-4o"]
    assert (mine["prices"], mine["n_labels"]) == (None, 0)
    for secret in ("sk-provider", "query-secret", "configured-secret", "header-secret", "api-key"):
        assert secret not in response.text


async def test_a_circuit_that_is_open_shows(admin: httpx.AsyncClient, app: FastAPI) -> None:
    mine = app.state.service.pool.member("mine").client
    request = ChatRequest.of([{"role": "user", "content": "hello"}], {}, dialect="openai")
    for _ in range(2):  # three calls each, and nobody is there
        with pytest.raises(UpstreamError):
            await mine.complete(request)
    told = content_of(await admin.get("/admin/models"), PoolReply)["data"]
    assert [one["endpoints"][0]["circuit"] for one in told] == ["closed", "closed", "open"]
    await app.state.service.transport.aclose()


def test_the_routes_are_described(app: FastAPI) -> None:
    install_openapi(app)
    document = app.openapi()
    validate(document)
    described = {
        (method.upper(), path.replace("{key_id}", "0123456789abcdef")): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if path.startswith("/admin/")
    }
    assert set(described) == set(ROUTES)
    for operation in described.values():
        assert {"401", "403", "503"} <= set(operation["responses"])
        assert "422" not in operation["responses"]
    schemas = document["components"]["schemas"]
    assert schemas["KeyForm"]["additionalProperties"] is False
    assert schemas["KeyForm"]["required"] == ["name"]
    assert "required" not in schemas["KeyChanges"]
    assert json.dumps(document)
