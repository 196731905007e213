"""What the domain head learns from: labelled texts that may train, and prompts of our own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

from router.domains import DOMAINS
from router.text import bound

from .domain_head import balance
from .domain_texts import DomainTexts
from .predictor_data import PromptTexts, read_texts
from .prompts import generate
from .typos import mistype
from .vocabulary import StaticTable

__all__ = ["DomainSet", "training_texts"]

_GENERATED_PER_DOMAIN = 2500
_NEVER_TRAINED = "arena-hard-v2"  # the real chat that is kept to measure


@dataclass(frozen=True, kw_only=True)
class DomainSet:
    """Labelled texts in several views: as they are, mistyped, mistyped a little.

    `labels` int64 [n] index DOMAINS; `weights` float32 [n], mean 1.
    """

    views: tuple[PromptTexts, ...]
    labels: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


def training_texts(
    texts: DomainTexts,
    table: StaticTable,
    *,
    cache: Path | None = None,
    generated: int = _GENERATED_PER_DOMAIN,
    seed: int = 0,
) -> DomainSet:
    """Rows of split "train" that may train, and `generated` prompts of our own per domain."""
    free = texts.column("train_ok").astype(bool) & (texts.column("split") == "train")
    chosen = np.flatnonzero(free & (texts.column("source") != _NEVER_TRAINED))
    words, domains, sources = (texts.column(name) for name in ("text", "domain", "source"))
    rows = [(str(words[i]), str(domains[i]), str(sources[i])) for i in chosen]
    own = generate(n_per_domain=generated, seed=seed)
    rows += [(one.text, one.domain, f"own-{one.kind}") for one in own]
    plain = [text for text, _, _ in rows]
    rng = Random(seed)
    heavy = [mistype(bound(text), rng) for text in plain]
    light = [mistype(bound(text), rng, edits_per_word=0.1) for text in plain]
    labels = np.array([DOMAINS.index(domain) for _, domain, _ in rows], dtype=np.int64)
    return DomainSet(
        views=tuple(read_texts(view, table, cache=cache) for view in (plain, heavy, light)),
        labels=labels,
        weights=balance(labels, [source for _, _, source in rows]),
    )
