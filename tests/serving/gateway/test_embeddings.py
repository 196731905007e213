"""Embeddings: passed through to a provider, or the artifact's own; paid for and recorded."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from router.engine import Engine
from router.errors import ConfigError
from router.providers.transport import Transport
from router.records.key_form import KeyForm
from router.records.key_records import create_key
from router.records.tables import calls, outcomes
from serving.app import create_app
from serving.config import AuthConfig, GatewayBudget, GatewayConfig, LimitsConfig, StoreConfig
from serving.gateway.embedding_models import EmbeddingModel
from serving.service import Service
from tests.agents import model
from tests.behaviours import fail, hang, send, send_json
from tests.serving.clients.said import vectors
from tests.upstream import Upstream

EMBED = {"input_cost": 2.0, "output_cost": 0.0}
ASK = {"model": "embed", "input": "Hi?"}
NANO = 8 * 2000  # eight tokens at two dollars a million


class Gateway:
    """A service in this process, and who asks it."""

    def __init__(self, service: Service, client: httpx.AsyncClient) -> None:
        self.service = service
        self.client = client

    async def ask(self, body: Any, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/v1/embeddings", json=body, headers=named)

    def rows(self, table: Any) -> list[Any]:
        return self.service.database.run_sync(
            lambda connection: list(connection.execute(select(table).order_by(*table.primary_key)))
        )


Run = Callable[..., Any]


@pytest.fixture
def run(engine: Engine, upstream: Upstream, tmp_path: Path) -> Run:
    """Makes gateways in front of `upstream`; options are the configuration's."""

    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[Gateway]:
        config = GatewayConfig(
            store=StoreConfig(url=f"sqlite:///{tmp_path / 'sluice.db'}", store_text=True),
            **{"embeddings": (model("embed", upstream.url, **EMBED),), **options},
        )
        service = Service(config, engine=engine, environ={})
        service.load()
        assert service.failure is None
        transport = httpx.ASGITransport(app=create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://sluice.test") as client:
            yield Gateway(service, client)
        await service.aclose()

    return make


async def test_an_answer_is_passed_through_and_recorded(run: Run, upstream: Upstream) -> None:
    upstream.then(vectors)
    async with run() as gateway:
        reply = await gateway.ask({**ASK, "own": 1}, x_sluice_user="u")
        (outcome,), (call,) = gateway.rows(outcomes), gateway.rows(calls)
    assert reply.status_code == 200
    assert reply.json()["data"][0]["embedding"] == [0.0, 0.5, -2.0]
    assert reply.headers["content-type"] == "application/json"
    assert upstream.bodies == [{**ASK, "own": 1}]
    assert outcome.request_id == reply.headers["x-sluice-request-id"]
    assert (outcome.status, outcome.action, outcome.model) == ("ok", "bypass", "embed")
    assert (outcome.user, outcome.input_tokens, outcome.output_tokens) == ("u", 8, 0)
    assert outcome.cost_nano == call.charged_nano == NANO
    assert float(reply.headers["x-sluice-cost-usd"]) == pytest.approx(NANO / 1e9)
    assert json.loads(outcome.prompt) == {"input": "Hi?", "own": 1}
    assert (call.provider, call.input_tokens) == ("custom", 8)


async def test_what_the_configuration_says_goes_along(run: Run, upstream: Upstream) -> None:
    config = model(
        "embed",
        f"{upstream.url}?api-version=7",
        model="text-embedding",
        params={"dimensions": 3},
        api_key="a-provider-key",
    )
    upstream.then(vectors)
    async with run(embeddings=(config,)) as gateway:
        reply = await gateway.ask(ASK)
    (request,) = upstream.requests
    assert request.path == "/v1/embeddings?api-version=7"
    assert request.body == {"model": "text-embedding", "input": "Hi?", "dimensions": 3}
    assert request.headers["authorization"] == "Bearer a-provider-key"
    assert "a-provider-key" not in reply.text + str(reply.headers)


async def test_a_failed_call_is_tried_again_and_counted_once(run: Run, upstream: Upstream) -> None:
    upstream.then(fail(503), vectors)
    patient = model("embed", upstream.url, max_retries=1, **EMBED)
    async with run(embeddings=(patient,)) as gateway:
        reply = await gateway.ask(ASK)
        assert reply.status_code == 200
        assert [call.charged_nano for call in gateway.rows(calls)] == [NANO]
    assert len(upstream.requests) == 2


async def test_another_endpoint_stands_in(run: Run, upstream: Upstream) -> None:
    upstream.then(fail(400), vectors)
    other = {"provider": "other", "api_base": upstream.url}
    config = model("embed", upstream.url, endpoints=[other], **EMBED)
    async with run(embeddings=(config,)) as gateway:
        reply = await gateway.ask(ASK)
        assert reply.status_code == 200
        assert [call.provider for call in gateway.rows(calls)] == ["other"]


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (fail(500), 502, "upstream_failed"),
        (fail(401), 502, "upstream_failed"),
        (fail(400), 400, "upstream_refused"),
        (send(b"not JSON"), 502, "upstream_failed"),
        (send_json([1]), 502, "upstream_failed"),
        (send_json({"data": None}), 502, "upstream_failed"),
        (hang(), 504, "upstream_timeout"),
    ],
    ids=["500", "401", "400", "no JSON", "a list", "no data", "silence"],
)
async def test_a_failure_is_told_and_recorded(
    run: Run, upstream: Upstream, behaviour: Any, status: int, code: str
) -> None:
    upstream.then(behaviour)
    config = model("embed", upstream.url, timeout={"total_s": 0.3}, **EMBED)
    async with run(embeddings=(config,)) as gateway:
        reply = await gateway.ask(ASK)
        (outcome,) = gateway.rows(outcomes)
    assert reply.status_code == status
    error = reply.json()["error"]
    assert error["code"] == code
    assert "embed" in error["message"]
    assert (outcome.status, outcome.http_status, outcome.error_code) == ("failed", status, code)
    assert outcome.request_id == reply.headers["x-request-id"]
    assert outcome.model is None


