"""Exports: which rows there are, what is in them, and that a file is whole or not there."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from router.errors import DataError, SluiceError, UsageError
from router.records import export_files
from router.records.database import Database
from router.records.export import Exported, export_outcomes
from router.records.export_rows import EXPORT_COLUMNS, Choice
from router.records.outcome import CallRecord
from router.records.scope import Scope
from tests.made_up_log import NOW, Logged, made_up_log, outcome, write_log

ALL = Scope(from_at=0.0, to_at=NOW)
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "6 * 7?"}]
PROMPT = json.dumps({"messages": ASKED, "params": {"temperature": 0}})
DRAFTS = json.dumps(
    [
        {"model": "gpt-4o-mini", "p_acceptable": 0.2, "output_tokens": 3, "text": "It is 41."},
        {"model": "gemini-1.5-flash", "p_acceptable": 0.4, "output_tokens": 4},
    ]
)


def call(model: str, cost_nano: int | None) -> CallRecord:
    return CallRecord(
        at=NOW, model=model, provider="openai", cost_nano=cost_nano, charged_nano=cost_nano or 9
    )


def escalated(request_id: str, **changes: Any) -> Logged:
    """Two drafts, then the verifier; the first draft took two calls."""
    kept = outcome(
        request_id,
        **{
            "action": "escalated",
            "model": "gpt-4o",
            "p_acceptable": None,
            "drafts": DRAFTS,
            "predictions": json.dumps({"gpt-4o-mini": 0.7, "gpt-4o": 0.9}),
            "prompt": PROMPT,
            "answer": "42",
            **changes,
        },
    )
    calls = [call("gpt-4o-mini", 100), call("gpt-4o-mini", 200), call("gpt-4o", 5000)]
    return Logged(
        outcome=kept,
        calls=[*calls, call("gemini-1.5-flash", None)],
        labels=[{"correct": False}, {"score": 0.75}, {"correct": True}],
    )


def export(
    database: Database, path: Path, log: Sequence[Logged], **chosen: Any
) -> tuple[Exported, list[dict[str, Any]]]:
    database.run_sync(partial(write_log, log=log))
    page = chosen.pop("page", 7)
    done = export_outcomes(database, path, Choice(**{"scope": ALL, **chosen}), page=page)
    return done, rows_of(path)


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in found]


@pytest.fixture(params=["parquet", "jsonl"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"log.{request.param}"


def test_an_answer_and_its_drafts_are_rows(database: Database, path: Path) -> None:
    done, rows = export(database, path, [escalated("r1")], unlabelled=True, without_text=True)
    assert (done.rows, done.requests) == (3, 1)
    answer, draft, other = rows
    common = {
        "source": "sluice-log",
        "prompt_id": "r1",
        "prompt": "6 * 7?",
        "action": "escalated",
        "domain": "MATH",
        "propensity": 1.0,
        "artifact": "v1",
        "at": NOW - 60.0,
        "key": "",
    }
    assert answer == common | {
        "model": "gpt-4o",
        "response": "42",
        "correct": True,
        "score": 0.75,
        "output_tokens": 60,
        "cost_usd": 5e-6,
        "p_success": 0.9,
        "is_answer": True,
    }
    assert draft == common | {
        "model": "gpt-4o-mini",
        "response": "It is 41.",
        "output_tokens": 3,
        "cost_usd": 3e-7,
        "p_success": 0.7,
        "p_acceptable": 0.2,
        "is_answer": False,
    }
    assert other == common | {
        "model": "gemini-1.5-flash",
        "response": "",
        "output_tokens": 4,
        "p_acceptable": 0.4,
        "is_answer": False,
    }


def test_a_draft_that_is_the_answer_is_one_row(database: Database, path: Path) -> None:
    log = [escalated("r1", action="accepted", model="gpt-4o-mini", p_acceptable=0.9)]
    _, rows = export(database, path, log, unlabelled=True, without_text=True)
    assert [(row["model"], row["is_answer"]) for row in rows] == [
        ("gpt-4o-mini", True),
        ("gemini-1.5-flash", False),
    ]
    assert rows[0]["p_acceptable"] == 0.9
    assert rows[0]["response"] == "42"


def test_by_default_a_row_has_text_and_a_label(database: Database, path: Path) -> None:
    log = [
        escalated("whole"),
        escalated("no text", prompt=None, answer=None),
        Logged(outcome=outcome("no label", prompt=PROMPT, answer="42")),
        escalated(
            "no words", prompt='{"messages": [{"role": "user", "content": ""}], "params": {}}'
        ),
        escalated("no answer", status="failed", model=None, http_status=502),
        escalated("later", at=NOW),
    ]
    done, rows = export(database, path, log)
    assert [(row["prompt_id"], row["model"]) for row in rows] == [("whole", "gpt-4o")]
    found = done.found
    assert (found.requests, found.labelled, found.with_text) == (5, 4, 4)


def test_text_that_was_not_kept_is_empty(database: Database, path: Path) -> None:
    log = [escalated("r1", prompt=None, answer=None)]
    _, rows = export(database, path, log, without_text=True)
    assert [(row["prompt"], row["response"]) for row in rows] == [("", "")]


def test_a_lone_score_has_a_source_of_its_own(database: Database, path: Path) -> None:
    scored = escalated("scored")
    log = [escalated("both"), Logged(outcome=scored.outcome, labels=[{"score": 0.5}])]
    _, rows = export(database, path, log)
    assert [(row["source"], row["score"]) for row in rows] == [
        ("sluice-log", 0.75),
        ("sluice-log-scores", 0.5),
    ]


def test_anthropics_requests_are_read_too(database: Database, path: Path) -> None:
    asked = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi?"}]}]}
    prompt = json.dumps({**asked, "params": {"system": "Be kind.", "max_tokens": 9}})
    _, rows = export(database, path, [escalated("r1", dialect="anthropic", prompt=prompt)])
    assert rows[0]["prompt"] == "Hi?"


def test_features_come_when_asked_for(database: Database, path: Path) -> None:
    log = [escalated("r1", features=b"\x01\xff")]
    _, rows = export(database, path, log, features=True)
    expected = b"\x01\xff" if path.suffix == ".parquet" else base64.b64encode(b"\x01\xff").decode()
    assert rows[0]["features"] == expected
    export_outcomes(database, path, Choice(scope=ALL))
    assert "features" not in rows_of(path)[0]


@pytest.mark.parametrize("page", [1, 7, 1000])
def test_every_request_of_the_scope_is_there_once(
    page: int, database: Database, path: Path
) -> None:
    log = list(made_up_log(300, text=True))
    # Ids do not follow the order of time where several processes write.
    log = log[150:] + log[:150]
    half = NOW - 3.5 * 86_400
    scope = Scope(from_at=half, to_at=NOW, key_id="key_1")
    _, rows = export(database, path, log, scope=scope, unlabelled=True, page=page)
    expected = [
        one.outcome
        for one in log
        if one.outcome.at >= half and one.outcome.key_id == "key_1" and one.outcome.status == "ok"
    ]
    answers = [row for row in rows if row["is_answer"]]
    assert [row["prompt_id"] for row in answers] == [one.request_id for one in expected]
    assert [row["model"] for row in answers] == [one.model for one in expected]


def test_progress_is_told(database: Database, tmp_path: Path) -> None:
    database.run_sync(partial(write_log, log=list(made_up_log(100, text=True))))
    told: list[tuple[int, int]] = []
    choice = Choice(scope=ALL, unlabelled=True)
    path = tmp_path / "log.jsonl"
    export_outcomes(database, path, choice, progress=lambda *at: told.append(at), page=30)
    assert told[-1] == (100, 100)
    assert [done for done, _ in told] == [30, 60, 90, 100]


@pytest.mark.parametrize(
    ("log", "says"),
    [
        pytest.param([], "no request was logged", id="nothing"),
        pytest.param([Logged(outcome=outcome())], "--unlabelled", id="no label"),
        pytest.param(
            [Logged(outcome=outcome(), labels=[{"correct": True}])], "--without-text", id="no text"
        ),
        pytest.param(
            [
                Logged(outcome=outcome("a"), labels=[{"correct": True}]),
                Logged(outcome=outcome("b", prompt=PROMPT, answer="42")),
            ],
            "both a label",
            id="never both",
        ),
    ],
)
def test_nothing_to_export_is_said_and_no_file_written(
    log: list[Logged], says: str, database: Database, path: Path
) -> None:
    with pytest.raises(DataError, match=says):
        export(database, path, log)
    assert list(path.parent.glob("*log*")) == []


def test_a_file_that_stood_there_stays_when_it_fails(database: Database, path: Path) -> None:
    path.write_text("before", encoding="utf-8")
    database.run_sync(partial(write_log, log=[escalated(f"r{i}") for i in range(20)]))

    def interrupted(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_outcomes(database, path, Choice(scope=ALL), progress=interrupted, page=5)
    assert path.read_text(encoding="utf-8") == "before"
    assert [file.name for file in path.parent.glob("*log*")] == [path.name]


def test_files_that_cannot_be_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"ends in \.parquet or \.jsonl, not '\.csv'"):
        export_files.check_target(tmp_path / "log.csv")
    with pytest.raises(UsageError, match="there is no folder"):
        export_files.check_target(tmp_path / "nowhere" / "log.jsonl")
    monkeypatch.setattr(export_files, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'sluice-router\[train\]'"):
        export_files.check_target(tmp_path / "log.parquet")
    export_files.check_target(tmp_path / "log.jsonl")


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.mkdir()
    with (
        pytest.raises(SluiceError, match="cannot write"),
        export_files.open_rows(path, EXPORT_COLUMNS) as writer,
    ):
        writer.write([])
