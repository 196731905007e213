"""`sluice route` and `sluice validate` on the shipped artifact."""

from __future__ import annotations

import io
import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from router.cli import COMMAND_GROUP, run
from router.domains import DOMAINS

COMMANDS = [
    EntryPoint(name=name, value=f"router.commands:register_{name}", group=COMMAND_GROUP)
    for name in ("route", "validate")
]


def pipe(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def test_route_prints_the_contract_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["route", "2 + 2?", "-m", "gpt-4o-mini", "-m", "gpt-4o", "--json"], COMMANDS) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {
        *("domain", "domain_confidence", "domains", "p_success", "plan", "artifact"),
        "latency_ms",
    }
    assert set(answer["domains"]) == set(DOMAINS)
    assert set(answer["p_success"]) == {"gpt-4o-mini", "gpt-4o"}
    assert set(answer["plan"]) == {
        *("action", "models", "expected_cost_usd", "expected_quality"),
    }


def test_route_shows_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert run(["route", "hello", "-m", "gpt-4o", "--target-quality", "0.98"], COMMANDS) == 0
    shown = capsys.readouterr().out
    assert "plan" in shown
    assert "gpt-4o" in shown


def test_route_reads_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe("Wie heißt die Hauptstadt?\n".encode(), monkeypatch)
    assert run(["route", "-", "--json"], COMMANDS) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["models"]


@pytest.mark.parametrize("prompt", ["x" * 100_000, "\udcff\udcfe", "🙂", "{" * 500])
def test_any_prompt_is_routed(prompt: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["route", prompt, "--json"], COMMANDS) == 0
    assert json.loads(capsys.readouterr().out)["plan"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["route", ""], "the prompt is empty"),
        (["route", " \n"], "the prompt is empty"),
        (["validate", "", "draft"], "the prompt is empty"),
        (["route", "hi", "-m", "a", "-m", "a"], "named twice"),
        (["route", "hi", "-m", ""], "empty name"),
        (["route", "hi", "--target-quality", "1.5"], "--target-quality"),
        (["route", "hi", "--target-quality", "nan"], "--target-quality"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments, COMMANDS) == 2
    assert said in capsys.readouterr().err


def test_binary_standard_input_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(b"abc\xff\xfe", monkeypatch)
    assert run(["route", "-"], COMMANDS) == 2
    assert "not UTF-8 text (byte 3)" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["route", "hi"], ["validate", "hi", "hello"]])
def test_without_an_artifact_one_line_says_so(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--models-root", str(tmp_path)], COMMANDS) == 1
    assert "CURRENT" in capsys.readouterr().err


def test_validate_prints_the_contract_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["validate", "What is 17 + 25?", "42", "-m", "gpt-4o-mini", "--peer", "It is 42."]
    assert run([*arguments, "--json"], COMMANDS) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {
        *("accept", "p_acceptable", "threshold", "checks", "artifact", "latency_ms"),
    }
    assert all(set(one) == {"name", "passed", "value", "detail"} for one in answer["checks"])


def test_validate_shows_the_checks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert run(["validate", "What is 17 + 25?", ""], COMMANDS) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("reject")
    assert "the draft says nothing" in shown
