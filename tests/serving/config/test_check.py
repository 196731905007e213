"""`sluice serve --check`: every point is looked at, nothing is changed, and no secret is shown."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from router.engine import Engine
from router.records.database import Database
from serving.config import parse_gateway_config
from serving.config.check import CheckPoint, CheckReport, check_config
from tests.key_databases import demand_redis, postgres_database

SECRET = "very-secret-0123456789"
PRICED = {"name": "gpt-4o", "api_key": SECRET}


def check(given: Any, *, host: str | None = None, **environ: str) -> CheckReport:
    report = check_config(parse_gateway_config(given), host=host, environ=environ)
    said = "\n".join(report.lines()) + json.dumps(report.as_dict())
    assert SECRET not in said
    return report


def points(report: CheckReport, name: str) -> list[CheckPoint]:
    return [point for point in report.points if point.name == name]


def levels(report: CheckReport, name: str) -> list[str]:
    return [point.level for point in points(report, name)]


def test_a_sound_configuration_has_no_errors(folder: Path) -> None:
    report = check({"models": [PRICED]})
    assert report.status == 0
    assert {point.level for point in report.points} == {"ok"}
    (artifact,) = points(report, "artifact")
    assert artifact.message == Engine.load().version
    (model,) = points(report, "models gpt-4o")
    assert model.message.startswith("openai at https://api.openai.com:443; USD ")
    assert list(folder.iterdir()) == []  # no store was made


def test_lines_and_json_say_the_same() -> None:
    report = check({"models": [PRICED]})
    told = report.as_dict()
    assert told["ok"] is True
    assert len(told["points"]) == len(list(report.lines()))
    assert next(report.lines()) == "ok       auth: open on 127.0.0.1"


# Access


def test_an_open_gateway_on_the_network_is_an_error_or_a_warning() -> None:
    assert levels(check({}, host="0.0.0.0"), "auth") == ["error"]
    allowed = {"auth": {"allow_open_network": True}}
    assert levels(check(allowed, host="0.0.0.0"), "auth") == ["ok", "warning"]


def test_keys_without_an_admin_key_are_a_warning() -> None:
    assert levels(check({"auth": {"mode": "keys"}}), "auth") == ["ok", "warning"]
    keyed = {"auth": {"mode": "keys", "admin_key": SECRET}}
    assert levels(check(keyed, host="0.0.0.0"), "auth") == ["ok"]


# Models and cascades


def test_without_models_it_warns() -> None:
    report = check({})
    assert (report.status, levels(report, "models")) == (0, ["warning"])


def test_a_missing_key_is_an_error_that_names_the_variable() -> None:
    given = {"models": [{"name": "gpt-4o"}], "embeddings": [{"name": "e", "provider": "mistral"}]}
    report = check(given)
    assert report.status == 1
    assert "OPENAI_API_KEY" in points(report, "models gpt-4o")[0].message
    assert "MISTRAL_API_KEY" in points(report, "embeddings e")[0].message
    assert check(given, OPENAI_API_KEY="k", MISTRAL_API_KEY="k").status == 0


def test_an_unknown_price_is_a_warning_and_more_so_under_a_budget() -> None:
    local = {"name": "mine", "provider": "vllm"}
    (_, warning) = points(check({"models": [local]}), "models mine")
    assert warning.level == "warning"
    assert "is not counted" in warning.message
    budget = {"daily_limit": 1}
    (_, warning) = points(check({"models": [local], "budget": budget}), "models mine")
    assert "it will not be asked" in warning.message
    (_, warning) = points(
        check({"models": [{**local, "cost": 0}], "budget": budget}), "models mine"
    )
    assert "max_tokens" in warning.message
    whole = {**local, "cost": 0, "max_tokens": 4096}
    assert levels(check({"models": [whole], "budget": budget}), "models mine") == ["ok"]


def test_a_policy_file_is_read_and_its_chain_compared(folder: Path) -> None:
    stored = Engine.load().policy.to_json()
    fits, other, broken = folder / "fits.json", folder / "other.json", folder / "broken.json"
    fits.write_text(json.dumps({**stored, "chain": ["gpt-4o"]}))
    other.write_text(json.dumps({**stored, "chain": ["a", "b"]}))
    broken.write_text("{}")
    for path, expected in (
        (fits, ["ok"]),
        (other, ["ok", "warning"]),
        (broken, ["ok", "error"]),
        (folder / "none.json", ["ok", "error"]),
    ):
        cascades = {"x": {"models": ["gpt-4o"], "policy": str(path)}}
        report = check({"models": [PRICED], "cascades": cascades})
        assert levels(report, "cascade x") == expected, path


def test_the_cascade_behind_auto_is_named() -> None:
    cascades = {"x": {"models": ["gpt-4o"]}, "y": {"domains": {"DEFAULT": ["gpt-4o"]}}}
    report = check({"models": [PRICED], "cascades": cascades})
    assert points(report, "cascade x")[0].message == "gpt-4o (auto)"
    assert points(report, "cascade y")[0].message == "gpt-4o"


def test_an_artifact_that_cannot_be_used_is_an_error(folder: Path) -> None:
    report = check({"server": {"models_root": str(folder)}})
    assert levels(report, "artifact") == ["error"]


# The store


def test_a_store_in_a_file_is_looked_at_and_not_touched(folder: Path) -> None:
    url = f"sqlite:///{folder / 's.db'}"
    assert "will be made" in points(check({"store": {"url": url}}), "store")[0].message
    Database.open(url).close()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "is up to date" in points(check({"store": {"url": url}}), "store")[0].message
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_empty_file_will_get_its_tables(folder: Path) -> None:
    (folder / "s.db").touch()
    (point,) = points(check({"store": {"url": f"sqlite:///{folder / 's.db'}"}}), "store")
    assert point.level == "ok"
    assert point.message.endswith("its tables will be made")
    assert (folder / "s.db").stat().st_size == 0


def test_a_file_of_another_program_is_an_error(folder: Path) -> None:
    path = folder / "other.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE songs (name TEXT)")
        db.commit()
    assert levels(check({"store": {"url": f"sqlite:///{path}"}}), "store") == ["error"]
    path.write_bytes(b"no database at all" * 100)
    assert levels(check({"store": {"url": f"sqlite:///{path}"}}), "store") == ["error"]


def test_a_store_in_postgresql_is_looked_at() -> None:
    with postgres_database() as url:
        (point,) = points(check({"store": {"url": url}}), "store")
        assert (point.level, point.message.partition("; ")[2]) == ("ok", "its tables will be made")
        Database.open(url).close()
        (point,) = points(check({"store": {"url": url}}), "store")
        assert point.message.endswith("is up to date")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@127.0.0.1:1/db",
        f"postgresql://u:{SECRET}@127.0.0.1:1/db?sslmode=disable",
        "sqlite:///",
        "sqlite:////dev/null/s.db",
    ],
)
def test_a_store_that_cannot_be_had_is_an_error(url: str) -> None:
    assert levels(check({"store": {"url": url}}), "store") == ["error"]


# Redis and tracing


def test_redis_is_asked_for_a_sign_of_life() -> None:
    assert levels(check({"redis": {"url": demand_redis()}}), "redis") == ["ok"]


@pytest.mark.parametrize("url", [f"redis://:{SECRET}@127.0.0.1:1/0", "redis://127.0.0.1:port/0"])
def test_a_redis_that_is_not_there_is_an_error(url: str) -> None:
    assert levels(check({"redis": {"url": url}}), "redis") == ["error"]


def test_tracing_needs_its_extra() -> None:
    pytest.importorskip("opentelemetry")
    assert levels(check({"tracing": {"endpoint": "http://127.0.0.1:1"}}), "tracing") == ["ok"]


def test_an_extra_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def find(name: str) -> Any:
        return None if name in ("psycopg", "redis", "opentelemetry") else real(name)

    monkeypatch.setattr("serving.config.backends.find_spec", find)
    monkeypatch.setattr("router.extras.find_spec", find)
    report = check(
        {
            "store": {"url": "postgresql://127.0.0.1/db"},
            "redis": {"url": "redis://127.0.0.1"},
            "tracing": {"endpoint": "http://127.0.0.1:1"},
        }
    )
    for name, extra in (("store", "postgres"), ("redis", "redis"), ("tracing", "otel")):
        (point,) = points(report, name)
        assert point.level == "error"
        assert f"pip install 'sluice-router[{extra}]'" in point.message
