"""The façade: what it passes on, and the JSON shapes it makes."""

from __future__ import annotations

import json
import math

import pytest

from router.engine import Engine, describe_route, describe_verdict
from router.errors import InputError
from router.types import Check, Draft, Query, Verdict

QUERY = Query.from_prompt("What is the capital of France?")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load()


def test_a_batch_gives_what_single_queries_give(engine: Engine) -> None:
    other = Query.from_prompt("Write a poem about the sea, in four lines.")
    models = ["gpt-4o-mini", "gpt-4o"]
    batch = engine.route_many([QUERY, other], models=models, target_quality=0.98)
    for query, result in zip((QUERY, other), batch, strict=True):
        alone = engine.route(query, models=models, target_quality=0.98)
        assert alone.plan.action == result.plan.action
        assert alone.prediction.p_success == pytest.approx(result.prediction.p_success, abs=1e-3)


@pytest.mark.parametrize("target", [-0.01, 1.01, math.nan, math.inf])
def test_a_target_that_is_no_share_is_refused(engine: Engine, target: float) -> None:
    for route in (
        lambda: engine.route(QUERY, target_quality=target),
        lambda: engine.route_many([QUERY], target_quality=target),
    ):
        with pytest.raises(InputError) as caught:
            route()
        assert caught.value.param == "target_quality"


def test_no_queries_give_no_results(engine: Engine) -> None:
    assert engine.route_many([]) == []


def test_drafts_of_unnamed_and_unknown_models_are_judged(engine: Engine) -> None:
    for model in (None, "gpt-4o-mini", "nobody-knows-this"):
        verdict = engine.validate(QUERY, Draft(text="Paris.", model=model), peers=[Draft(text="")])
        assert 0 <= verdict.p_acceptable <= 1


def test_measures_without_a_number_are_null_in_json() -> None:
    verdict = Verdict(
        accept=False,
        p_acceptable=0.123456789,
        threshold=0.5,
        checks=(Check(name="x", passed=None, value=math.nan), Check(name="y", passed=True)),
    )
    described = describe_verdict(verdict, artifact="v1", latency_ms=0.12345)
    assert [check["value"] for check in described["checks"]] == [None, None]
    assert described["p_acceptable"] == 0.123457
    json.dumps(described, allow_nan=False)


def test_a_cost_that_is_not_known_is_null_in_json(engine: Engine) -> None:
    described = describe_route(engine.route(QUERY, models=["nobody-knows"]), latency_ms=1.0)
    assert described["plan"]["expected_cost_usd"] is None
    json.dumps(described, allow_nan=False)
