"""Public sets: the loader's real path over local files, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from router.errors import UsageError
from training.errors import HubSchemaError
from training.hub import HUB_SETS, load_hub_outcomes


def _talk(reply: str) -> list[dict[str, str]]:
    return [{"content": "Why?", "role": "user"}, {"content": reply, "role": "assistant"}]


ROWS: dict[str, list[dict[str, Any]]] = {
    "arena-55k": [
        {
            "id": 1,
            "model_a": "a",
            "model_b": "b",
            "prompt": '["Why?"]',
            "response_a": '["x"]',
            "response_b": '["y"]',
            "winner_model_a": 1,
            "winner_model_b": 0,
            "winner_tie": 0,
        },
    ],
    "embedllm": [
        {"prompt_id": 7, "prompt": "Why?", "category": "mmlu", "model_name": name, "label": label}
        for name, label in (("a", 1), ("b", 0))
    ],
    "mt-bench-human": [
        {
            "question_id": 81,
            "model_a": "a",
            "model_b": "b",
            "winner": winner,
            "turn": 1,
            "conversation_a": _talk("x"),
            "conversation_b": _talk("y"),
        }
        for winner in ("model_a", "tie")
    ],
    "routellm-gpt4": [
        {
            "prompt": "Why?",
            "source": ["ultrachat"],
            "gpt4_response": "x",
            "mixtral_response": "y",
            "mixtral_score": 3,
        },
    ],
    "routerbench": [
        {
            "sample_id": "q.1",
            "prompt": "Why?",
            "eval_name": "mmlu",
            "a": 1.0,
            "b": 0.0,
            "a|total_cost": 0.1,
            "b|total_cost": 0.2,
            "a|model_response": "x",
            "b|model_response": "y",
        },
    ],
    "ultrafeedback": [
        {
            "source": "sharegpt",
            "instruction": "Why?",
            "completions": [
                {"model": "a", "response": "x", "overall_score": 10.0},
                {"model": "b", "response": "y", "overall_score": 1.0},
            ],
        },
    ],
}
SCORES = {
    "arena-55k": [1.0, 0.0],
    "mt-bench-human": [0.75, 0.25],
    "routellm-gpt4": [0.5, 1.0],
    "routerbench": [1.0, 0.0],
    "ultrafeedback": [1.0, 0.0],
}


def _reader(name: str, **options: Any) -> list[dict[str, Any]]:
    """A loader for machines without the extra: the same arguments, plain Arrow underneath."""
    assert name == "parquet"
    rows: list[dict[str, Any]] = pq.read_table(options["data_files"][0]).to_pylist()
    return rows


@pytest.fixture
def loader(tmp_path: Path) -> Callable[..., Any]:
    try:
        import datasets
    except ImportError:
        return _reader

    def load(*args: Any, **options: Any) -> Any:
        return datasets.load_dataset(*args, cache_dir=str(tmp_path / "cache"), **options)

    return load


@pytest.mark.parametrize("name", sorted(HUB_SETS))
def test_every_set_becomes_outcomes(tmp_path: Path, name: str, loader: Callable[..., Any]) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS[name]), file)
    for limit in (None, 100):
        table = load_hub_outcomes(name, limit=limit, data_files=[str(file)], loader=loader)
        assert table.num_rows == 2
        if name in SCORES:
            assert table["score"].to_pylist() == SCORES[name]
        else:
            assert table["correct"].to_pylist() == [True, False]
        assert set(table["train_ok"].to_pylist()) == {HUB_SETS[name].train_ok}


def test_a_set_is_asked_for_by_repository_and_split() -> None:
    asked: list[Any] = []

    def loader(*args: Any, **options: Any) -> list[dict[str, Any]]:
        asked.append((args, options))
        return ROWS["embedllm"]

    load_hub_outcomes("embedllm", limit=5, loader=loader)
    options = {"split": "train", "data_files": {"train": "train.csv"}, "streaming": True}
    assert asked == [(("RZ412/EmbedLLM",), options)]


def test_what_cannot_be_loaded_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="known: arena-55k, embedllm"):
        load_hub_outcomes("nothing")
    with pytest.raises(UsageError, match="pickles"):
        load_hub_outcomes("routerbench")
    with pytest.raises(HubSchemaError, match="no column category, label"):
        load_hub_outcomes("embedllm", loader=lambda *_, **__: [{"prompt": "x"}])
    monkeypatch.setattr("router.extras.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'sluice-router\[hub\]'"):
        load_hub_outcomes("embedllm")
