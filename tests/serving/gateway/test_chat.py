"""A request's whole way: answered, its headers told, its outcome and cost in the store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.engine import Engine
from router.records.tables import calls
from serving.config import CacheConfig
from tests.agents import by_model, usd
from tests.behaviours import answer, stream
from tests.serving.gateway.live_gateway import GatewayClient, live_gateway
from tests.upstream import Upstream

SAID = "Paris is the capital of France."


@pytest.fixture
def gateway(engine: Engine, upstream: Upstream, tmp_path: Path) -> Iterator[GatewayClient]:
    upstream.then(answer(SAID))
    with live_gateway(engine, upstream, tmp_path) as client:
        yield client


def nano(*names: str) -> int:
    """What one call to each of these models costs."""
    return round(sum(usd(name) for name in names) * 1e9)


def test_an_accepted_draft_is_answered_and_recorded(gateway: GatewayClient) -> None:
    response = gateway.chat("drafts", user="ann")
    assert response.status_code == 200
    assert response.json()["choices"][0]["message"]["content"] == SAID
    told = response.headers
    assert told["x-sluice-model"] == "small"
    assert told["x-sluice-action"] == "accepted"
    assert told["x-sluice-cost-usd"] == f"{usd('small'):.9f}"
    assert told["x-sluice-saved-usd"] == f"{usd('large') - usd('small'):.9f}"
    assert float(told["x-sluice-overhead-ms"]) > 0
    assert told["x-sluice-artifact"] == gateway.live.service.engine.version
    kept = gateway.outcome()
    assert kept["request_id"] == told["x-sluice-request-id"] == told["x-request-id"]
    assert (kept["status"], kept["action"], kept["cascade"]) == ("ok", "accepted", "drafts")
    assert (kept["user"], kept["model"], kept["domain"]) == (
        "ann",
        "small",
        told["x-sluice-domain"],
    )
    assert (kept["input_tokens"], kept["output_tokens"]) == (12, 5)
    assert kept["cost_nano"] == nano("small")
    assert kept["baseline_nano"] == nano("large")
    assert set(json.loads(kept["predictions"])) == {"small", "large"}
    [draft] = json.loads(kept["drafts"])
    assert draft["p_acceptable"] == pytest.approx(kept["p_acceptable"], abs=1e-3)
    assert 0 < kept["p_success"] < 1
    assert kept["prompt"] is kept["answer"] is None
    gateway.check_ledger()


@pytest.mark.parametrize(
    ("model", "action", "asked"),
    [
        ("doubts", "escalated", ("small", "large")),
        ("pairs", "consensus", ("small", "other")),
        ("direct", "direct", ("large",)),
        ("other", "bypass", ("other",)),
        ("auto", "accepted", ("small",)),  # the first cascade
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_every_action_is_told_and_paid_for(
    gateway: GatewayClient, model: str, action: str, asked: tuple[str, ...], streamed: bool
) -> None:
    response = gateway.chat(model, stream=streamed)
    assert response.status_code == 200, response.text
    assert response.headers["x-sluice-action"] == action
    kept = gateway.outcome()
    assert (kept["action"], kept["cost_nano"]) == (action, nano(*asked))
    assert kept["streamed"] == streamed
    assert {row["model"] for row in gateway.rows(calls)} == set(asked)
    gateway.check_ledger()


def test_a_live_stream_tells_its_cost_at_its_end(gateway: GatewayClient) -> None:
    response = gateway.chat("large", stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "x-sluice-cost-usd" not in response.headers
    lines = response.text.split("\n\n")
    assert lines[-2] == "data: [DONE]"
    [comment] = [line for line in response.text.splitlines() if line.startswith(": sluice ")]
    told = json.loads(comment.removeprefix(": sluice "))
    assert told["cost-usd"] == f"{usd('large'):.9f}"
    assert told["action"] == "bypass"
    assert gateway.outcome()["first_token_ms"] > 0


def test_an_anthropic_client_gets_its_own_form(gateway: GatewayClient) -> None:
    body = {
        "model": "drafts",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hello?"}],
        "metadata": {"user_id": "cleo"},
    }
    reply = gateway.http.post("/v1/messages", json=body).json()
    assert reply["content"] == [{"type": "text", "text": SAID}]
    assert (reply["type"], reply["role"], reply["stop_reason"]) == (
        "message",
        "assistant",
        "end_turn",
    )
    kept = gateway.outcome()
    assert (kept["dialect"], kept["user"]) == ("anthropic", "cleo")


def test_texts_are_kept_when_asked_for(engine: Engine, upstream: Upstream, tmp_path: Path) -> None:
    upstream.then(answer(SAID))
    with live_gateway(engine, upstream, tmp_path, store_text=True) as gateway:
        gateway.chat("drafts", "What is the capital of France?", temperature=0.5)
        kept = gateway.outcome()
    asked = json.loads(kept["prompt"])
    assert asked["messages"][0]["content"] == "What is the capital of France?"
    assert asked["params"] == {"temperature": 0.5}
    assert kept["answer"] == SAID


def test_what_was_asked_before_is_answered_from_the_cache(
    engine: Engine, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.then(answer(SAID))
    cache = CacheConfig(exact=True)
    with live_gateway(
        engine,
        upstream,
        tmp_path,
        change=lambda settings: settings.model_copy(update={"cache": cache}),
    ) as gateway:
        first = gateway.chat("drafts", temperature=0)
        upstream.requests.clear()
        again = gateway.chat("drafts", temperature=0)
        streamed = gateway.chat("drafts", temperature=0, stream=True)
        other = gateway.chat("drafts", temperature=0, headers={"cache-control": "no-cache"})
        rows = gateway.rows()
        gateway.check_ledger()
    assert again.json() == first.json()
    assert again.headers["x-sluice-action"] == streamed.headers["x-sluice-action"] == "cached"
    assert again.headers["x-sluice-cost-usd"] == "0.000000000"
    assert again.headers["x-sluice-saved-usd"] == f"{usd('large'):.9f}"
    assert SAID.split(" ")[0] in streamed.text
    assert other.headers["x-sluice-action"] == "accepted"
    assert len(upstream.requests) == 1  # of the one that wanted no cache
    assert [row["cached"] for row in rows] == [None, "exact", "exact", None]


def test_a_target_quality_of_ones_own_is_taken(gateway: GatewayClient) -> None:
    gateway.chat("drafts", headers={"x-sluice-target-quality": "0.5"})
    assert gateway.outcome()["target_quality"] == 1.0  # the only one of that policy
    wrong = gateway.chat("drafts", headers={"x-sluice-target-quality": "high"})
    assert wrong.status_code == 400
    assert wrong.json()["error"]["param"] == "x-sluice-target-quality"


def test_models_of_a_stream_do_not_mix(gateway: GatewayClient, upstream: Upstream) -> None:
    upstream.then(by_model(small=answer("I am small."), large=stream(("I ", "am ", "large."))))
    text = gateway.chat("doubts", stream=True).text
    said = "".join(
        choice["delta"].get("content") or ""
        for line in text.splitlines()
        if line.startswith("data: {")
        for choice in json.loads(line.removeprefix("data: "))["choices"]
    )
    assert said == "I am large."


def test_ids_sort_by_time(gateway: GatewayClient) -> None:
    first = gateway.chat().headers["x-sluice-request-id"]
    time.sleep(0.003)
    assert gateway.chat().headers["x-sluice-request-id"] > first
