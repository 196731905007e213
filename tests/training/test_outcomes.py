"""Outcome files: what is read, and every wrong row named without quoting anybody's text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from router.errors import DataError, UsageError
from training.aliases import read_aliases
from training.domain_texts import read_domain_texts
from training.errors import OutcomeFileError
from training.outcomes import outcomes_from_table, read_outcomes, write_outcomes

SECRET = "my secret question"


def row(**changes: Any) -> dict[str, Any]:
    base = {"source": "s", "prompt_id": "p1", "prompt": SECRET, "model": "m", "correct": True}
    return {key: value for key, value in (base | changes).items() if value is not ...}


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in rows), encoding="utf-8")
    return path


def parquet(path: Path, *rows: dict[str, Any]) -> Path:
    names = list(dict.fromkeys(name for record in rows for name in record))
    # Arrow takes the columns of the first row alone.
    pq.write_table(pa.table({name: [record.get(name) for record in rows] for name in names}), path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(OutcomeFileError) as caught:
        read_outcomes([path])
    assert isinstance(caught.value, DataError)
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("write", [jsonl, parquet])
def test_a_file_is_read_with_its_labels(tmp_path: Path, write: Any) -> None:
    suffix = "jsonl" if write is jsonl else "parquet"
    rows = [row(), row(model="n", correct=False, output_tokens=3), row(prompt_id="p2")]
    outcomes = read_outcomes([write(tmp_path / f"outcomes_a.{suffix}", *rows)])
    assert (len(outcomes), outcomes.n_prompts, outcomes.models) == (3, 2, ("m", "n"))
    assert outcomes.labels.tolist() == [1.0, 0.0, 1.0]
    assert outcomes.column("train_ok").all()
    assert outcomes.filter(outcomes.labels == 0).models == ("n",)
    assert len(outcomes.by_source("s")) == 3
    with pytest.raises(UsageError, match="known: s"):
        outcomes.by_source("t")


@pytest.mark.parametrize("write", [jsonl, parquet])
@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"prompt": "  "}, "prompt"),
        ({"model": None}, "model"),
        ({"split": "dev"}, "split"),
        ({"score": float("nan")}, "score"),
        ({"cost_usd": float("inf")}, "cost_usd"),
        ({"cost_usd": -0.5}, "cost_usd"),
        ({"output_tokens": -1}, "output_tokens"),
        ({"output_tokens": 1.5}, "output_tokens"),
        ({"score": 7.0}, "score"),
        ({"correct": None}, "correct"),
    ],
)
def test_a_wrong_value_is_named(
    tmp_path: Path, write: Any, changes: dict[str, Any], column: str
) -> None:
    is_jsonl = write is jsonl
    path = tmp_path / f"o.{'jsonl' if is_jsonl else 'parquet'}"
    message = refusal(write(path, row(prompt_id="p0"), row(**changes)))
    assert f"{path.name}, {'line' if is_jsonl else 'row'} 2, column {column}: found" in message
    assert "fix:" in message


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"correct": "yes"}, "str 'yes'"),
        ({"correct": 1}, "int 1"),
        ({"prompt": ["x"]}, "list"),
        ({"score": "0.5"}, "str '0.5'"),
        ({"response": "\ud800"}, "lone surrogate"),
    ],
)
def test_a_wrong_type_in_json_names_its_line(
    tmp_path: Path, changes: dict[str, Any], found: str
) -> None:
    message = refusal(jsonl(tmp_path / "o.jsonl", row(prompt_id="p0"), row(**changes)))
    assert f"line 2, column {next(iter(changes))}" in message
    assert found in message


def test_a_parquet_column_of_the_wrong_type_is_refused(tmp_path: Path) -> None:
    message = refusal(parquet(tmp_path / "o.parquet", row(correct="yes")))
    assert "row 1, column correct: found a column of type string" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "an empty file"),
        (b"\n\n", "no rows"),
        (b'{"source": \n', "line 1: found invalid JSON"),
        (b'{"source": "\xff"}\n', "line 1: found a byte that is not UTF-8"),
        (b"[1]\n", "line 1: found a JSON list"),
        (b'{"source": "s"}\n', "column prompt_id: found no such column"),
    ],
)
def test_broken_json_lines_are_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "o.jsonl").write_bytes(content)
    assert expected in refusal(tmp_path / "o.jsonl")


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "o.parquet", row())
    path.write_bytes(path.read_bytes()[:-20])
    assert "damaged Parquet" in refusal(path)


def test_parquet_text_that_is_not_utf8_names_its_row(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([row(), row(model="n")])
    bad = pa.array([b"fine", b"\xff"]).view(pa.string())
    pq.write_table(table.append_column("response", bad), tmp_path / "o.parquet")
    assert "row 2, column response: found bytes" in refusal(tmp_path / "o.parquet")


def test_clashes_between_rows_name_both(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", row(), row(model="n"))
    jsonl(tmp_path / "b.jsonl", row(correct=False))
    assert "b.jsonl, line 1" in (message := refusal(tmp_path))
    assert "as a.jsonl line 1" in message
    other = jsonl(tmp_path / "c.jsonl", row(), row(model="n", prompt="another"))
    assert "line 2, column prompt: found another prompt" in refusal(other)
    renamed = read_outcomes([other], revised_prompts="rename")
    assert renamed.column("prompt_id").tolist() == ["p1", "p1#2"]
    mixed = jsonl(tmp_path / "d.jsonl", row(), row(model="n", correct=..., score=0.5))
    assert "another kind of label" in refusal(mixed)


def test_misspelt_columns_are_refused_and_unknown_ones_left_out(tmp_path: Path) -> None:
    message = refusal(jsonl(tmp_path / "a.jsonl", row(corect=True, correct=..., score=0.5)))
    assert "rename it to correct" in message
    assert len(read_outcomes([jsonl(tmp_path / "a.jsonl", row(latitude=1))])) == 1


def test_only_ten_problems_are_told(tmp_path: Path) -> None:
    rows = [row(prompt_id=str(number), prompt="") for number in range(25)]
    assert "... and 15 more" in refusal(jsonl(tmp_path / "o.jsonl", *rows))


def test_scores_on_another_scale_are_kept_but_are_no_labels(tmp_path: Path) -> None:
    rows = [
        row(prompt_id=str(score), correct=..., score=score, score_kind="judge 1-10")
        for score in (1, 7)
    ]
    outcomes = read_outcomes([jsonl(tmp_path / "o.jsonl", *rows)])
    assert np.isnan(outcomes.labels).all()
    assert outcomes.column("score").tolist() == [1.0, 7.0]


def test_a_folder_passes_over_domain_texts_only(tmp_path: Path) -> None:
    parquet(tmp_path / "outcomes_a.parquet", row())
    domain = parquet(tmp_path / "domain.parquet", {"source": "s", "text": "t", "domain": "MATH"})
    assert len(read_outcomes([tmp_path])) == 1
    texts = read_domain_texts(domain)
    assert texts.column("train_ok").tolist() == [True]
    domain.rename(tmp_path / "other.parquet")
    assert "other.parquet" in refusal(tmp_path)


def test_an_unknown_domain_is_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "d.jsonl", {"source": "s", "text": SECRET, "domain": "COOKING"})
    with pytest.raises(OutcomeFileError, match="column domain") as caught:
        read_domain_texts(path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["o.parquet", "o.jsonl"])
def test_writing_is_all_or_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_outcomes(path, pa.Table.from_pylist([row(score=0.5)]))
    before = path.read_bytes()
    assert outcomes_from_table(read_outcomes([path]).table, name="again").labels.tolist() == [1.0]
    with pytest.raises(OutcomeFileError):
        write_outcomes(path, pa.Table.from_pylist([row(prompt="")]))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_aliases_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "aliases.json"
    path.write_text('{"a": {"tier": "cheap", "models": ["a-1"]}}')
    assert read_aliases(path) == {"a": "a", "a-1": "a"}
    path.write_text('{"a": {"models": ["x"]}, "b": {"models": ["x"]}}')
    with pytest.raises(OutcomeFileError, match="already means 'a'"):
        read_aliases(path)
