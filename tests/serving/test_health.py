"""Health, readiness while loading and after a failure, metrics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from router.engine import Engine
from serving.app import create_app
from serving.config import GatewayConfig, ServerConfig, StoreConfig
from serving.replies import LiveReply, NotReadyReply, ReadyReply
from serving.service import Service


def unready(root: Path) -> tuple[Service, httpx.AsyncClient]:
    service = Service(GatewayConfig(server=ServerConfig(models_root=root)))
    transport = httpx.ASGITransport(app=create_app(service))
    return service, httpx.AsyncClient(transport=transport, base_url="http://sluice.test")


async def test_a_loaded_service_is_alive_and_ready(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    LiveReply.model_validate((await client.get("/health/live")).json())
    response = await client.get("/health/ready")
    assert response.status_code == 200
    assert ReadyReply.model_validate(response.json()).artifact == engine.version


async def test_until_the_artifact_is_there_it_is_alive_but_not_ready(
    tmp_path: Path, error_of: Any
) -> None:
    _, client = unready(tmp_path)
    async with client:
        assert (await client.get("/health/live")).status_code == 200
        response = await client.get("/health/ready")
        error_of(response, 503)
        reply = NotReadyReply.model_validate(response.json())
        assert (reply.status, reply.missing) == ("starting", ["artifact"])
        for path, body in (
            ("/v1/route", {"prompt": "hi"}),
            ("/v1/route", {"prompts": ["hi"]}),
            ("/v1/validate", {"prompt": "hi", "draft": "hello"}),
        ):
            refusal = await client.post(path, json=body)
            assert error_of(refusal, 503)["code"] == "not_ready"
            assert refusal.headers["retry-after"] == "1"


async def test_an_artifact_that_cannot_be_used_is_told(tmp_path: Path, error_of: Any) -> None:
    service, client = unready(tmp_path)
    service.load()
    async with client:
        response = await client.get("/health/ready")
        error_of(response, 503)
        reply = NotReadyReply.model_validate(response.json())
        assert reply.status == "failed"
        assert "CURRENT" in reply.error.message
        assert "retry-after" not in (await client.post("/v1/route", json={"prompt": "a"})).headers


async def test_loading_makes_it_ready(store: StoreConfig) -> None:
    service = Service(GatewayConfig(store=store))
    service.load()
    assert service.failure is None
    assert service.is_loaded
    await service.aclose()


async def test_a_store_that_cannot_be_opened_is_told(tmp_path: Path, error_of: Any) -> None:
    path = tmp_path / "sluice.db"
    path.write_text("This is no database, whatever its name says. " * 50)
    service = Service(GatewayConfig(store=StoreConfig(url=f"sqlite:///{path}")))
    service.load()
    transport = httpx.ASGITransport(app=create_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice.test") as client:
        response = await client.get("/health/ready")
    error_of(response, 503)
    assert str(path) in response.json()["error"]["message"]


async def test_a_store_that_goes_away_is_told(
    app: FastAPI, client: httpx.AsyncClient, error_of: Any
) -> None:
    service: Service = app.state.service
    service.database.close()
    path = service.database.engine.url.database
    Path(str(path)).unlink()
    Path(str(path)).mkdir()
    response = await client.get("/health/ready")
    error_of(response, 503)
    assert NotReadyReply.model_validate(response.json()).missing == ["store"]


async def test_a_service_that_goes_down_is_not_ready(
    app: FastAPI, client: httpx.AsyncClient, error_of: Any
) -> None:
    app.state.draining = True
    response = await client.get("/health/ready")
    error_of(response, 503)
    assert response.json()["status"] == "draining"
    assert (await client.get("/health/live")).status_code == 200


async def test_metrics_count_requests_decisions_and_verdicts(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    routed = (await client.post("/v1/route", json={"prompts": ["hello", "bonjour"]})).json()
    await client.post("/v1/route", json={"prompt": ""})
    await client.post("/v1/validate", json={"prompt": "hi", "draft": ""})
    await client.get("/no/such/path/4711")
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    text = response.text
    assert 'sluice_requests_total{route="/v1/route",status="200"} 1.0' in text
    assert 'sluice_requests_total{route="/v1/route",status="400"} 1.0' in text
    assert 'sluice_requests_total{route="unmatched",status="404"} 1.0' in text
    assert "4711" not in text
    assert 'sluice_request_seconds_count{route="/v1/route"} 2.0' in text
    assert 'sluice_verdicts_total{accept="false"} 1.0' in text
    assert f'sluice_artifact_info{{version="{engine.version}"}} 1.0' in text
    counted = re.findall(r"^sluice_decisions_total\{(.*)\} (.*)$", text, re.MULTILINE)
    assert sum(float(count) for _, count in counted) == 2
    for result in routed["results"]:
        labels = f'action="{result["plan"]["action"]}",domain="{result["domain"]}"'
        assert labels in {label for label, _ in counted}
