"""What the semantic cache takes for the same: prompts that are not, and prompts that are.

    python scripts/measure_response_cache.py DATA [--write docs/response-cache.md]

DATA is a folder of outcome files and domain.parquet, as for `sluice train` (extra `train`). With
--write the tables replace those between the page's two marks.
"""

from __future__ import annotations

import argparse
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from rewordings import CHANGES, REWORDINGS, Edit

from router.artifact import load_artifact
from router.predictor import Predictor
from router.types import Embedding
from serving.response_cache.wording import Wording, read_wording

THRESHOLDS: Final = (0.85, 0.90, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
EDITED_THRESHOLDS: Final = (0.75, 0.80, 0.85, 0.90, 0.93, 0.95, 0.97, 0.99, 0.995)
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_SEED: Final = 7
_PER_SOURCE: Final = 60  # prompts of one source that are reworded
_ROWS: Final = 500  # of a matrix of cosines at a time
# Sources where one question key stands for several tasks: a sentence, into several languages.
_MANY_TASKS: Final = ("flores-gemini-benchmark",)

_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_NEGATION: Final = re.compile(
    r"\b(?:not|no|never|none|nor|neither|without|except|cannot|\w+n't)\b", re.I
)
_QUESTION: Final = re.compile(r"\b(?:what|who|whom|whose|which|where|when|why|how)\b", re.I)
_NAME: Final = re.compile(
    r"`[^`]*`|\"[^\"]*\"|\b\w*[a-z][A-Z]\w*\b|\b\w+_\w+\b|\b[A-Za-z]+\.\w+\b|\b\w+\("
)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt, and what the guards see of it."""

    text: str
    group: str
    seen: Mapping[str, Any]


Guard = Callable[[Prompt, Prompt], bool]


@dataclass(kw_only=True)
class Count:
    """What gets past one guard, by threshold: pairs, and prompts that are in any of them."""

    pairs: list[int] = field(default_factory=lambda: [0] * len(THRESHOLDS))
    prompts: list[set[tuple[str, int]]] = field(default_factory=lambda: [set() for _ in THRESHOLDS])


def _script(text: str) -> frozenset[str]:
    return frozenset(unicodedata.name(c, "?").split()[0] for c in set(text) if c.isalpha())


def _seen(text: str) -> dict[str, Any]:
    return {
        "numbers": sorted(_NUMBER.findall(text)),
        "negations": sorted(map(str.lower, _NEGATION.findall(text))),
        "question words": sorted(map(str.lower, _QUESTION.findall(text))),
        "names and quotations": sorted(_NAME.findall(text)),
        "script": _script(text),
        "n_words": len(text.split()),
        "wording": read_wording(text),
    }


def _same(name: str) -> Guard:
    return lambda one, two: bool(one.seen[name] == two.seen[name])


def _long_alike(one: Prompt, two: Prompt) -> bool:
    lengths = sorted((one.seen["n_words"], two.seen["n_words"]))
    return bool(lengths[0] >= 0.8 * lengths[1])


def _worded_alike(one: Prompt, two: Prompt) -> bool:
    first: Wording | None = one.seen["wording"]
    second: Wording | None = two.seen["wording"]
    return first is not None and second is not None and first.asks_same(second)


SIMPLE: Final[Mapping[str, Guard]] = {
    "numbers": _same("numbers"),
    "negations": _same("negations"),
    "question words": _same("question words"),
    "names and quotations": _same("names and quotations"),
    "script": _same("script"),
    "length": _long_alike,
}


def _all_simple(one: Prompt, two: Prompt) -> bool:
    return all(guard(one, two) for guard in SIMPLE.values())


EVERY: Final = "prompts of every kind, cosine alone"
# The other rows are about prompts whose wording is looked at: of one line, neither short nor long.
GUARDS: Final[Mapping[str, Guard]] = {
    EVERY: lambda one, two: True,
    "cosine alone": lambda one, two: True,
    **{f"and the same {name}": guard for name, guard in SIMPLE.items()},
    "and all six of these": _all_simple,
    "**and the same wording (ships)**": _worded_alike,
}


def _read(folder: Path) -> dict[str, list[Prompt]]:
    """Distinct prompts by source."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*.parquet")):
        text = "text" if path.name == "domain.parquet" else "prompt"
        table = pq.read_table(path, columns=["source", text, "group_key"])
        for row in zip(*(table[name].to_pylist() for name in table.column_names), strict=True):
            found.setdefault(row[0], {}).setdefault(row[1], row[2])
    return {
        source: [
            Prompt(text=text, group=group, seen=_seen(text)) for text, group in prompts.items()
        ]
        for source, prompts in found.items()
    }


def _near_pairs(vectors: Embedding) -> Iterator[tuple[int, int, float]]:
    """All pairs of rows with at least the lowest of THRESHOLDS as their cosine."""
    for start in range(0, len(vectors), _ROWS):
        cosines: npt.NDArray[np.float32] = vectors[start : start + _ROWS] @ vectors.T
        rows, columns = np.nonzero(np.triu(cosines, start + 1) >= THRESHOLDS[0])
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            yield start + row, column, float(cosines[row, column])