async def test_the_gateways_own_time_limit(run: Run, upstream: Upstream) -> None:
    upstream.then(hang())
    async with run(limits=LimitsConfig(request_timeout_s=0.2)) as gateway:
        reply = await gateway.ask(ASK)
        assert reply.status_code == 504
        (outcome,) = gateway.rows(outcomes)
        assert (outcome.status, outcome.error_code) == ("failed", "upstream_timeout")
        assert await upstream.all_closed()


async def test_an_endpoint_that_keeps_failing_is_left_alone(run: Run, upstream: Upstream) -> None:
    upstream.then(fail(500))
    async with run() as gateway:
        replies = [await gateway.ask(ASK) for _ in range(7)]
    assert len(upstream.requests) == 5
    assert "tried again" in replies[-1].json()["error"]["message"]


async def test_usage_that_makes_no_sense_is_not_known(run: Run, upstream: Upstream) -> None:
    upstream.then(send_json({"object": "list", "data": [], "usage": {"prompt_tokens": -1}}))
    async with run() as gateway:
        reply = await gateway.ask(ASK)
        (outcome,) = gateway.rows(outcomes)
    assert reply.status_code == 200
    assert outcome.unpriced
    assert outcome.input_tokens is None
    assert "x-sluice-cost-usd" not in reply.headers


async def test_a_budget_holds(run: Run, upstream: Upstream) -> None:
    upstream.then(vectors)
    async with run(budget=GatewayBudget(daily_limit=0.0005)) as gateway:
        statuses = [(await gateway.ask(ASK)).status_code for _ in range(20)]
        refused = await gateway.ask(ASK)
        spent = sum(one.cost_nano for one in gateway.rows(outcomes))
    assert statuses[0] == 200
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "budget_exceeded"
    assert int(refused.headers["retry-after"]) >= 1
    assert spent == statuses.count(200) * NANO <= 500_000
    assert len(upstream.requests) == statuses.count(200)


async def test_a_budget_wants_a_price(run: Run, upstream: Upstream) -> None:
    config = model("embed", upstream.url, cost=None)
    async with run(embeddings=(config,), budget=GatewayBudget(daily_limit=1.0)) as gateway:
        reply = await gateway.ask(ASK)
        assert gateway.rows(outcomes) == []
    assert reply.status_code == 400
    assert "no price is known for model 'embed'" in reply.json()["error"]["message"]
    assert upstream.requests == []


