"""POST /v1/route: the shape of its answers, single and batch."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from router.domains import DOMAINS
from serving.replies import RouteBatchReply, RouteReply

MODELS = ["gpt-4o-mini", "gpt-4o"]
MESSAGES = [
    {"role": "system", "content": "You answer in one word."},
    {"role": "user", "content": [{"type": "text", "text": "What is the capital of France?"}]},
]
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]


async def test_a_prompt_is_predicted_and_planned(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/v1/route", json={"prompt": "What is the capital of France?", "models": MODELS}
    )
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    reply = RouteReply.model_validate(response.json())
    assert reply.domain in DOMAINS
    assert sum(reply.domains.values()) == pytest.approx(1, abs=1e-3)
    assert set(reply.p_success) == set(MODELS)
    assert all(0 <= p <= 1 for p in reply.p_success.values())
    assert reply.plan.models
    assert set(reply.plan.models) <= set(MODELS)
    assert reply.plan.expected_cost_usd is not None
    assert reply.plan.expected_cost_usd > 0
    assert 0 <= reply.plan.expected_quality <= 1
    assert reply.latency_ms > 0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"messages": MESSAGES}, id="messages"),
        pytest.param({"messages": MESSAGES, "tools": TOOLS}, id="tools"),
        pytest.param({"prompt": "hi"}, id="no models named"),
        pytest.param({"prompt": "hi", "target_quality": 0.98}, id="target"),
        pytest.param({"prompt": "hi", "target_quality": 1}, id="integer target"),
        pytest.param({"prompt": "hi", "models": None, "messages": None}, id="nulls"),
        pytest.param({"prompt": "hi", "models": ["gpt-4o"]}, id="one model"),
        pytest.param({"prompt": "hi", "models": ["nobody/knows-this"]}, id="unknown model"),
        pytest.param({"prompt": "hi", "models": [*MODELS, "unknown-9b"]}, id="one unknown"),
    ],
)
async def test_every_form_of_a_request_is_answered(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    response = await client.post("/v1/route", json=body)
    assert response.status_code == 200, response.text
    reply = RouteReply.model_validate(response.json())
    if body.get("models"):
        assert set(reply.p_success) == set(body["models"])
        assert set(reply.plan.models) <= set(body["models"])


async def test_a_batch_is_answered_in_order(client: httpx.AsyncClient) -> None:
    prompts = ["Translate 'good morning' to French.", "Sort a list in Python.", "2 + 2?"]
    response = await client.post("/v1/route", json={"prompts": prompts, "models": MODELS})
    assert response.status_code == 200, response.text
    batch = RouteBatchReply.model_validate(response.json())
    assert len(batch.results) == 3
    for prompt, result in zip(prompts, batch.results, strict=True):
        single = await client.post("/v1/route", json={"prompt": prompt, "models": MODELS})
        alone = RouteReply.model_validate(single.json())
        assert alone.domain == result.domain
        assert alone.p_success == pytest.approx(result.p_success, abs=1e-3)


async def test_a_batch_of_one_is_still_a_batch(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/route", json={"prompts": ["hello"]})
    assert len(RouteBatchReply.model_validate(response.json()).results) == 1


async def test_the_largest_batch_is_answered(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/route", json={"prompts": ["hello there"] * 256})
    assert len(response.json()["results"]) == 256


async def test_a_batch_too_large_is_refused(client: httpx.AsyncClient, error_of: Any) -> None:
    response = await client.post("/v1/route", json={"prompts": ["hello"] * 257})
    error = error_of(response, 400, "prompts")
    assert error["code"] == "batch_too_large"
    assert "256" in error["message"]


async def test_the_same_prompt_gets_the_same_answer(client: httpx.AsyncClient) -> None:
    first, second = [
        (await client.post("/v1/route", json={"prompt": "Why is the sky blue?"})).json()
        for _ in range(2)
    ]
    del first["latency_ms"], second["latency_ms"]
    assert first == second


async def test_a_cost_that_cannot_be_known_is_null(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/route", json={"prompt": "hi", "models": ["nobody-knows"]})
    assert RouteReply.model_validate(response.json()).plan.expected_cost_usd is None
