"""What one tenant tries to learn of another, to have of it, or to reach beyond its own; with the
shared state in memory, and in Redis."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import redis
from pydantic import SecretStr

from router.engine import Engine
from router.records.key_secrets import read_key
from router.records.tables import feedback
from serving.config import RedisConfig
from tests.key_databases import demand_redis
from tests.serving.hardening.hardened_gateway import (
    ADMIN_KEY,
    PROVIDER_KEY,
    HardenedClient,
    hardened_gateway,
    play_provider,
)
from tests.upstream import Upstream

SAID = "Paris is the capital of France."
TURN = {"role": "user", "content": "What is the capital of France?"}


@dataclass(frozen=True, kw_only=True)
class _Town:
    """A gateway in keys mode, and who lives there."""

    gateway: HardenedClient
    upstream: Upstream

    def key(self, **settings: Any) -> str:
        self.upstream.requests.clear()
        return self.gateway.new_key(**settings)

    def post(self, path: str, body: Any, key: str, **headers: str) -> httpx.Response:
        return self.gateway.http.post(path, json=body, headers={"x-api-key": key, **headers})

    def get(self, path: str, key: str) -> httpx.Response:
        return self.gateway.http.get(path, headers={"authorization": f"Bearer {key}"})

    def asked(self) -> list[str]:
        """Which models were asked since the last time."""
        names = [str(one.body["model"]) for one in self.upstream.requests]
        self.upstream.requests.clear()
        return names


def key_id(key: str) -> str:
    text = read_key(key)
    assert text is not None
    return text.id


@pytest.fixture(scope="module", params=["memory", "redis"])
def town(
    request: pytest.FixtureRequest, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Town]:
    sections: dict[str, Any] = {}
    prefix = f"sluice-hardening-{secrets.token_hex(4)}"
    if request.param == "redis":
        sections["redis"] = RedisConfig(url=SecretStr(demand_redis()), prefix=prefix)
    folder = tmp_path_factory.mktemp("town")
    with (
        Upstream(play_provider(SAID)) as upstream,
        hardened_gateway(engine, upstream, folder, mode="keys", **sections) as gateway,
    ):
        yield _Town(gateway=gateway, upstream=upstream)
        gateway.check_nothing_is_left()
    if request.param == "redis":
        with redis.Redis.from_url(demand_redis()) as client:
            for name in client.scan_iter(f"{prefix}*"):
                client.delete(name)


# -- what others have -----------------------------------------------------------------------------


def test_labels_are_for_ones_own_requests(town: _Town) -> None:
    a, b = town.key(), town.key()
    its = town.gateway.chat("drafts", key=a).headers["x-sluice-request-id"]
    labels = {"correct": False, "comment": "spoilt"}
    refused = town.post("/v1/feedback", {"request_id": its, **labels}, b)
    unknown = town.post("/v1/feedback", {"request_id": "slc_" + "0" * 32, **labels}, b)
    assert refused.status_code == unknown.status_code == 404
    assert refused.content == unknown.content
    for near in (its[:-1], its + "0", its.upper(), its[:-1] + ("0" if its[-1] != "0" else "1")):
        assert town.post("/v1/feedback", {"request_id": near, **labels}, b).status_code == 404
    assert not [row for row in town.gateway.rows(feedback) if row["request_id"] == its]
    assert town.post("/v1/feedback", {"request_id": its, "correct": True}, a).status_code == 201


def test_ids_of_requests_cannot_be_guessed(town: _Town) -> None:
    a = town.key()
    ids = [town.gateway.chat("drafts", key=a).headers["x-sluice-request-id"] for _ in range(50)]
    tails = [one.removeprefix("slc_")[12:] for one in ids]  # before it is the time
    assert {len(tail) for tail in tails} == {20}  # 80 bits
    for place in range(20):
        assert len({tail[place] for tail in tails}) > 4  # each of them by chance


def test_figures_are_of_ones_own_requests(town: _Town) -> None:
    a, b = town.key(), town.key()
    for _ in range(3):
        town.gateway.chat("drafts", key=a, user="ann")
    town.gateway.chat("drafts", key=b)
    for query in ("", "?bucket=none", "?group_by=key", "?group_by=user", "?group_by=model"):
        seen = town.get(f"/v1/analytics{query}", b)
        assert seen.json()["total"]["requests"] == 1
        assert key_id(a) not in seen.text
        assert "ann" not in seen.text
    refused = town.get(f"/v1/analytics?key={key_id(a)}", b)
    assert refused.status_code == 403
    for other in ("admin", "x", "%27%20OR%201%3D1"):
        assert town.get(f"/v1/analytics?key={other}", b).status_code == 403
    assert town.get("/v1/analytics?key=", b).status_code in (400, 403)
    assert town.get(f"/v1/analytics?key={key_id(a)}", a).json()["total"]["requests"] == 3


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"user": "ann"}])
def test_cached_answers_are_not_shared(town: _Town, more: dict[str, Any]) -> None:
    a, b = town.key(), town.key()
    text = f"What is the capital of France? {secrets.token_hex(4)}"
    request = {"temperature": 0, **more}
    town.gateway.chat("kept", text, key=a, **request)
    again = town.gateway.chat("kept", text, key=a, **request)
    assert again.headers["x-sluice-action"] == "cached"
    assert town.asked() == ["small"]
    for wording in (text, text.lower(), f"{text} "):  # as near as can be, for a semantic cache
        theirs = town.gateway.chat("kept", wording, key=b, **request)
        assert theirs.headers["x-sluice-action"] == "accepted"
        paid = [row for row in town.gateway.rows() if row["key_id"] == key_id(b)][-1]
        assert paid["cost_nano"] > 0
        assert town.asked() == ["small"]
        b = town.key()
    assert town.gateway.chat("kept", text, key=ADMIN_KEY, **request).status_code == 200
    assert town.asked() == ["small"]


def test_a_conversation_of_the_same_words_is_another_one(town: _Town) -> None:
    a, b = town.key(), town.key()
    named = {"x-sluice-conversation": "c1"}
    talk = [TURN, {"role": "assistant", "content": SAID}, {"role": "user", "content": "And Spain?"}]

    def turn(key: str, messages: list[Any], **headers: str) -> list[str]:
        town.post("/v1/chat/completions", {"model": "doubts", "messages": messages}, key, **headers)
        return town.asked()

    for headers in ({}, named):
        assert turn(a, talk[:1], **headers) == ["small", "large"]
        assert turn(a, talk, **headers) == ["large"]  # it stays where it is well off
        assert turn(b, talk, **headers) == ["small", "large"]


def test_a_user_of_the_same_name_is_another_one(town: _Town) -> None:
    a = town.key(user_daily_limit=0.025)
    b = town.key(user_daily_limit=0.025)
    statuses = {town.gateway.chat("large", key=b, user="ann").status_code for _ in range(40)}
    assert statuses == {200, 429}
    assert town.gateway.chat("large", key=a, user="ann").status_code == 200
    # Somebody else's name, in whatever place, is a name among one's own users.
    spoofed = f"{key_id(a)}:ann"
    for _ in range(3):
        town.gateway.chat("small", key=b, headers={"x-sluice-user": spoofed})
    budgets = town.get("/admin/budgets", ADMIN_KEY).json()
    of_ann = [
        row for row in budgets["users"] if row["user"] == "ann" and row["key_id"] == key_id(a)
    ]
    assert of_ann[0]["daily"]["spent_usd"] < 0.001
    owners = {row["key_id"] for row in budgets["users"] if row["user"] == spoofed}
    assert owners == {key_id(b)}


def test_limits_are_ones_own(town: _Town) -> None:
    a, b = town.key(requests_per_minute=3), town.key(requests_per_minute=3)
    statuses = [town.gateway.chat("small", key=b).status_code for _ in range(6)]
    assert statuses == [200] * 3 + [429] * 3
    assert town.gateway.chat("small", key=a).status_code == 200


# -- what is beyond ones own ----------------------------------------------------------------------


def test_models_that_are_not_ones_own_do_not_exist(town: _Town) -> None:
    b = town.key(models=("small",), cascades=("drafts",))
    body = {"max_tokens": 9, "messages": [TURN], "input": "x"}
    for path in ("/v1/chat/completions", "/v1/messages"):
        unknown = town.post(path, {**body, "model": "nobody"}, b)
        for name in ("large", "doubts", "claude-small", "large ", "embed"):
            refused = town.post(path, {**body, "model": name}, b)
            assert refused.status_code == 404
            assert error_of(refused) == error_of(unknown)
    for name in ("embed", "sluice-encoder"):
        assert town.post("/v1/embeddings", {**body, "model": name}, b).status_code == 404
    assert not town.asked()
    listed = [row["id"] for row in town.get("/v1/models", b).json()["data"]]
    assert sorted(listed) == ["auto", "drafts", "small"]
    assert town.get("/v1/models/large", b).status_code == 404
    assert town.post("/v1/messages", {**body, "model": "auto"}, b).status_code == 200


def test_auto_is_no_way_round(town: _Town) -> None:
    b = town.key(cascades=("claude-drafts",))  # and "auto" is another cascade
    assert town.gateway.chat("auto", key=b).status_code == 404
    nothing = town.key(models=(), cascades=())
    for name in ("auto", "drafts", "small"):
        assert town.gateway.chat(name, key=nothing).status_code == 404
    assert town.get("/v1/models", nothing).json()["data"] == []


def test_the_admins_routes_are_closed(town: _Town) -> None:
    b = town.key()
    requests = [
        *(("GET", "/admin/keys"), ("POST", "/admin/keys"), ("GET", "/admin/budgets")),
        *(("GET", "/admin/models"), ("GET", "/metrics"), ("GET", f"/admin/keys/{key_id(b)}")),
        *(("PATCH", f"/admin/keys/{key_id(b)}"), ("DELETE", f"/admin/keys/{key_id(b)}")),
    ]
    for method, path in requests:
        for headers in ({"x-api-key": b}, {"authorization": f"Bearer {b}", "x-api-key": "x"}):
            body = {"daily_limit": 1e6, "name": "x"}
            said = town.gateway.http.request(method, path, json=body, headers=headers)
            assert said.status_code == 403
            assert said.json()["error"]["code"] == "not_admin"
    assert town.gateway.chat("small", key=b).status_code == 200


def test_keys_that_are_nearly_right_do_not_open(town: _Town) -> None:
    a = town.key()
    other = town.key()
    swapped = a[: a.rindex("-", 0, 25)] + other[other.rindex("-", 0, 25) :]
    near = [a[:-1], a + "A", a.upper(), a.replace("sk-slc-", ""), swapped, key_id(a), f'"{a}"']
    for key in (*near, "sk-slc-", "null", "undefined", ADMIN_KEY[:-1], ADMIN_KEY.upper()):
        assert town.gateway.chat("small", key=key).status_code == 401, key
    # In an address keys would end up in logs, so they are not looked for there.
    assert town.gateway.http.get(f"/v1/models?api_key={a}&key={a}").status_code == 401


HEADERS = {
    **{
        f"x-{name}": "mark-1" for name in ("custom", "forwarded-for", "sluice-user", "stainless-os")
    },
    **dict.fromkeys(("openai-organization", "openai-project", "anthropic-beta"), "mark-2"),
    **dict.fromkeys(("cookie", "proxy-authorization", "forwarded", "via", "referer"), "mark-3"),
    **dict.fromkeys(("te", "trailer", "keep-alive", "user-agent", "accept"), "mark-4"),
    **dict.fromkeys(("traceparent", "baggage", "idempotency-key", "accept-language"), "mark-5"),
}


@pytest.mark.parametrize("model", ["small", "claude-small", "embed"])
def test_nothing_of_a_callers_headers_reaches_a_provider(town: _Town, model: str) -> None:
    b = town.key()
    path = "/v1/embeddings" if model == "embed" else "/v1/chat/completions"
    body = {"model": model, "messages": [TURN], "input": "x"}
    for stream in (False, True):
        said = town.post(path, {**body, "stream": stream}, b, **HEADERS)
        assert said.status_code == 200, said.text
    for sent in town.upstream.requests:
        told = " ".join((sent.path, str(sent.body), *sent.headers, *sent.headers.values()))
        assert "mark" not in told
        assert b not in told
        if model != "embed":
            keys = (sent.headers.get("authorization"), sent.headers.get("x-api-key"))
            assert PROVIDER_KEY in " ".join(filter(None, keys))
        assert set(sent.headers) <= {
            *("host", "authorization", "x-api-key", "anthropic-version", "content-type"),
            *("content-length", "accept", "accept-encoding", "user-agent", "connection"),
        }


def test_where_a_call_goes_is_not_for_callers_to_say(town: _Town) -> None:
    b = town.key()
    body = {"max_tokens": 9, "messages": [TURN], "input": "x"}
    with Upstream() as elsewhere:
        for name in ("api_base", "base_url", "api_key"):
            for path, model in (
                *(("/v1/chat/completions", "small"), ("/v1/messages", "claude-small")),
                ("/v1/embeddings", "embed"),
            ):
                said = town.post(path, {**body, "model": model, name: elsewhere.url}, b)
                assert said.status_code == 400
                assert said.json()["error"]["param"] == name
        assert not town.asked()
        more = {
            "extra_headers": {"authorization": "Bearer mine"},
            "extra_body": {"api_base": elsewhere.url},
            "headers": {"authorization": "Bearer mine"},
            "litellm_params": {"api_base": elsewhere.url},
            "organization": "mine",
            "provider": {"base_url": elsewhere.url},
            "timeout": 0.001,
        }
        said = town.gateway.chat("small", key=b, **more)
        assert said.status_code == 200
        [sent] = town.upstream.requests
        assert sent.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
        assert sent.body["model"] == "small"
        assert not elsewhere.requests


def error_of(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = response.json()["error"]
    return found


def test_a_revoked_key_is_soon_refused(town: _Town) -> None:
    b = town.key()
    assert town.gateway.chat("small", key=b).status_code == 200
    headers = {"x-api-key": ADMIN_KEY}
    town.gateway.http.delete(f"/admin/keys/{key_id(b)}", headers=headers).raise_for_status()
    time.sleep(0.6)
    assert town.gateway.chat("small", key=b).status_code == 401
