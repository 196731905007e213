"""The OpenAPI document is valid and says what the service does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_it_lists_what_there_is(document: dict[str, Any]) -> None:
    listed = {f"{method} {path}" for path, item in document["paths"].items() for method in item}
    assert listed == {
        "post /v1/route",
        "post /v1/validate",
        "post /v1/chat/completions",
        "post /v1/messages",
        "post /v1/embeddings",
        "get /v1/models",
        "get /v1/models/{model}",
        "post /v1/feedback",
        "get /v1/analytics",
        "post /admin/keys",
        "get /admin/keys",
        "get /admin/keys/{key_id}",
        "patch /admin/keys/{key_id}",
        "delete /admin/keys/{key_id}",
        "get /admin/budgets",
        "get /admin/models",
        "get /health/live",
        "get /health/ready",
        "get /metrics",
    }


@pytest.mark.parametrize("path", ["/v1/route", "/v1/validate"])
def test_every_refusal_is_documented_in_the_common_shape(
    path: str, document: dict[str, Any]
) -> None:
    responses = document["paths"][path]["post"]["responses"]
    assert set(responses) == {"200", "400", "401", "408", "413", "415", "429", "500", "503"}
    for status, response in responses.items():
        schema = response["content"]["application/json"]["schema"]
        assert status == "200" or schema == {"$ref": "#/components/schemas/ErrorReply"}


def test_request_bodies_are_described_strictly(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, needed in (("RouteRequest", None), ("ValidateRequest", ["draft"])):
        assert schemas[name]["additionalProperties"] is False
        assert schemas[name].get("required") == needed
    assert "prompts" in schemas["RouteRequest"]["properties"]


@pytest.mark.parametrize("path", ["/v1/route", "/v1/validate", "/v1/embeddings"])
async def test_the_examples_work(
    path: str, document: dict[str, Any], client: httpx.AsyncClient
) -> None:
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    response = await client.post(path, json=body["example"])
    assert response.status_code == 200, response.text


async def test_it_is_served_and_made_once(client: httpx.AsyncClient, app: FastAPI) -> None:
    assert (await client.get("/openapi.json")).json() == app.openapi()
    assert app.openapi() is app.openapi()
    assert (await client.get("/docs")).status_code == 404
