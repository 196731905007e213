"""Recorded drafts read as the validator reads them: one row of evidence per outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from router.types import Draft, Embedding, Query
from router.validation.features import (
    SINGLE_FEATURES,
    DraftEvidence,
    QueryEvidence,
    draft_evidence,
    meaningful,
    query_evidence,
    reasoning_of,
)
from router.validation.phrases import PhraseWeights

from .fit_phrases import FEWEST_DRAFTS
from .outcomes import Outcomes
from .phrase_counts import PhraseCollector, PhraseCounts

__all__ = [
    "DraftRows",
    "group_by_prompt",
    "has_drafts",
    "read_drafts",
    "sample_drafts",
    "with_phrases",
]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Embed = Callable[[str], Embedding]
_NOT_LEARNED = PhraseWeights({})
_PHRASES = SINGLE_FEATURES.index("phrases")
_KNOWN = SINGLE_FEATURES.index("phrases_known")
_PREDICTED = (SINGLE_FEATURES.index("p_success_logit"), SINGLE_FEATURES.index("p_typical_logit"))


@dataclass(frozen=True, kw_only=True)
class DraftRows:
    """Drafts with what is known of them; all columns have one entry per draft.

    `single` is float32 [n, len(SINGLE_FEATURES)], "phrases" and "phrases_known" 0 until learned
    (`with_phrases`); `fold` the fold whose models have not seen the prompt; `prompt` numbers
    (source, prompt_id); `p_success` is out-of-fold, as is `p_typical`.
    """

    source: npt.NDArray[Any]
    prompt: Ints
    group: Ints
    fold: Ints
    model: npt.NDArray[Any]
    correct: npt.NDArray[np.bool_]
    may_train: npt.NDArray[np.bool_]
    p_success: Floats
    p_typical: Floats
    single: npt.NDArray[np.float32]
    evidence: tuple[DraftEvidence, ...]
    asked: tuple[QueryEvidence, ...]
    phrases: PhraseCounts

    def __len__(self) -> int:
        return len(self.prompt)


def with_phrases(rows: DraftRows, logits: Floats, known: Floats) -> DraftRows:
    """The rows with what the learned phrases say of each draft, both float64 [n]."""
    single = rows.single.copy()
    single[:, _PHRASES], single[:, _KNOWN] = logits, known
    evidence = tuple(replace(one, single=single[index]) for index, one in enumerate(rows.evidence))
    return replace(rows, single=single, evidence=evidence)


def has_drafts(outcomes: Outcomes) -> npt.NDArray[np.bool_]:
    """Which rows can teach or measure the validator: an answer and a right-or-wrong label."""
    answered = np.array([bool(text) for text in outcomes.column("response")])
    labels = outcomes.labels
    return np.asarray(answered & ((labels == 0.0) | (labels == 1.0)))


def read_drafts(
    outcomes: Outcomes,
    *,
    groups: Ints,
    folds: Ints,
    p_success: Floats,
    p_typical: Floats,
    embed: Embed,
    progress: Any = iter,
) -> DraftRows:
    """Read every row of `outcomes` (see `has_drafts`).

    `embed` gives a text's embedding; `progress` wraps the loop's iterable.
    """
    asked: dict[str, tuple[QueryEvidence, Embedding]] = {}
    collected = PhraseCollector()
    prompts, responses = outcomes.column("prompt"), outcomes.column("response")
    models = outcomes.column("model")
    evidence: list[DraftEvidence] = []
    shared: dict[str, str] = {}
    per_row: list[QueryEvidence] = []
    for index in progress(range(len(outcomes))):
        text = str(prompts[index])
        known = asked.get(text)
        if known is None:
            known = asked[text] = (query_evidence(Query.from_prompt(text)), embed(text))
        draft = Draft(text=str(responses[index]), model=str(models[index]))
        meaning = meaningful(draft)
        read = draft_evidence(
            known[0],
            draft,
            p_success=float(p_success[index]),
            p_typical=float(p_typical[index]),
            phrases=_NOT_LEARNED,
            query_embedding=known[1],
            embedding=embed(meaning) if meaning else None,
        )
        collected.add(reasoning_of(read.read, draft))
        evidence.append(_slim(read, shared))
        per_row.append(known[0])
    may_train = outcomes.column("train_ok").astype(bool)
    return DraftRows(
        source=outcomes.column("source"),
        prompt=outcomes.prompt_codes,
        group=groups,
        fold=folds,
        model=models,
        correct=outcomes.labels == 1.0,
        may_train=may_train,
        p_success=p_success,
        p_typical=p_typical,
        single=np.stack([one.single for one in evidence]),
        evidence=tuple(evidence),
        asked=tuple(per_row),
        phrases=collected.counts(may_train, fewest=FEWEST_DRAFTS),
    )


def sample_drafts(outcomes: Outcomes, *, most: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which rows to read: at most about `most` of each source.

    Whole prompts are left out first, down to 1,000 of them, then whole models, so that what is
    left still has many models on each prompt.
    """
    generator = np.random.default_rng(seed)
    kept = np.zeros(len(outcomes), dtype=bool)
    sources, models = outcomes.column("source"), outcomes.column("model")
    for source in outcomes.sources:
        own = np.flatnonzero(sources == source)
        prompts = np.unique(outcomes.prompt_codes[own])
        n_prompts = max(min(1000, len(prompts)), round(len(prompts) * most / len(own)))
        chosen = generator.permutation(prompts)[:n_prompts]
        own = own[np.isin(outcomes.prompt_codes[own], chosen)]
        names = generator.permutation(np.unique(models[own].astype(str)))
        n_models = max(2, int(len(names) * most / max(len(own), most)))
        kept[own[np.isin(models[own].astype(str), names[:n_models])]] = True
    return kept


def _slim(read: DraftEvidence, shared: dict[str, str]) -> DraftEvidence:
    """Without what training does not need, words kept once for all drafts: 10 times smaller."""
    return replace(
        read,
        rules=replace(read.rules, notes={}),
        read=replace(read.read, reasoning=""),
        embedding=None if read.embedding is None else read.embedding.astype(np.float16),
        words=frozenset(shared.setdefault(word, word) for word in read.words),
    )


def group_by_prompt(rows: DraftRows, chosen: Sequence[int] | Ints) -> Iterator[Ints]:
    """The chosen rows, prompt by prompt."""
    picked = np.asarray(chosen, dtype=np.int64)
    order = picked[np.argsort(rows.prompt[picked], kind="stable")]
    cuts = np.flatnonzero(np.diff(rows.prompt[order])) + 1
    yield from np.split(order, cuts)
