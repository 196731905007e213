"""Public data sets of models' answers, by name, for whoever has a network: extra [hub]."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from router.errors import UsageError
from router.extras import require_extra

from .columns import OUTCOME_COLUMNS
from .errors import HubSchemaError
from .hub_mappings import (
    Record,
    arena_pairs,
    embedllm,
    mt_bench,
    routellm,
    routerbench,
    ultrafeedback,
)
from .outcomes import outcomes_from_table

__all__ = ["HUB_SETS", "HubSet", "load_hub_outcomes"]

_LOG = logging.getLogger(__name__)
_TEXT_COLUMNS = ("prompt", "response", "model")


@dataclass(frozen=True, kw_only=True)
class HubSet:
    """A public data set: where it is, which columns it must have, how rows become outcomes.

    `published` is false where the repository holds pickles, which run code when opened; such
    a set is read from a copy that the person converted.
    """

    repo: str
    split: str
    columns: tuple[str, ...]
    mapping: Callable[[Iterable[Mapping[str, Any]]], Iterator[Record]]
    licence: str
    train_ok: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    published: bool = True


HUB_SETS: Mapping[str, HubSet] = {
    "arena-55k": HubSet(
        repo="lmarena-ai/arena-human-preference-55k",
        split="train",
        columns=(
            *("id", "model_a", "model_b", "prompt", "response_a", "response_b"),
            *("winner_model_a", "winner_model_b", "winner_tie"),
        ),
        mapping=arena_pairs,
        licence="apache-2.0",
        train_ok=True,
    ),
    "embedllm": HubSet(
        repo="RZ412/EmbedLLM",
        split="train",
        columns=("category", "label", "model_name", "prompt", "prompt_id"),
        mapping=embedllm,
        licence="apache-2.0",
        train_ok=True,
        options={"data_files": {"train": "train.csv"}},
    ),
    "mt-bench-human": HubSet(
        repo="lmsys/mt_bench_human_judgments",
        split="human",
        columns=(
            *("question_id", "model_a", "model_b", "winner", "turn"),
            *("conversation_a", "conversation_b"),
        ),
        mapping=mt_bench,
        licence="cc-by-4.0",
        train_ok=True,
    ),
    "routellm-gpt4": HubSet(
        repo="routellm/gpt4_dataset",
        split="train",
        columns=("gpt4_response", "mixtral_response", "mixtral_score", "prompt", "source"),
        mapping=routellm,
        licence="apache-2.0",
        train_ok=True,
    ),
    "routerbench": HubSet(
        repo="withmartian/routerbench",
        split="train",
        columns=("eval_name", "prompt", "sample_id"),
        mapping=routerbench,
        licence="unknown",
        train_ok=False,
        published=False,
    ),
    "ultrafeedback": HubSet(
        repo="openbmb/UltraFeedback",
        split="train",
        columns=("completions", "instruction", "source"),
        mapping=ultrafeedback,
        licence="mit",
        train_ok=True,
    ),
}


def load_hub_outcomes(
    name: str,
    *,
    limit: int | None = None,
    data_files: Sequence[str] | None = None,
    loader: Callable[..., Any] | None = None,
) -> Any:
    """Load a public data set as a checked outcome table (pyarrow.Table).

    With `limit`, at most so many of its rows are streamed; else it is downloaded and cached.
    `data_files` reads local copies (.parquet or .jsonl of one kind) instead. `loader` stands in
    for datasets.load_dataset. Rows that repeat a (source, prompt_id, model) are left out after
    the first, as are rows without usable text; how many is logged as a warning. Raises
    UsageError for an unknown name or a missing extra, HubSchemaError for columns that changed.
    """
    if name not in HUB_SETS:
        known = ", ".join(sorted(HUB_SETS))
        raise UsageError(f"no public data set {name!r}; known: {known}", param="name")
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}, expected at least 1", param="limit")
    hub_set = HUB_SETS[name]
    if not hub_set.published and data_files is None:
        raise UsageError(
            f"{hub_set.repo} is published as pickles, which run code when opened; convert one to"
            " Parquet with pandas where that is safe and pass it as data_files",
            param="data_files",
        )
    rows = _rows(name, hub_set, limit, data_files, loader or _default_loader(name))
    records = _usable(name, hub_set, hub_set.mapping(rows))
    columns = {key: [record.get(key) for record in records] for key in OUTCOME_COLUMNS}
    table = pa.table({key: values for key, values in columns.items() if _any_known(values)})
    return outcomes_from_table(table, name=f"{name} ({hub_set.repo})").table


def _any_known(values: Sequence[Any]) -> bool:
    """Whether a column holds anything."""
    return any(value is not None for value in values)


def _default_loader(name: str) -> Callable[..., Any]:
    require_extra(f"loading {name!r}", "hub")
    from datasets import load_dataset

    loader: Callable[..., Any] = load_dataset
    return loader


def _rows(
    name: str,
    hub_set: HubSet,
    limit: int | None,
    data_files: Sequence[str] | None,
    loader: Callable[..., Any],
) -> Iterator[Mapping[str, Any]]:
    """The set's own rows, at most `limit`, once their columns are known to be the right ones."""
    streaming = {"streaming": True} if limit is not None else {}
    if data_files is None:
        data = loader(hub_set.repo, split=hub_set.split, **hub_set.options, **streaming)
    else:
        kind = "parquet" if all(file.endswith(".parquet") for file in data_files) else "json"
        data = loader(kind, data_files=list(data_files), split="train", **streaming)
    rows = iter(data)
    first = next(rows, None)
    if first is None:
        raise HubSchemaError(f"{name} ({hub_set.repo}) has no rows in split {hub_set.split}")
    missing = [column for column in hub_set.columns if column not in first]
    if missing:
        raise HubSchemaError(
            f"{name} ({hub_set.repo}) has no column {', '.join(missing)}; found"
            f" {', '.join(sorted(first))}: it changed, use an older revision or report it"
        )
    return islice(chain([first], rows), limit)


def _usable(name: str, hub_set: HubSet, records: Iterator[Record]) -> list[Record]:
    """Records with licence and train_ok filled in, less repeats and broken texts."""
    seen: set[tuple[str, str, str]] = set()
    kept, dropped = [], 0
    for record in records:
        key = (record["source"], record["prompt_id"], record["model"])
        if key in seen or not all(_sound(record.get(column)) for column in _TEXT_COLUMNS):
            dropped += 1
            continue
        seen.add(key)
        kept.append(record | {"licence": hub_set.licence, "train_ok": hub_set.train_ok})
    if dropped:
        _LOG.warning(
            "%s: left out %d repeated or unusable rows of %d", name, dropped, dropped + len(kept)
        )
    if not kept:
        raise HubSchemaError(f"{name} ({hub_set.repo}): none of its rows could be used")
    return kept


def _sound(text: str | None) -> bool:
    """Whether a text is unknown, or readable Unicode that is not blank."""
    if text is None:
        return True
    return bool(text.strip()) and not any("\ud800" <= char <= "\udfff" for char in text)
