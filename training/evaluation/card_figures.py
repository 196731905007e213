"""The figures of an evaluation in Markdown, for MODEL_CARD.md and the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["card_figures"]

_COLUMNS = {
    "policy": (
        "Policies, cross-fitted: mean over half/half splits, read on the half not chosen on",
        ("line", "n", "target", "retention", "saving", "bar", "met", "shipped retention",
         "shipped saving", "certified retention", "certified saving", "agreement retention",
         "agreement saving"),
    ),
    "pooled": (
        "One policy for all sets",
        ("line", "target", "retention", "saving", "own retention", "own saving"),
    ),
    "pooled-one-drafter": (
        "One policy for all sets, one drafter",
        ("line", "target", "retention", "saving"),
    ),
    "guarantee": (
        "Guarantee: share of random splits whose realised retention is below the target",
        ("line", "target", "delta", "certified for", "splits", "below target", "kept", "saving"),
    ),
    "benchmark-pairs": (
        "Validation, the chains' own drafters: AUC for right against wrong",
        ("line", "drafters", "n", "AUC single (first)", "AUC pair (mean of both)"),
    ),
    "validation": (
        "Validation, random pairs of models: AUC within models",
        ("source", "n", "AUC single", "AUC pair", "ECE single", "ECE pair"),
    ),
    "log-probs": (
        "Validation with log-probabilities, gpt-4o-mini",
        ("source", "n", "AUC raw log-prob", "AUC validator", "no lower than raw"),
    ),
    "routellm": (
        "Success from the prompt alone: Mixtral-8x7B against GPT-4-1106, the authors' labels",
        ("source", "trained on", "n", "APGR", "bar", "met", "published best", "CPT50", "CPT80"),
    ),
    "domains": ("Domains", ("texts", "n", "macro-F1", "bar", "met", "ECE", "keyword rules")),
}  # fmt: skip
_SHARES = frozenset(
    {
        "saving",
        "shipped saving",
        "certified saving",
        "agreement saving",
        "own saving",
        "below target",
    }
)


def card_figures(headline: Mapping[str, Any], *, sections: Sequence[str] | None = None) -> str:
    """Tables of the headline's sections, by default all that a card shows."""
    parts = ["## Figures", "95% bootstrap intervals over groups of prompts in brackets."]
    for name in sections or tuple(_COLUMNS):
        records = headline.get(name)
        if not records:
            continue
        title, wanted = _COLUMNS[name]
        columns = [column for column in wanted if column in records[0]]
        rows = [[_cell(record[c], share=c in _SHARES) for c in columns] for record in records]
        lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
        parts.append(
            f"**{title}**\n\n" + "\n".join([*lines, *(f"| {' | '.join(r)} |" for r in rows)])
        )
    return "\n\n".join(parts) + "\n"


def _cell(value: Any, *, share: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        middle, low, high = (_number(one, share) for one in value[:3])
        return f"{middle} [{low}, {high}]"
    return value if isinstance(value, str) else _number(value, share)


def _number(value: float, share: bool) -> str:
    if share:
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
