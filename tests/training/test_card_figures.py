"""The figures that go into a model card."""

from __future__ import annotations

from training.evaluation.card_figures import card_figures
from training.model_card import FIGURES_MARK, with_figures

HEADLINE = {
    "policy": [
        {
            "line": "a -> b",
            "n": 1200,
            "target": 0.98,
            "retention": [0.981, 0.97, 0.99],
            "saving": [0.9, 0.89, 0.91],
            "bar": None,
            "met": False,
        }
    ],
    "guarantee": [],
}


def test_intervals_shares_and_missing_values_are_written_for_people() -> None:
    text = card_figures(HEADLINE)
    row = "| a -> b | 1,200 | 0.980 | 0.981 [0.970, 0.990] | 90.0% [89.0%, 91.0%] |  | no |"
    assert row in text


def test_empty_sections_are_left_out() -> None:
    assert "Guarantee" not in card_figures(HEADLINE)


def test_figures_replace_those_of_an_earlier_evaluation() -> None:
    card = f"# Card\n{FIGURES_MARK}\nold\n\n## Limits\n- one\n"
    once = with_figures(card, card_figures(HEADLINE))
    twice = with_figures(once, card_figures(HEADLINE))
    assert once == twice
    assert "old" not in once
    assert once.endswith("## Limits\n- one\n")