def _false_hits(prompts: Mapping[str, list[Prompt]], predictor: Predictor) -> dict[str, Count]:
    """Different prompts of one source that each guard lets through."""
    counts = {name: Count() for name in GUARDS}
    for source, own in prompts.items():
        vectors = predictor.embed([prompt.text for prompt in own])
        for i, j, cosine in _near_pairs(vectors):
            one, two = own[i], own[j]
            if one.group == two.group and source not in _MANY_TASKS:
                continue  # the same question in other words
            reached = sum(cosine >= threshold for threshold in THRESHOLDS)
            eligible = one.seen["wording"] is not None and two.seen["wording"] is not None
            for name, guard in GUARDS.items():
                if not (eligible or name == EVERY) or not guard(one, two):
                    continue
                count = counts[name]
                for index in range(reached):
                    count.pairs[index] += 1
                    count.prompts[index] |= {(source, i), (source, j)}
    return counts


def _worded_alike_pairs(prompts: Mapping[str, list[Prompt]]) -> int:
    """Pairs of different prompts of one source that are worded alike, however near they are."""
    n_pairs = 0
    for source, own in prompts.items():
        by_form: dict[str, list[Prompt]] = {}
        for prompt in own:
            wording: Wording | None = prompt.seen["wording"]
            if wording is None:
                continue
            alike = by_form.setdefault(wording.form, [])
            n_pairs += sum(
                _worded_alike(prompt, other)
                and (prompt.group != other.group or source in _MANY_TASKS)
                for other in alike
            )
            alike.append(prompt)
    return n_pairs


def _edited(
    edits: Mapping[str, Edit], prompts: Mapping[str, list[Prompt]], predictor: Predictor
) -> Iterator[tuple[str, npt.NDArray[np.float32], npt.NDArray[np.bool_]]]:
    """For each kind of edit the cosines to the originals, and whether wording lets it through."""
    rng = Random(_SEED)
    chosen = [
        prompt
        for own in prompts.values()
        for prompt in rng.sample(own, min(_PER_SOURCE, len(own)))
        if prompt.seen["wording"] is not None
    ]
    for name, edit in edits.items():
        pairs = [(prompt, edit(prompt.text, rng)) for prompt in chosen]
        changed = [(one, text) for one, text in pairs if text is not None and text != one.text]
        before = predictor.embed([one.text for one, _ in changed])
        after = predictor.embed([text for _, text in changed])
        passed = [
            _worded_alike(one, Prompt(text=text, group="", seen=_seen(text)))
            for one, text in changed
        ]
        yield name, np.sum(before * after, axis=1), np.array(passed)


def _table(first: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    head = [first, *columns]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _percent(share: float) -> str:
    return "0" if share == 0 else f"{100 * share:.2g}%" if share < 0.1 else f"{100 * share:.0f}%"


def _tables(prompts: Mapping[str, list[Prompt]], predictor: Predictor) -> list[str]:
    n = sum(map(len, prompts.values()))
    n_short = sum(one.seen["wording"] is not None for own in prompts.values() for one in own)
    n_pairs = sum(len(own) * (len(own) - 1) // 2 for own in prompts.values())
    levels = [f"{threshold:g}" for threshold in THRESHOLDS]
    counts = _false_hits(prompts, predictor)
    lines = [
        f"Artifact {predictor.artifact.version}; {n:,} prompts of {len(prompts)} sources, "
        f"{n_pairs:,} pairs within a source. {n_short:,} prompts are of the kind whose wording is "
        "looked at; all rows but the first are about these.",
        "",
        "**False hits: pairs of different prompts of one source, by threshold**",
        "",
        *_table(
            "guard",
            levels,
            [(name, *(f"{pairs:,}" for pairs in c.pairs)) for name, c in counts.items()],
        ),
        "**The same as the share of prompts that would get the answer of another one**",
        "",
        *_table(
            "guard",
            levels,
            [
                (name, *(_percent(len(p) / (n if name == EVERY else n_short)) for p in c.prompts))
                for name, c in counts.items()
            ],
        ),
    ]
    lines += [f"Worded alike at any cosine: {_worded_alike_pairs(prompts)} pairs.", ""]
    lines += _edit_tables(prompts, predictor)
    return lines


def _edit_tables(prompts: Mapping[str, list[Prompt]], predictor: Predictor) -> list[str]:
    lines = []
    for title, edits in (
        ("False hits on prompts changed on purpose", CHANGES),
        ("True hits on reworded prompts", REWORDINGS),
    ):
        rows = []
        for name, cosines, passed in _edited(edits, prompts, predictor):
            alone = [float((cosines >= level).mean()) for level in EDITED_THRESHOLDS]
            ships = [float(((cosines >= level) & passed).mean()) for level in EDITED_THRESHOLDS]
            cells = [f"{_percent(b)} ({_percent(a)})" for a, b in zip(alone, ships, strict=True)]
            rows.append((name, f"{len(passed):,}", *cells))
        levels = [f"{level:g}" for level in EDITED_THRESHOLDS]
        lines += [f"**{title}; in brackets: by cosine alone**", ""]
        lines += _table("edit", ["n", *levels], rows)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    text = "\n".join(_tables(_read(given.data), Predictor(load_artifact())))
    print(text)
    if given.write is not None:
        page = given.write.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        after = rest.partition(END)[2]
        given.write.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
