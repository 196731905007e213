"""The model card: what trained the artifact, and figures that an evaluation puts in its place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from router.policy import Thresholds
from router.profiles import Expectation, PolicyFile, Profile
from training.domain_texts import read_domain_texts
from training.model_card import FIGURES_MARK, model_card, with_figures
from training.outcomes import outcomes_from_table


def profile(target: float, *, certified: bool) -> Profile:
    expected = Expectation(
        gain=1.0, accepted_first=0.5, accepted_later=0.5, accepted_pair=0.7, retention=0.987
    )
    limits = Thresholds(
        direct=math.inf, accept_first=0.1, escalate_first=math.inf, accept_later=0.1
    )
    return Profile(
        target=target,
        thresholds=limits,
        expectations=(expected,),
        certified=certified,
        delta=0.05 if certified else None,
        n_labels=1234,
    )


def outcome(source: str, number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "source": source,
        "prompt_id": f"q{number}",
        "prompt": f"SECRET PROMPT {number}",
        "model": "m",
        "correct": True,
        "licence": "MIT",
        "train_ok": True,
    }
    return {**row, **changes}


@pytest.fixture
def card(tmp_path: Path) -> str:
    rows = [outcome("open", i) for i in range(3)]
    rows += [outcome("untold", 0, licence=None), outcome("closed", 0, train_ok=False)]
    outcomes = outcomes_from_table(pa.Table.from_pylist(rows), name="made up")
    texts = tmp_path / "domains.jsonl"
    texts.write_text(
        '{"source": "chat", "text": "a", "domain": "CODE", "split": "train", "licence": "CC0"}\n'
        '{"source": "held", "text": "b", "domain": "MATH", "split": "test", "licence": "CC0"}\n'
    )
    policy = PolicyFile(
        chain=("a", "b"), profiles=(profile(0.96, certified=True), profile(1.0, certified=False))
    )
    return model_card(outcomes, read_domain_texts(texts), policy)


def test_it_names_what_trained_with_licences_and_nothing_else(card: str) -> None:
    assert "| open | 3 | MIT |" in card
    assert "| untold | 1 | not told |" in card
    assert "| chat | 1 | CC0 |" in card
    assert "closed" not in card
    assert "held" not in card
    assert "SECRET" not in card


def test_it_says_what_is_certified_and_what_is_not(card: str) -> None:
    assert "| 0.96 | yes | 0.05 | 1,234 | 0.987 |" in card
    assert "| 1 | point estimate |  | 1,234 | 0.987 |" in card


def test_figures_come_in_once_and_may_be_replaced(card: str) -> None:
    assert card.count(FIGURES_MARK) == 1
    assert card.index(FIGURES_MARK) < card.index("## Limits")
    first = with_figures(card, "## Figures\nAUC 0.7\n")
    assert "AUC 0.7" in first
    second = with_figures(first, "AUC 0.8")
    assert "AUC 0.8" in second
    assert "AUC 0.7" not in second
    assert second.count("## Limits") == second.count(FIGURES_MARK) == 1
    assert with_figures(second, "AUC 0.8") == second
    assert second.startswith(card.partition(FIGURES_MARK)[0])
