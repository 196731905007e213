"""MODEL_CARD.md of an artifact: what trained it, under which licences, what it is for and not."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from router.profiles import PolicyFile

from .domain_texts import DomainTexts
from .outcomes import Outcomes

__all__ = ["FIGURES_MARK", "model_card", "with_figures"]

FIGURES_MARK = "<!-- figures: written by `sluice evaluate --write-card` -->"

_HEAD = """# Sluice artifact

A learned router for LLM calls: an embedder (`embedder.onnx`, the token table), domain head, success
head and lengths in one graph (`predictor.onnx`), three validator graphs (`validator_*.onnx`),
weights of words and pairs of words of a draft (`validator_phrases.npz`), abilities of known models
(`abilities.json`) and a pooled policy (`policy.json`).

**Use**: predict the domain of a query and the chance that a model answers it well; judge drafts;
plan the cheapest route that keeps a target quality. **Not for**: judging people, grading exams, or
any decision in which a wrong "acceptable" does harm that escalation would not undo.

## Data
Recorded answers of real models with right/wrong labels, and texts with domain labels. Only rows
marked free to train were used; sources marked non-commercial or without a licence only measured.
Prompts written for Sluice (`training/prompts`), most of them by a language model, were added for
domains. Of models whose own labelled answers may not train, the recorded accuracy alone sets the
level (`training/ability_prior.py`). A word or pair of words has a weight only if it stands in at
least 25 drafts. The token table is distilled from all-MiniLM-L6-v2 (Apache-2.0).

"""

_LIMITS = """
## Limits
- Reads at most the first 600 and last 400 characters of the last user message, 256 tokens of
  them, and 400 characters of the system message and of the turn before; of a draft the first 1,500
  and the last 1,000 characters.
- Exam and benchmark wording dominates the outcomes: calibration on your own traffic
  (`sluice calibrate`) is better than the pooled policy.
- English first. Domains were also learned from prompts in some thirty languages; in others the
  head abstains to GENERAL more often. Real chat is its weak side (see Figures).
- What makes a draft *right* was learned from answers that can be checked (numbers, choices,
  expressions, literals). For open-ended answers the probability is weaker evidence.
- Abilities of models describe the versions in the data; a provider may change what a name means.
- The policy's targets hold for traffic like its calibration outcomes, not for any other.
"""


def model_card(outcomes: Outcomes, texts: DomainTexts, policy: PolicyFile) -> str:
    """The card without figures of quality, which an evaluation adds (`with_figures`)."""
    free = outcomes.column("train_ok").astype(bool)
    table = [
        "| outcome source | rows | licence |",
        "|---|---|---|",
        *_rows(outcomes.column("source")[free], outcomes.column("licence")[free]),
        "",
        "| domain source | texts | licence |",
        "|---|---|---|",
    ]
    kept = texts.column("train_ok").astype(bool) & (texts.column("split") == "train")
    table += _rows(texts.column("source")[kept], texts.column("licence")[kept])
    return _HEAD + "\n".join(table) + "\n\n" + _policy(policy) + FIGURES_MARK + "\n" + _LIMITS


def with_figures(card: str, figures: str) -> str:
    """The card with its figures replaced by `figures` (Markdown)."""
    before, mark, after = card.partition(FIGURES_MARK)
    limits = after[after.index("\n## Limits") :] if "\n## Limits" in after else _LIMITS
    return f"{before}{mark}\n{figures.strip()}\n{limits}"


def _rows(sources: Iterable[object], licences: Iterable[object]) -> list[str]:
    found: dict[str, tuple[int, str]] = {}
    for source, licence in zip(sources, licences, strict=True):
        count, told = found.get(str(source), (0, str(licence or "not told")))
        found[str(source)] = (count + 1, told)
    return [f"| {name} | {n:,} | {told} |" for name, (n, told) in sorted(found.items())]


def _policy(policy: PolicyFile) -> str:
    lines = [
        "## Pooled policy",
        "| drafters | target retention | certified | delta | groups of prompts | retention in "
        "calibration | accepted |",
        "|---|---|---|---|---|---|---|",
    ]
    for drafters, profiles in (("two", policy.profiles), ("one", policy.single)):
        for one in profiles:
            kept = float(np.mean([e.retention for e in one.expectations]))
            taken = float(np.mean([e.accepted_pair for e in one.expectations]))
            delta = "" if one.delta is None else f"{one.delta:g}"
            said = "yes" if one.certified else "point estimate"
            lines.append(
                f"| {drafters} | {one.target:g} | {said} | {delta} | {one.n_labels:,} "
                f"| {kept:.3f} | {taken:.0%} |"
            )
    return "\n".join(lines) + "\n\n"