async def test_the_artifacts_own_encoder(run: Run, upstream: Upstream) -> None:
    async with run(budget=GatewayBudget(daily_limit=1.0)) as gateway:
        reply = await gateway.ask({"model": "sluice-encoder", "input": ["Hi?", "Ho? " * 5000]})
        (outcome,) = gateway.rows(outcomes)
    body = reply.json()
    assert [len(one["embedding"]) for one in body["data"]] == [256, 256]
    assert [one["index"] for one in body["data"]] == [0, 1]
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] > 5000
    assert (outcome.provider, outcome.model, outcome.cost_nano) == ("sluice", "sluice-encoder", 0)
    assert not outcome.unpriced
    assert outcome.artifact == reply.headers["x-sluice-artifact"]
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "sluice-encoder", "input": [1, 2]}, 400, "input"),
        ({"model": "sluice-encoder", "input": "a", "dimensions": 255}, 400, "dimensions"),
        ({"model": "sluice-encoder", "input": ["a"] * 257}, 400, "input"),
        ({"model": "sluice-encoder", "input": "a", "temperature": 1}, 400, "temperature"),
        ({"model": "embed", "input": ""}, 400, "input"),
        ({"model": "embed", "input": "a", "api_base": "http://x"}, 400, "api_base"),
        ({"model": "auto", "input": "a"}, 404, "model"),
        ({"input": "a"}, 400, "model"),
    ],
)
async def test_what_is_refused_is_no_outcome(
    run: Run, upstream: Upstream, body: Any, status: int, param: str
) -> None:
    async with run() as gateway:
        reply = await gateway.ask(body)
        assert gateway.rows(outcomes) == []
    assert reply.status_code == status
    assert reply.json()["error"]["param"] == param
    assert reply.headers["x-request-id"] == reply.headers["x-sluice-request-id"]
    assert upstream.requests == []


async def test_a_tenant_asks_what_its_key_allows(run: Run, upstream: Upstream) -> None:
    upstream.then(vectors)
    async with run(auth=AuthConfig(mode="keys")) as gateway:
        strange = await gateway.ask(ASK)
        made = gateway.service.database.run_sync(
            lambda connection: [
                create_key(connection, KeyForm(name="k", **settings), now=time.time())
                for settings in ({"models": ("embed",)}, {"models": ()}, {"daily_limit": 1e-9})
            ]
        )
        allowed, forbidden, poor = [
            await gateway.ask(ASK, authorization=f"Bearer {text}") for _, text in made
        ]
        (outcome,) = gateway.rows(outcomes)
    statuses = [one.status_code for one in (strange, allowed, forbidden, poor)]
    assert statuses == [401, 200, 404, 429]
    assert outcome.key_id == made[0][0].id
    assert len(upstream.requests) == 1


def test_a_provider_without_embeddings_is_refused_at_the_start() -> None:
    config = model("embed", "http://127.0.0.1:1", provider="anthropic", api_key="k")
    with pytest.raises(ConfigError, match="anthropic has no embeddings"):
        EmbeddingModel(config, Transport(), environ={})


async def test_what_was_paid_is_recorded_whatever_goes_wrong(
    run: Run, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = EmbeddingModel.embed

    async def break_after(self: EmbeddingModel, body: Any, purse: Any) -> Any:
        await embed(self, body, purse)
        raise RuntimeError("a mistake")

    monkeypatch.setattr(EmbeddingModel, "embed", break_after)
    upstream.then(vectors)
    async with run() as gateway:
        with pytest.raises(RuntimeError, match="a mistake"):
            await gateway.ask(ASK)
        (outcome,), (call,) = gateway.rows(outcomes), gateway.rows(calls)
    assert (outcome.status, outcome.http_status) == ("failed", 500)
    assert outcome.error_code == "internal_error"
    assert outcome.cost_nano == call.charged_nano == NANO


async def test_an_outcome_that_is_lost_is_logged(
    run: Run, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.then(vectors)
    async with run() as gateway:
        drop = text("DROP TABLE outcomes")
        gateway.service.database.run_sync(lambda connection: connection.execute(drop))
        reply = await gateway.ask(ASK)
    assert reply.status_code == 503
    request_id = reply.headers["x-request-id"]
    assert f"the outcome of {request_id} ({NANO} nano-USD) is lost" in caplog.text
