"""`sluice outcomes export`, as a user runs it, and what training makes of its file."""

from __future__ import annotations

import json
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from router.cli import run
from router.records.database import Database
from tests.made_up_log import NOW, made_up_log, write_log

COMMANDS = [
    EntryPoint(name="outcomes", value="serving.commands_outcomes:register", group="sluice.commands")
]
LOG = list(made_up_log(300, text=True))
UNTIL = ("--to-time", "2026-11-25T12:00:00Z")


@pytest.fixture
def folder(store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store, sluice.db, that is in use."""
    store.run_sync(partial(write_log, log=LOG))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLUICE_CONFIG", raising=False)
    return tmp_path


def sluice(*arguments: str) -> int:
    return run(["outcomes", "export", *arguments], COMMANDS)


def labelled() -> int:
    return sum(bool(one.labels) and one.outcome.status == "ok" for one in LOG)


def test_it_writes_what_is_labelled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("--to", "log.parquet", "--store", "sqlite:///sluice.db", *UNTIL) == 0
    assert pq.read_table(folder / "log.parquet").num_rows == labelled()
    told = capsys.readouterr()
    assert told.out == f"{labelled()} rows of {labelled()} requests: log.parquet\n"
    assert told.err == f"{300 - labelled()} of 300 requests have no label; --unlabelled\n"


def test_it_tells_programs_in_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--from", str(NOW - 86_400), "--key", "key_1", "--unlabelled", "--without-text")
    status = sluice(
        "--to", "log.jsonl", "--store", "sqlite:///sluice.db", "--json", *options, *UNTIL
    )
    assert status == 0
    told = json.loads(capsys.readouterr().out)
    inside = [
        one.outcome
        for one in LOG
        if one.outcome.at >= NOW - 86_400 and one.outcome.key_id == "key_1"
    ]
    assert told["file"] == "log.jsonl"
    assert told["found"]["requests"] == told["requests"] == len(inside)
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert told["rows"] == len(rows)
    assert {row["prompt_id"] for row in rows if row["is_answer"]} == {
        one.request_id for one in inside if one.status == "ok"
    }


def test_the_configuration_names_the_store(folder: Path) -> None:
    (folder / "sluice.yaml").write_text("store:\n  url: sqlite:///sluice.db\n")
    assert sluice("--to", "log.jsonl") == 0
    (folder / "sluice.yaml").rename(folder / "other.yaml")
    assert sluice("--to", "log.jsonl", "--config", "other.yaml") == 0


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (("--to", "log.csv"), 2, "ends in .parquet or .jsonl"),
        (("--to", "no/where.jsonl"), 2, "no folder no"),
        (("--to", "log.jsonl", "--from", "soon"), 2, "'--from' should be a time"),
        (("--to", "log.jsonl", "--from", "20", "--to-time", "10"), 2, "before '--to-time'"),
        (("--to", "log.jsonl", "--store", "sqlite:///none.db"), 2, "there is no store"),
        (("--to", "log.jsonl", "--store", "mysql://u:secret@h/d"), 2, "store's url"),
        (("--to", "log.jsonl", "--key", "nobody"), 1, "nothing to export: no request"),
        ((), 2, "--to"),
    ],
)
def test_what_cannot_be_done_is_said(
    options: tuple[str, ...],
    status: int,
    says: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = () if "--store" in options else ("--store", "sqlite:///sluice.db")
    assert sluice(*options, *store) == status
    said = capsys.readouterr().err
    assert says in " ".join(said.split())
    assert "secret" not in said
    assert {file.name for file in folder.iterdir()} <= {
        "sluice.db",
        "sluice.db-wal",
        "sluice.db-shm",
    }


def test_help_is_light(capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("--help") == 0
    assert "--without-text" in capsys.readouterr().out


def test_a_store_without_text_says_what_to_do(
    store: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.run_sync(partial(write_log, log=list(made_up_log(100))))
    url = f"sqlite:///{tmp_path}/sluice.db"
    target = str(tmp_path / "log.jsonl")
    assert sluice("--to", target, "--store", url) == 1
    assert "--without-text exports the figures alone" in " ".join(capsys.readouterr().err.split())
    assert sluice("--to", target, "--store", url, "--without-text") == 0
    rows: list[Any] = [json.loads(line) for line in Path(target).read_text().splitlines()]
    assert {(row["prompt"], row["response"]) for row in rows} == {("", "")}
    assert "training does not take rows without" in capsys.readouterr().err
