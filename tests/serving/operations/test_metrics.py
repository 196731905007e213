"""Figures of outcomes, of what is looked up, and of the middleware."""

from __future__ import annotations

import asyncio
import math
import timeit
from collections.abc import Mapping

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Receive, Scope, Send

from router.chat import Attempt
from router.errors import StoreError, UpstreamError
from serving.metrics import MeasuredApp, Metrics
from serving.operations.metric_family import MAX_CHILDREN
from serving.operations.metric_sources import MetricSources
from tests.serving.operations.made_up_outcome import DRAFT_CALL, VERIFIER_CALL, outcome


def read(metrics: Metrics) -> dict[str, float]:
    """Every sample under its name and labels, as Prometheus writes them."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_an_accepted_draft_counts_everywhere_once() -> None:
    metrics = Metrics()
    metrics.count_outcome(outcome(), (DRAFT_CALL,))
    found = read(metrics)
    labels = 'action="accepted",cascade="auto",domain="CODE",status="ok"'
    assert found[f"sluice_outcomes_total{{{labels}}}"] == 1
    assert found['sluice_tokens_total{direction="input",model="gpt-4o-mini"}'] == 120
    assert found['sluice_tokens_total{direction="output",model="gpt-4o-mini"}'] == 34
    assert found['sluice_tokens_total{direction="cached",model="gpt-4o-mini"}'] == 64
    assert found['sluice_cost_usd_total{model="gpt-4o-mini"}'] == pytest.approx(0.0000384)
    assert found['sluice_baseline_usd_total{model="gpt-4o-mini"}'] == pytest.approx(0.00064)
    assert found['sluice_saved_usd{model="gpt-4o-mini"}'] == pytest.approx(0.0006016)
    assert found['sluice_calls_total{model="gpt-4o-mini"}'] == 1
    assert found['sluice_call_seconds_sum{model="gpt-4o-mini"}'] == pytest.approx(0.8)
    assert found['sluice_answer_seconds_sum{action="accepted"}'] == pytest.approx(0.8125)
    assert found["sluice_overhead_seconds_sum"] == pytest.approx(0.00125)
    assert found["sluice_first_token_seconds_sum"] == pytest.approx(0.301)
    assert found['sluice_verdicts_total{accept="true"}'] == 1


def test_an_escalation_can_save_less_than_nothing() -> None:
    metrics = Metrics()
    drafts = '[{"p_acceptable": 0.3, "threshold": 0.8, "failed": []}]'
    escalated = outcome(
        action="escalated",
        model="gpt-4o",
        cost_nano=678_400,
        drafts=drafts,
        drafts_agree=False,
        unpriced=True,
    )
    metrics.count_outcome(escalated, (DRAFT_CALL, VERIFIER_CALL))
    found = read(metrics)
    assert found['sluice_saved_usd{model="gpt-4o"}'] == pytest.approx(-0.0000384)
    assert found['sluice_verdicts_total{accept="false"}'] == 1
    assert found['sluice_agreements_total{agree="false"}'] == 1
    assert found["sluice_unpriced_total"] == 1


def test_failures_and_cache_hits() -> None:
    metrics = Metrics()
    failed = outcome(
        status="failed", error_code="budget_exceeded", action=None, model=None, domain=None,
        cascade="", baseline_nano=None, drafts=None, overhead_ms=None, first_token_ms=None,
    )  # fmt: skip
    metrics.count_outcome(failed)
    metrics.count_error("rate_limit_exceeded")
    metrics.count_outcome(outcome(action="cached", cached="exact", cost_nano=0))
    found = read(metrics)
    labels = 'action="none",cascade="none",domain="none",status="failed"'
    assert found[f"sluice_outcomes_total{{{labels}}}"] == 1
    assert found['sluice_errors_total{code="budget_exceeded"}'] == 1
    assert found['sluice_errors_total{code="rate_limit_exceeded"}'] == 1
    assert found['sluice_cache_hits_total{kind="exact"}'] == 1
    assert 'sluice_answer_seconds_count{action="none"}' not in found


def test_upstream_failures_are_counted_by_cause() -> None:
    metrics = Metrics()
    error = UpstreamError("x", model="gpt-4o", provider="openai", cause="timeout")
    calls = [
        Attempt(model="gpt-4o", provider="openai", endpoint="e", latency_ms=1, error=error),
        Attempt(model="gpt-4o", provider="openai", endpoint="e", latency_ms=1),
    ]
    metrics.count_attempts(calls)
    assert read(metrics)['sluice_upstream_failures_total{cause="timeout",model="gpt-4o"}'] == 1


def test_no_label_holds_what_a_request_brought() -> None:
    metrics = Metrics()
    metrics.count_outcome(outcome(), (DRAFT_CALL,))
    text = metrics.render().decode()
    for word in ("key_1", "ann@example.org", "client wrote", "secret", "slc_"):
        assert word not in text


def test_labels_have_a_bound() -> None:
    metrics = Metrics()
    for number in range(MAX_CHILDREN + 50):
        metrics.count_error(f"code_{number}")
    found = {name: value for name, value in read(metrics).items() if "errors_total" in name}
    assert len(found) == MAX_CHILDREN + 1
    assert found['sluice_errors_total{code="other"}'] == 50


def test_an_artifact_that_is_replaced_is_in_use_no_more() -> None:
    metrics = Metrics()
    metrics.set_artifact("v1")
    metrics.set_artifact("v2")
    found = read(metrics)
    assert found['sluice_artifact_info{version="v1"}'] == 0
    assert found['sluice_artifact_info{version="v2"}'] == 1


def test_an_outcome_is_counted_cheaply() -> None:
    metrics, told, calls = Metrics(), outcome(), (DRAFT_CALL,)
    best_s = min(timeit.repeat(lambda: metrics.count_outcome(told, calls), number=500, repeat=9))
    assert best_s / 500 < 30e-6  # 9 us on a quiet machine


# -- what is looked up ----------------------------------------------------------------------------


async def test_sources_are_looked_at_when_somebody_asks() -> None:
    metrics, asked = Metrics(), []

    async def budget() -> Mapping[str, float]:
        asked.append("budget")
        return {"daily": 3.5}

    async def calibration() -> Mapping[str, float]:
        asked.append("calibration")
        return {"p_success": 0.04}

    metrics.watch(
        MetricSources(
            in_flight=lambda: 7,
            waiting=lambda: 2,
            journal_depth=lambda: 1,
            open_circuits=lambda: {"gpt-4o": True, "gpt-4o-mini": False},
            budget_left_usd=budget,
            calibration_error=calibration,
        )
    )
    assert not asked
    texts = await asyncio.gather(*(metrics.scrape() for _ in range(5)))
    assert sorted(asked) == ["budget", "calibration"]  # once, however many ask
    assert b"sluice_requests_in_flight 7.0" in texts[0]
    found = read(metrics)
    assert (found["sluice_requests_waiting"], found["sluice_journal_depth"]) == (2, 1)
    assert found['sluice_circuit_open{model="gpt-4o"}'] == 1
    assert found['sluice_circuit_open{model="gpt-4o-mini"}'] == 0
    assert found['sluice_budget_left_usd{window="daily"}'] == 3.5
    assert found['sluice_calibration_error{of="p_success"}'] == 0.04
    await asyncio.sleep(1.05)
    await metrics.scrape()
    assert sorted(asked) == ["budget", "budget", "calibration"]


async def test_what_cannot_be_looked_up_is_not_a_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, broken = Metrics(), False

    async def budget() -> Mapping[str, float]:
        if broken:
            raise StoreError("the store is locked")
        return {"daily": 3.5}

    metrics.watch(MetricSources(budget_left_usd=budget))
    await metrics.scrape()
    broken = True
    await asyncio.sleep(1.05)
    await metrics.scrape()
    assert math.isnan(read(metrics)['sluice_budget_left_usd{window="daily"}'])
    assert "cannot be looked up" in caplog.text


async def test_a_process_of_its_own_shares_nothing() -> None:
    await asyncio.wait_for(Metrics().keep_shared(), 1)


# -- the middleware -------------------------------------------------------------------------------


class _Route:
    path = "/v1/thing"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = _Route
    if scope["path"] == "/fails":
        raise ZeroDivisionError
    if scope["path"] == "/waits":
        await asyncio.sleep(60)
    if scope["path"] == "/leaves":
        return
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


async def test_requests_are_counted_by_route_and_status() -> None:
    metrics = Metrics()
    transport = httpx.ASGITransport(app=MeasuredApp(application, metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice.test") as client:
        assert (await client.get("/")).status_code == 201
        with pytest.raises(ZeroDivisionError):
            await client.get("/fails")
    sent: list[object] = []
    await MeasuredApp(application, metrics)(
        {"type": "http", "path": "/leaves"},
        None,
        sent.append,  # type: ignore[arg-type]
    )
    metrics.count_refusal(431)
    found = read(metrics)
    assert found['sluice_requests_total{route="/v1/thing",status="201"}'] == 1
    assert found['sluice_requests_total{route="/v1/thing",status="500"}'] == 1
    assert found['sluice_requests_total{route="/v1/thing",status="499"}'] == 1
    assert found['sluice_requests_total{route="unmatched",status="431"}'] == 1
    assert found['sluice_request_seconds_count{route="/v1/thing"}'] == 3


async def test_a_request_cut_off_by_the_end_is_told_so() -> None:
    metrics, sent = Metrics(), []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/waits", "headers": []}
    app = MeasuredApp(application, metrics)
    task = asyncio.create_task(app(scope, None, send))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sent[0]["status"] == 503
    assert b'"code":"not_ready"' in sent[1]["body"]
    assert read(metrics)['sluice_requests_total{route="/v1/thing",status="503"}'] == 1


async def test_measuring_is_cheap() -> None:
    async def send(message: object) -> None:
        pass

    async def cost_s(app: object) -> float:
        best_s = math.inf
        for _ in range(9):
            began = asyncio.get_running_loop().time()
            for _ in range(500):
                await app({"type": "http", "path": "/"}, None, send)  # type: ignore[operator]
            best_s = min(best_s, asyncio.get_running_loop().time() - began)
        return best_s / 500

    measured = MeasuredApp(application, Metrics())
    assert await cost_s(measured) - await cost_s(application) < 10e-6  # 3 us on a quiet machine
