"""What the domain head learns from: labelled texts that may train, and prompts of our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

from router.domains import DOMAINS, GENERAL
from router.text import bound

from .domain_texts import DomainTexts
from .fit_domain import balance
from .predictor_data import PromptTexts, read_texts
from .prompts import generate, generate_abroad, join_documents, read_written
from .typos import mistype
from .vocabulary import StaticTable

__all__ = ["HAND_WRITTEN", "OWN", "DomainSet", "training_texts"]

OWN = "own-"  # sources of ours are named after it and the kind of prompt
HAND_WRITTEN = ("own-written", "own-border", "own-joined")  # joined: the same requests again
_NOT_OF_BANKS = (*HAND_WRITTEN, "own-abroad")
_GENERATED_PER_DOMAIN = 2500
_NEVER_TRAINED = "arena-hard-v2"  # the real chat that is kept to measure
# How often a text counts, beside what `balance` gives it.
_WRITTEN_COUNTS = 2.0  # the closest to what is asked in use
_BANKS_COUNT = 0.6  # many, and too like one another
_GENERAL_COUNTS = 1.4  # the commonest in use, where the others are rare


@dataclass(frozen=True, kw_only=True)
class DomainSet:
    """Labelled texts in several views: as they are, mistyped, mistyped a little.

    `labels` int64 [n] index DOMAINS; `weights` float32 [n], mean 1; `sources` [n].
    """

    views: tuple[PromptTexts, ...]
    labels: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    sources: tuple[str, ...]

    def take(self, rows: npt.NDArray[np.int64]) -> DomainSet:
        return DomainSet(
            views=tuple(view.take(rows) for view in self.views),
            labels=self.labels[rows],
            weights=self.weights[rows],
            sources=tuple(self.sources[i] for i in rows),
        )


def training_texts(
    texts: DomainTexts,
    table: StaticTable,
    *,
    cache: Path | None = None,
    generated: int = _GENERATED_PER_DOMAIN,
    seed: int = 0,
) -> DomainSet:
    """Rows of split "train" that may train, and prompts of our own.

    These are the written ones, their requests joined with documents, `generated` of the banks per
    domain (GENERAL twice), and in proportion to these the ones in other languages.
    """
    free = texts.column("train_ok").astype(bool) & (texts.column("split") == "train")
    chosen = np.flatnonzero(free & (texts.column("source") != _NEVER_TRAINED))
    words, domains, sources = (texts.column(name) for name in ("text", "domain", "source"))
    rows = [(str(words[i]), str(domains[i]), str(sources[i])) for i in chosen]
    written = read_written()
    documents = [(text, domain) for text, domain, _ in rows]
    own = [
        *written,
        *join_documents(written, documents, per_domain=generated // 5, seed=seed),
        *generate_abroad(n_per_kind=generated * 2 // 125, seed=seed),
        *generate(n_per_domain=generated, seed=seed),
        # Nothing is as wide as GENERAL: more of it.
        *(one for one in generate(n_per_domain=generated, seed=seed + 1) if one.domain == GENERAL),
    ]
    rows += [(one.text, one.domain, OWN + one.kind) for one in own]
    plain = [text for text, _, _ in rows]
    rng = Random(seed)
    heavy = [mistype(bound(text), rng) for text in plain]
    light = [mistype(bound(text), rng, edits_per_word=0.1) for text in plain]
    labels = np.array([DOMAINS.index(domain) for _, domain, _ in rows], dtype=np.int64)
    named = tuple(source for _, _, source in rows)
    weights = balance(labels, named) * _counts(labels, named)
    return DomainSet(
        views=tuple(read_texts(view, table, cache=cache) for view in (plain, heavy, light)),
        labels=labels,
        weights=np.asarray(weights / weights.mean(), dtype=np.float32),
        sources=named,
    )


def _counts(labels: npt.NDArray[np.int64], sources: Sequence[str]) -> npt.NDArray[np.float32]:
    """How often each text counts, float32 [n]."""
    written = np.isin(sources, HAND_WRITTEN[:2])
    banks = np.array([s.startswith(OWN) for s in sources]) & ~np.isin(sources, _NOT_OF_BANKS)
    counts = np.where(written, _WRITTEN_COUNTS, np.where(banks, _BANKS_COUNT, 1.0))
    counts[labels == DOMAINS.index(GENERAL)] *= _GENERAL_COUNTS
    return counts.astype(np.float32)
