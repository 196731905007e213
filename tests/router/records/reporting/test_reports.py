"""Reports are held against the same figures computed from the requests one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from router.errors import InputError
from router.money import to_usd
from router.records.database import Database
from router.records.outcome import Outcome
from router.records.report_slices import MAX_BUCKETS, MAX_GROUPS, bucket_starts
from router.records.reports import Report, describe_report, make_report
from router.records.scope import Scope
from tests.made_up_log import NOW, Logged, made_up_log, outcome, write_log

WEEK = Scope(from_at=NOW - 7 * 86_400, to_at=NOW)
LOG = list(made_up_log(1500))
OUTCOMES = [one.outcome for one in LOG]


def report(database: Database, scope: Scope = WEEK, **wanted: Any) -> Report:
    wanted = {"bucket": "none", **wanted}
    return database.run_sync(partial(make_report, scope=scope, **wanted))


def write(database: Database, log: Sequence[Logged]) -> None:
    database.run_sync(partial(write_log, log=log))


def figures(found: Sequence[Outcome]) -> dict[str, Any]:
    """What the report should say of these requests, percentiles aside."""
    answered = [one for one in found if one.status == "ok"]
    actions = Counter(one.action for one in answered)
    accepted = actions["accepted"] + actions["consensus"] + actions["optimistic"]
    drafted = accepted + actions["escalated"] + actions["rejected_draft"]
    routed = drafted + actions["direct"]
    compared = [one for one in found if one.drafts_agree is not None]
    agreed = sum(one.drafts_agree is True for one in compared)
    priced = [one for one in found if one.baseline_nano is not None and not one.unpriced]
    baseline = sum(one.baseline_nano or 0 for one in priced)
    saved = baseline - sum(one.cost_nano for one in priced)
    cached = sum(one.cached is not None for one in found)
    return {
        "requests": len(found),
        "answered": len(answered),
        "failed": sum(one.status == "failed" for one in found),
        "cancelled": sum(one.status == "cancelled" for one in found),
        "cached": cached,
        "routed": routed,
        "drafted": drafted,
        "accepted": accepted,
        "escalated": actions["escalated"],
        "compared": len(compared),
        "agreed": agreed,
        "unpriced": sum(one.unpriced for one in found),
        "cost_usd": to_usd(sum(one.cost_nano for one in found)),
        "baseline_usd": to_usd(baseline),
        "saved_usd": to_usd(saved),
        "saving": saved / baseline if baseline else None,
        "acceptance_rate": accepted / drafted if drafted else None,
        "escalation_rate": actions["escalated"] / routed if routed else None,
        "agreement_rate": agreed / len(compared) if compared else None,
        "cached_share": cached / len(answered) if answered else None,
        "input_tokens": sum(one.input_tokens or 0 for one in found),
        "output_tokens": sum(one.output_tokens or 0 for one in found),
    }


def without_times(described: dict[str, Any]) -> dict[str, Any]:
    times = ("latency_ms", "overhead_ms", "start", "group", "key", "rest")
    return {name: value for name, value in described.items() if name not in times}


def test_the_total_is_that_of_the_requests(database: Database) -> None:
    write(database, LOG)
    described = describe_report(report(database))
    assert without_times(described["total"]) == pytest.approx(figures(OUTCOMES))
    (row,) = described["rows"]
    assert row == {"start": None, "group": None, "key": None, "rest": False, **described["total"]}
    assert described["from"] == "2026-11-18T12:00:00Z"
    assert described["to"] == "2026-11-25T12:00:00Z"


@pytest.mark.parametrize("bucket", ["hour", "day"])
def test_every_bucket_has_its_requests_and_empty_ones_are_there(
    bucket: Any, database: Database
) -> None:
    kept = [one for one in LOG if not 0.3 < (one.outcome.at - WEEK.from_at) % 86_400 / 86_400 < 0.5]
    write(database, kept)
    found = report(database, bucket=bucket)
    width = {"hour": 3600, "day": 86_400}[bucket]
    starts = [row.start for row in found.rows]
    assert starts == sorted(starts) == bucket_starts(WEEK, bucket)
    for row in found.rows:
        inside = [one.outcome for one in kept if one.outcome.at // width * width == row.start]
        assert without_times(row.figures.as_dict()) == pytest.approx(figures(inside))
    if bucket == "hour":
        assert any(not row.figures.requests for row in found.rows)


GROUPS: dict[str, Callable[[Outcome], tuple[str | None, str | None]]] = {
    "model": lambda one: (one.model, None),
    "domain": lambda one: (one.domain, None),
    "key": lambda one: (one.key_id, None),
    "cascade": lambda one: (one.cascade, None),
    "action": lambda one: (one.action, None),
    "user": lambda one: (one.user, one.key_id),
}


@pytest.mark.parametrize("group_by", GROUPS)
@pytest.mark.parametrize("bucket", ["none", "day"])
def test_every_group_has_its_requests(bucket: Any, group_by: Any, database: Database) -> None:
    write(database, LOG)
    found = report(database, bucket=bucket, group_by=group_by)
    named: dict[Any, list[Outcome]] = {}
    for one in OUTCOMES:
        start = None if bucket == "none" else one.at // 86_400 * 86_400
        named.setdefault((start, *GROUPS[group_by](one)), []).append(one)
    kept = {
        (row.start, row.group.name, row.group.key_id): row.figures
        for row in found.rows
        if not row.group.rest
    }
    if group_by != "user":
        assert set(kept) == set(named)
    for key, sums in kept.items():
        assert without_times(sums.as_dict()) == pytest.approx(figures(named[key]))
    together = Counter[str]()
    for row in found.rows:
        together.update({name: getattr(row.figures, name) for name in ("requests", "cost_nano")})
    assert together["requests"] == len(OUTCOMES) == found.total.requests
    assert together["cost_nano"] == found.total.cost_nano


def test_small_groups_are_told_together(database: Database) -> None:
    users = [f"u{index}" for index in range(MAX_GROUPS + 20)]
    log = [
        Logged(outcome=outcome(f"{user}-{index}", user=user, key_id="k"))
        for place, user in enumerate(users)
        for index in range(2 if place < MAX_GROUPS else 1)
    ]
    write(database, log)
    found = report(database, group_by="user")
    assert [row.group.rest for row in found.rows] == [False] * MAX_GROUPS + [True]
    assert {row.group.name for row in found.rows[:-1]} == set(users[:MAX_GROUPS])
    assert found.rows[-1].group.name is None
    assert found.rows[-1].figures.requests == 20
    assert found.total.requests == len(log)


def test_the_largest_group_comes_first(database: Database) -> None:
    write(database, LOG)
    sizes = [row.figures.requests for row in report(database, group_by="domain").rows]
    assert sizes == sorted(sizes, reverse=True)


def test_percentiles_are_close(database: Database) -> None:
    write(database, LOG)
    described = describe_report(report(database))["total"]
    answered = [one for one in OUTCOMES if one.status == "ok"]
    for name, share, field in (
        ("p50", 50, "latency_ms"),
        ("p95", 95, "latency_ms"),
        ("p50", 50, "overhead_ms"),
        ("p99", 99, "overhead_ms"),
    ):
        exact = np.percentile([getattr(one, field) for one in answered], share)
        assert described[field][name] == pytest.approx(exact, rel=0.05)


def test_a_key_sees_its_own_alone(database: Database) -> None:
    write(database, LOG)
    own = Scope(from_at=WEEK.from_at, to_at=WEEK.to_at, key_id="key_1")
    mine = [one for one in OUTCOMES if one.key_id == "key_1"]
    for group_by in (None, "key", "user", "model"):
        found = report(database, own, group_by=group_by)
        assert without_times(found.total.as_dict()) == pytest.approx(figures(mine))
    failed = Counter(one.error_code for one in mine if one.status == "failed")
    assert {one.error_code: one.requests for one in found.failures} == failed
    (row,) = report(database, own, group_by="key").rows
    assert row.group.name == "key_1"
    nobody = report(database, Scope(from_at=0, to_at=NOW, key_id="key_9"))
    assert nobody.total.requests == nobody.labels.n == len(nobody.failures) == 0


def test_failures_are_counted_by_kind(database: Database) -> None:
    write(database, LOG)
    expected = Counter(
        (one.error_code, one.http_status) for one in OUTCOMES if one.status == "failed"
    )
    found = report(database, bucket="day", group_by="model").failures
    assert {(one.error_code, one.http_status): one.requests for one in found} == expected
    assert [one.requests for one in found] == sorted(expected.values(), reverse=True)


def test_a_span_takes_its_beginning_and_not_its_end(database: Database) -> None:
    log = [Logged(outcome=outcome(f"r{at}", at=NOW + at)) for at in (-0.001, 0.0, 1.0, 2.0)]
    write(database, log)
    for bucket in ("none", "hour"):
        found = report(database, Scope(from_at=NOW, to_at=NOW + 2.0), bucket=bucket)
        assert found.total.requests == 2
    assert [row.start for row in found.rows] == [NOW]


def test_nothing_gives_empty_figures(database: Database) -> None:
    described = describe_report(report(database, bucket="day"))
    assert len(described["rows"]) == 8
    assert {row["requests"] for row in described["rows"]} == {0}
    assert described["total"]["saving"] is None
    assert described["total"]["latency_ms"] == {"p50": None, "p95": None}
    assert described["failures"] == []
    assert report(database, group_by="model").rows == ()


def test_a_request_of_unknown_cost_is_in_no_saving(database: Database) -> None:
    log = [
        Logged(outcome=outcome("known")),
        Logged(outcome=outcome("guess", cost_nano=7_000_000, unpriced=True)),
        Logged(outcome=outcome("no baseline", cost_nano=3_000_000, baseline_nano=None)),
    ]
    write(database, log)
    total = describe_report(report(database))["total"]
    assert total["cost_usd"] == pytest.approx(0.0101)
    assert total["saved_usd"] == pytest.approx(0.0009)
    assert total["saving"] == pytest.approx(0.9)
    assert total["unpriced"] == 1


def test_sums_stay_exact_beyond_what_a_float_holds(database: Database) -> None:
    dear = 2**61 + 1
    write(database, [Logged(outcome=outcome(f"r{i}", cost_nano=dear)) for i in range(2)])
    assert report(database).total.cost_nano == 2 * dear


@pytest.mark.parametrize(("bucket", "width"), [("hour", 3600.0), ("day", 86_400.0)])
def test_more_buckets_than_fit_are_refused(bucket: Any, width: float, database: Database) -> None:
    span = Scope(from_at=0.0, to_at=MAX_BUCKETS * width)
    assert len(report(database, span, bucket=bucket).rows) == MAX_BUCKETS
    with pytest.raises(InputError, match=r"span 751 buckets, at most 750") as refused:
        report(database, Scope(from_at=0.0, to_at=span.to_at + 1.0), bucket=bucket)
    assert refused.value.param == "bucket"


def test_more_rows_than_fit_are_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.records.reports.MAX_ROWS", 20)
    write(database, LOG)
    with pytest.raises(InputError, match="more than 20 rows"):
        report(database, bucket="day", group_by="domain")
    assert len(report(database, bucket="none", group_by="domain").rows) == 7
