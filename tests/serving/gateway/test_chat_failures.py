"""What goes wrong with a request has its own status and code, and what it cost is recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.engine import Engine
from router.records.tables import calls, holds
from serving.config import AuthConfig, GatewayBudget, LimitsConfig
from tests.agents import by_model, usd
from tests.behaviours import answer, cut, fail, hang, hang_midway, stream
from tests.serving.gateway.live_gateway import GatewayClient, live_gateway
from tests.upstream import Upstream

PIECES = ("One ", "two ", "three.")


@pytest.fixture
def gateway(engine: Engine, upstream: Upstream, tmp_path: Path) -> Iterator[GatewayClient]:
    with live_gateway(engine, upstream, tmp_path) as client:
        yield client


def error_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == code
    assert response.headers["x-sluice-request-id"]
    return error


@pytest.mark.parametrize("streamed", [False, True])
def test_when_every_model_fails_each_attempt_is_named(
    gateway: GatewayClient, upstream: Upstream, streamed: bool
) -> None:
    upstream.then(fail(500))
    error = error_of(gateway.chat("drafts", stream=streamed), 502, "upstream_failed")
    assert "small" in error["message"]
    assert "large" in error["message"]
    kept = gateway.outcome()
    assert (kept["status"], kept["http_status"], kept["error_code"]) == (
        *("failed", 502),
        "upstream_failed",
    )
    assert kept["cost_nano"] == 0
    gateway.check_ledger()


def test_a_draft_that_was_paid_for_counts_though_the_request_failed(
    gateway: GatewayClient, upstream: Upstream
) -> None:
    upstream.then(by_model(small=answer("Hello."), large=fail(503)))
    error_of(gateway.chat("doubts"), 502, "upstream_failed")
    assert gateway.outcome()["cost_nano"] == round(usd("small") * 1e9)
    gateway.check_ledger()


def test_a_provider_that_refuses_the_request_is_not_asked_again_by_clients(
    gateway: GatewayClient, upstream: Upstream
) -> None:
    upstream.then(fail(400, "context_length_exceeded", "you said: my secret prompt"))
    error = error_of(gateway.chat("drafts"), 400, "upstream_refused")
    assert "context_length_exceeded" in error["message"]
    assert "secret" not in error["message"]


def test_a_provider_that_is_busy_says_when_to_come_again(
    gateway: GatewayClient, upstream: Upstream
) -> None:
    upstream.then(fail(429, retry_after="7"))
    response = gateway.chat("large")
    error_of(response, 502, "upstream_failed")
    assert response.headers["retry-after"] == "7"


def test_a_stream_that_breaks_off_says_so_and_does_not_end_well(
    gateway: GatewayClient, upstream: Upstream
) -> None:
    upstream.then(cut(stream(PIECES)))
    text = gateway.chat("large", stream=True).text
    assert "One" in text
    assert '"code":"upstream_failed"' in text
    assert "[DONE]" not in text
    kept = gateway.outcome()
    assert (kept["status"], kept["error_code"]) == ("failed", "upstream_failed")
    [call] = gateway.rows(calls)
    assert call["cost_nano"] is None  # it may be charged for
    assert kept["unpriced"]


def test_the_deadline_of_a_request_ends_it(
    engine: Engine, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.then(hang())
    limits = LimitsConfig(request_timeout_s=0.3)
    with live_gateway(engine, upstream, tmp_path, limits=limits) as gateway:
        error_of(gateway.chat("large"), 504, "upstream_timeout")
        kept = gateway.outcome()
        upstream.then(hang_midway(stream(PIECES)))
        text = gateway.chat("large", stream=True).text
    assert (kept["status"], kept["http_status"]) == ("failed", 504)
    assert '"code":"upstream_timeout"' in text
    assert "[DONE]" not in text


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_ends_the_call_to_the_model(
    engine: Engine, upstream: Upstream, tmp_path: Path, streamed: bool
) -> None:
    upstream.then(hang_midway(stream(PIECES)) if streamed else hang())
    budget = GatewayBudget(daily_limit=1.0)
    with live_gateway(engine, upstream, tmp_path, budget=budget) as gateway:
        with suppress(httpx.ReadTimeout), httpx.Client(timeout=0.4) as client:
            body = {
                "model": "large",
                "stream": streamed,
                "messages": [{"role": "user", "content": "Hello?"}],
            }
            client.post(f"{gateway.live.origin}/v1/chat/completions", json=body)
        kept = gateway.outcome()
        assert (kept["status"], kept["error_code"]) == ("cancelled", "client_left")
        [call] = gateway.rows(calls)
        assert call["charged_nano"] == kept["cost_nano"] > 0  # all that it may have cost
        gateway.check_ledger()
        deadline = time.monotonic() + 5
        while gateway.live.service.gateway.admission.in_flight and time.monotonic() < deadline:
            time.sleep(0.01)
        assert gateway.live.service.gateway.admission.in_flight == 0


def test_a_budget_that_is_spent_refuses_before_any_call(
    engine: Engine, upstream: Upstream, tmp_path: Path
) -> None:
    budget = GatewayBudget(daily_limit=1e-6)
    with live_gateway(engine, upstream, tmp_path, budget=budget) as gateway:
        response = gateway.chat("large")
        error_of(response, 429, "budget_exceeded")
        assert int(response.headers["retry-after"]) > 0
        assert not upstream.requests
        assert not gateway.rows()
        assert not gateway.rows(holds)


def test_drafters_go_on_when_the_verifier_does_not_fit(
    engine: Engine, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.then(answer("Hello."))
    # The draft may cost up to .0025 USD, the verifier up to .025.
    budget = GatewayBudget(daily_limit=0.01, action="drafters_only")
    with live_gateway(engine, upstream, tmp_path, budget=budget) as gateway:
        response = gateway.chat("doubts")
        assert response.status_code == 200, response.text
        assert response.headers["x-sluice-action"] == "rejected_draft"
        gateway.check_ledger()


def test_the_budget_of_a_key_and_of_its_users_is_their_own(
    engine: Engine, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.then(answer("Hello."))
    auth = AuthConfig(mode="keys", admin_key="an-admin-key-of-tests")
    with live_gateway(engine, upstream, tmp_path, auth=auth) as gateway:
        poor = gateway.new_key(daily_limit=1e-6)
        rich = gateway.new_key(user_daily_limit=0.004)  # one call of small holds up to .0025
        error_of(gateway.chat("small", key=poor), 429, "budget_exceeded")
        spent = [gateway.chat("small", key=rich, user="ann").status_code for _ in range(120)]
        assert spent[0] == 200
        assert spent[-1] == 429
        assert gateway.chat("small", key=rich, user="bob").status_code == 200
        assert gateway.chat("small", key=rich).status_code == 200
        gateway.check_ledger()


def test_a_model_that_a_key_may_not_use_does_not_exist_for_it(
    engine: Engine, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.then(answer("Hello."))
    auth = AuthConfig(mode="keys", admin_key="an-admin-key-of-tests")
    with live_gateway(engine, upstream, tmp_path, auth=auth) as gateway:
        key = gateway.new_key(models=["small"], cascades=["doubts"])
        assert gateway.chat("small", key=key).status_code == 200
        assert gateway.chat("doubts", key=key).status_code == 200
        told = {gateway.chat(name, key=key).text for name in ("large", "drafts", "auto", "none")}
        assert len(told) == 1
        error_of(gateway.chat("large", key=key), 404, "model_not_found")
        error_of(gateway.chat("small"), 401, "missing_api_key")
        error_of(gateway.chat("small", key="sk-slc-made-up"), 401, "invalid_api_key")


def test_an_error_has_the_form_of_who_asks(gateway: GatewayClient, upstream: Upstream) -> None:
    body = {"model": "none", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    told = gateway.http.post("/v1/messages", json=body)
    assert told.status_code == 404
    assert told.json()["type"] == "error"
    assert told.json()["error"]["type"] == "not_found_error"
    assert told.json()["request_id"] == told.headers["request-id"]


def test_nothing_of_a_provider_can_be_set_by_a_request(
    gateway: GatewayClient, upstream: Upstream
) -> None:
    error = error_of(gateway.chat("small", api_base="http://127.0.0.1:1"), 400, "unknown_field")
    assert error["param"] == "api_base"
    assert not upstream.requests
