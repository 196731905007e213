"""Outcomes as the arrays that the predictor is fitted on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from router.encoder import WordPieceEncoder
from router.text import read_query
from router.types import Query

from .outcomes import Outcomes
from .splits import kfold_groups
from .vocabulary import StaticTable

__all__ = [
    "PredictorData",
    "PromptTexts",
    "authors_labels",
    "collect",
    "pool",
    "prompt_key",
    "read_texts",
]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_CHARS_PER_TOKEN = 4.0
_NUMBERS_ONLY = "cascades-"  # sources of which the numbers may train, and no text
_AUTHORS_LABEL = re.compile(r"repo_label=([01])")


@dataclass(frozen=True, kw_only=True)
class PromptTexts:
    """Texts as the encoder reads them: ids per text, shape float32 [n, s]."""

    ids: tuple[npt.NDArray[np.int32], ...]
    shape: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Ints) -> PromptTexts:
        return PromptTexts(ids=tuple(self.ids[i] for i in rows), shape=self.shape[rows])


@dataclass(frozen=True, kw_only=True)
class PredictorData:
    """Distinct prompts and, for each outcome row, its prompt, model, label and length.

    `labels` float32 [rows], NaN where unknown; `trainable` bool [rows]: free to train what
    ships; `log_tokens` float32 [rows], NaN where neither a count nor an answer is there;
    `groups` object [prompts]: questions that must not be parted; `sources` object [rows].
    """

    prompts: tuple[str, ...]
    texts: PromptTexts
    groups: npt.NDArray[Any]
    models: tuple[str, ...]
    row_prompt: Ints
    row_model: Ints
    labels: Floats
    trainable: npt.NDArray[np.bool_]
    log_tokens: Floats
    sources: npt.NDArray[Any]

    @property
    def countable(self) -> npt.NDArray[np.bool_]:
        """Rows whose label may train though their text may not, bool [rows]."""
        return np.char.startswith(self.sources.astype(str), _NUMBERS_ONLY)

    def folds(self, k: int, seed: int) -> Ints:
        """The fold of each prompt, int64 [prompts]."""
        return kfold_groups(self.groups, k, seed)


def collect(
    outcomes: Outcomes,
    table: StaticTable,
    *,
    aliases: Mapping[str, str],
    exclude_sources: Sequence[str] = (),
    cache: Path | None = None,
) -> PredictorData:
    """Arrays from outcome rows, in their order; rows of `exclude_sources` are not trainable."""
    prompt = outcomes.column("prompt").tolist()
    index: dict[str, int] = {}
    row_prompt = np.array([index.setdefault(text, len(index)) for text in prompt], dtype=np.int64)
    names = _canonical(outcomes.column("model").tolist(), aliases)
    models = tuple(sorted(set(names)))
    place = {name: i for i, name in enumerate(models)}
    groups = np.empty(len(index), dtype=object)
    keys = outcomes.column("group_key").tolist()
    for row, key in zip(row_prompt.tolist(), keys, strict=True):
        if groups[row] is None:
            groups[row] = key or prompt_key(prompt[row])
    sources = outcomes.column("source")
    return PredictorData(
        prompts=tuple(index),
        texts=read_texts(tuple(index), table, cache=cache),
        groups=groups,
        models=models,
        row_prompt=row_prompt,
        row_model=np.array([place[name] for name in names], dtype=np.int64),
        labels=outcomes.labels.astype(np.float32),
        trainable=outcomes.column("train_ok").astype(bool)
        & ~np.isin(sources.astype(str), list(exclude_sources)),
        log_tokens=_log_tokens(outcomes),
        sources=sources,
    )


def _canonical(names: Sequence[str], aliases: Mapping[str, str]) -> list[str]:
    """Canonical names; two that differ in nothing but case are one model."""
    known = [aliases.get(name, name) for name in names]
    first: dict[str, str] = {}
    for name in [*sorted(set(aliases.values())), *sorted(set(known))]:
        first.setdefault(name.lower(), name)
    return [first[name.lower()] for name in known]


def prompt_key(text: str) -> str:
    """A group of its own for a prompt without a key."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def read_texts(
    texts: Sequence[str], table: StaticTable, *, cache: Path | None = None
) -> PromptTexts:
    """What the encoder reads of each text; `cache` is a folder to keep it in between runs."""
    digest = hashlib.sha256(table.tokenizer)
    for module in ("text.py", "encoder.py"):
        digest.update((Path(__file__).parent.parent / "router" / module).read_bytes())
    for text in texts:
        digest.update(text.encode("utf-8", "replace") + b"\0")
    kept = cache / f"texts-{digest.hexdigest()[:16]}.npz" if cache else None
    if kept is not None and kept.is_file():
        with np.load(kept) as stored:
            flat, ends, shape = stored["flat"], stored["ends"], stored["shape"]
        return PromptTexts(ids=tuple(np.split(flat, ends[:-1])), shape=shape)
    encoder = WordPieceEncoder.from_bytes(table.tokenizer)
    readings = [read_query(Query.from_prompt(text)) for text in texts]
    ids = tuple(np.array(encoder.encode_reading(r), dtype=np.int32) for r in readings)
    shape = np.stack([reading.shape for reading in readings])
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, flat=np.concatenate(ids), ends=np.cumsum([len(i) for i in ids]), shape=shape)
    return PromptTexts(ids=ids, shape=shape)


def pool(texts: PromptTexts, table: StaticTable) -> tuple[Floats, Floats]:
    """Weighted mean of the token vectors, float32 [n, d], and the sum of weights, float32 [n]."""
    vectors, weights = table.vectors, table.weights
    mean = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    mass = np.zeros(len(texts), dtype=np.float32)
    for row, ids in enumerate(texts.ids):
        w = weights[ids]
        mass[row] = max(float(w.sum()), 1e-6)
        mean[row] = (w @ vectors[ids]) / mass[row]
    return mean, mass


def authors_labels(outcomes: Outcomes) -> npt.NDArray[np.float64]:
    """`outcomes.labels` with the label that a source's authors published where one was repaired.

    For comparison with their figures only.
    """
    labels = outcomes.labels.copy()
    for row, note in enumerate(outcomes.column("note").tolist()):
        found = _AUTHORS_LABEL.search(note) if note else None
        if found:
            labels[row] = float(found[1])
    return labels


def _log_tokens(outcomes: Outcomes) -> Floats:
    """log(1 + output tokens): counted where the source says, else characters / 4."""
    counted = outcomes.column("output_tokens").astype(np.float64)
    answers = outcomes.column("response").tolist()
    by_length = np.array([np.nan if a is None else len(a) / _CHARS_PER_TOKEN for a in answers])
    return np.log1p(np.where(np.isnan(counted), by_length, counted)).astype(np.float32)
