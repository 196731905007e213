"""GET /v1/analytics: its shape, its parameters, and who sees what."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate

from router.records.database import Database
from serving.analytics_wire import AnalyticsReply
from serving.openapi import install_openapi
from tests.made_up_log import NOW, Logged, made_up_log, write_log

Keys = dict[str, tuple[str, str]]
WEEK = {"from": str(NOW - 7 * 86_400), "to": "2026-11-25T12:00:00Z"}
LOG = list(made_up_log(600))


@pytest.fixture(autouse=True)
def logged(store: Database, keys: Keys) -> None:
    """Requests of ours, of theirs, and without a key."""
    owners = {"key_0": keys["ours"][0], "key_1": keys["theirs"][0], "key_2": ""}
    log = [
        Logged(
            outcome=replace(one.outcome, key_id=owners[one.outcome.key_id]),
            calls=one.calls,
            labels=one.labels,
        )
        for one in LOG
    ]
    store.run_sync(partial(write_log, log=log))


def number_of(key_id: str | None) -> int:
    return sum(key_id in (None, one.outcome.key_id) for one in LOG)


async def report(client: httpx.AsyncClient, headers: Any = None, **params: str) -> AnalyticsReply:
    """The answer, held against what the OpenAPI document says of it."""
    response = await client.get("/v1/analytics", params={**WEEK, **params}, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    reply = AnalyticsReply.model_validate(response.json())
    assert reply.model_dump(mode="json", by_alias=True) == response.json()
    return reply


@pytest.mark.parametrize("group_by", [None, "model", "domain", "key", "cascade", "action", "user"])
@pytest.mark.parametrize("bucket", ["hour", "day", "none"])
async def test_every_form_is_as_documented(
    bucket: str, group_by: str | None, client: httpx.AsyncClient, admin: Any
) -> None:
    params = {"bucket": bucket} | ({} if group_by is None else {"group_by": group_by})
    found = await report(client, admin, **params)
    assert found.total.requests == len(LOG)
    assert sum(row.requests for row in found.rows) == len(LOG)
    assert (found.bucket, found.group_by, found.key) == (bucket, group_by, None)
    assert (found.from_, found.to) == ("2026-11-18T12:00:00Z", "2026-11-25T12:00:00Z")
    assert len(found.labels.p_success.bins) == len(found.labels.p_acceptable.bins) == 10
    assert found.labels.n > 0


async def test_a_key_sees_its_own_alone(
    client: httpx.AsyncClient, keys: Keys, ours: Any, admin: Any
) -> None:
    mine, theirs = keys["ours"][0], keys["theirs"][0]
    for params in ({}, {"group_by": "user"}, {"group_by": "key"}, {"key": mine}):
        found = await report(client, ours, bucket="none", **params)
        assert (found.total.requests, found.key) == (number_of("key_0"), mine)
    (row,) = (await report(client, ours, bucket="none", group_by="key")).rows
    assert row.group == mine
    for other in (theirs, "", "never-was"):
        response = await client.get("/v1/analytics", params={"key": other}, headers=ours)
        assert response.status_code == 403
        assert response.json()["error"]["param"] == "key"
        assert theirs not in response.text
    whole = await report(client, admin, bucket="none")
    part = await report(client, admin, bucket="none", key=theirs)
    assert (whole.total.requests, part.total.requests) == (len(LOG), number_of("key_1"))
    assert whole.labels.n > part.labels.n > 0


async def test_open_mode_sees_its_own(open_client: httpx.AsyncClient) -> None:
    found = await report(open_client, bucket="none")
    assert (found.total.requests, found.key) == (number_of("key_2"), "")


async def test_without_a_key_nobody_comes_in(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"x-api-key": "sk-wrong"}):
        response = await client.get("/v1/analytics?nonsense=1", headers=headers)
        assert response.status_code == 401


async def test_by_default_it_is_the_last_day_by_the_hour(
    client: httpx.AsyncClient, admin: Any
) -> None:
    before = time.time()
    response = await client.get("/v1/analytics", headers=admin)
    found = AnalyticsReply.model_validate(response.json())
    start, end = (datetime.fromisoformat(text).timestamp() for text in (found.from_, found.to))
    assert before <= end <= time.time()
    assert end - start == pytest.approx(86_400, abs=0.001)
    assert found.bucket == "hour"
    assert len(found.rows) in (24, 25)
    assert all(row.start is not None for row in found.rows)


@pytest.mark.parametrize(
    ("query", "param", "says"),
    [
        ("form=1", "form", "did you mean 'from'"),
        ("groupby=model", "groupby", "did you mean 'group_by'"),
        ("x=1", "x", "known are from, to, bucket, group_by, key"),
        ("from=1&from=2", "from", "given twice"),
        ("from=yesterday", "from", "ISO 8601 or Unix seconds"),
        ("to=", "to", "ISO 8601 or Unix seconds"),
        ("to=nan", "to", "ISO 8601"),
        ("from=2026-11-25T10:00:00+02:00", "from", "'+' is written %2B"),
        ("from=1999999999", "from", "before 'to'"),
        ("from=20&to=10", "from", "before 'to'"),
        ("from=10&to=10", "from", "before 'to'"),
        ("bucket=minute", "bucket", "one of hour, day, none"),
        ("bucket=", "bucket", "one of hour"),
        ("group_by=prompt", "group_by", "one of model, domain"),
        ("group_by=model&group_by=key", "group_by", "given twice"),
        ("key=a%00b", "key", "no key's id"),
        ("key=" + "k" * 201, "key", "no key's id"),
        ("from=0&to=1795608000", "bucket", "at most 750"),
        ("%00=1", "\x00", "unknown parameter"),
    ],
)
async def test_a_wrong_parameter_is_named(
    query: str, param: str, says: str, client: httpx.AsyncClient, admin: Any
) -> None:
    response = await client.get(f"/v1/analytics?{query}", headers=admin)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["param"] == param
    assert says in error["message"]


async def test_all_time_in_one_bucket_is_fine(client: httpx.AsyncClient, admin: Any) -> None:
    found = await report(client, admin, **{"from": "0", "bucket": "none"})
    assert found.total.requests == len(LOG)


async def test_a_tenant_cannot_crowd_out_others(
    client: httpx.AsyncClient, ours: Any, admin: Any
) -> None:
    answered: list[tuple[str, int]] = []

    async def ask(who: str, headers: Any) -> None:
        params = {**WEEK, "group_by": "user"}
        response = await client.get("/v1/analytics", params=params, headers=headers)
        answered.append((who, response.status_code))

    await ask("ours", ours)  # the key is known from now on
    answered.clear()
    many = [asyncio.create_task(ask("ours", ours)) for _ in range(30)]
    await asyncio.sleep(0)
    await asyncio.gather(ask("admin", admin), *many)
    assert answered.count(("ours", 429)) == 14
    served = [who for who, status in answered if status == 200]
    assert len(served) == 17
    assert served.index("admin") <= 3


async def test_its_description_is_valid_and_complete(app: FastAPI) -> None:
    install_openapi(app)
    document = app.openapi()
    operation = document["paths"]["/v1/analytics"]["get"]
    assert [one["name"] for one in operation["parameters"]] == [
        "from", "to", "bucket", "group_by", "key",
    ]  # fmt: skip
    assert set(operation["responses"]) == {"200", "400", "401", "403", "429", "500", "503"}
    created = document["paths"]["/v1/feedback"]["post"]["responses"]
    assert set(created) == {"201", "400", "401", "404", "408", "413", "415", "429", "500", "503"}
    assert "/" not in document["paths"]
    schemas = document["components"]["schemas"]
    assert "from" in schemas["AnalyticsReply"]["properties"]
    del document["paths"]["/v1/feedback"]["post"][
        "requestBody"
    ]  # its model is the gateway's list's
    validate(document)
