"""The domain section: the classifier on labelled texts, real chat, and texts written carelessly."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

from router.domains import DOMAINS
from router.predictor import Predictor
from router.types import Query

from ..bootstrap import Interval, group_bootstrap
from ..domain_texts import DomainTexts
from ..keyword_rules import classify
from ..metrics import ece, f1_by_class, macro_f1
from ..outcomes import Outcomes
from ..plots import confusion
from ..report import Cell, Figure, Table
from ..typos import mistype

__all__ = ["domain_tables", "labelled_chats"]

_RESAMPLES = 200
_MOST_TEXTS = 6_000
_BARS = {"held out": 0.9, "real chat (arena-hard)": 0.8, "real chat (our labels)": 0.8}
_CARELESS = ", careless"
_MOST_LOST = 0.03


def domain_tables(
    predictor: Predictor,
    texts: DomainTexts | None,
    outcomes: Outcomes,
    *,
    folder: Path,
    seed: int,
) -> tuple[list[Table], list[Figure]]:
    """Macro-F1 beside keyword rules, F1 by domain, and the confusion on held-out texts."""
    sets = _sets(texts, outcomes, seed)
    rows: list[list[Cell]] = []
    guesses: dict[str, list[str]] = {}
    reached: dict[str, float] = {}
    for name, (own, labels) in sets.items():
        found = predictor.predict_many(
            list(map(Query.from_prompt, own)), predictor.abilities.names[:1]
        )
        guesses[name] = [one.domain for one in found]
        right = [one.domain in label.split("|") for one, label in zip(found, labels, strict=True)]
        sure = [one.domain_confidence for one in found]
        rules = [classify(text) for text in own]
        score = _f1(labels, guesses[name], seed)
        reached[name] = score.estimate
        bar = _bar(name, reached)
        met = None if bar is None else score.estimate >= bar - 5e-4
        error = ece(np.array(right, dtype=float), np.array(sure))
        rows.append([name, len(own), score, bar, met, error, _f1(labels, rules, seed)])
    tables = [
        Table(
            name="domains",
            columns=["texts", "n", "macro-F1", "bar", "met", "ECE", "keyword rules"],
            rows=rows,
            note="Careless: lower case and two random edits per ten words; the bar is .03 below "
            "the same texts written with care. A label 'A|B' counts as whichever was predicted. "
            "Over the domains that each set has. 'Real chat' holds no text that was trained on, "
            "but design and prompts of our own were tuned with an eye on both of its sets.",
        )
    ]
    if not sets:
        return [], []
    scores = {name: f1_by_class(sets[name][1], guesses[name], DOMAINS) for name in sets}
    by_class: list[list[Cell]] = [
        [name, *(scores[name][domain] for domain in DOMAINS)] for name in sets
    ]
    tables.append(Table(name="domain-f1", columns=["texts", *DOMAINS], rows=by_class))
    first = next(iter(sets))
    path = confusion(
        folder / "figures" / "domain-confusion.png",
        _confusion(sets[first][1], guesses[first]),
        DOMAINS,
        title=f"Domains: {first}",
    )
    return tables, [Figure(name="Domain confusion", path=path)]


def labelled_chats(outcomes: Outcomes) -> tuple[list[str], list[str]]:
    """(texts, labels) of the real chat prompts that we labelled ourselves, where given."""
    stored = files("training").joinpath("labels/chat_domains.csv")
    if not stored.is_file():
        return [], []
    known = {
        (row["group_key"], row["source"]): row["domain"]
        for row in csv.DictReader(stored.read_text(encoding="utf-8").splitlines())
    }
    keys, sources = outcomes.column("group_key"), outcomes.column("source")
    wanted = np.isin(sources.astype(str), sorted({source for _, source in known}))
    found: dict[tuple[str, str], int] = {}
    for index in np.flatnonzero(wanted):
        key = (str(keys[index]), str(sources[index]))
        if key in known:
            found.setdefault(key, int(index))
    prompts = outcomes.column("prompt")
    return [str(prompts[i]) for i in found.values()], [known[key] for key in found]


def _sets(
    texts: DomainTexts | None, outcomes: Outcomes, seed: int
) -> dict[str, tuple[list[str], list[str]]]:
    """Name -> (texts, labels), the held-out labelled texts first."""
    sets: dict[str, tuple[list[str], list[str]]] = {}
    if texts is not None:
        chat = texts.column("real_chat").astype(bool)
        held_out = (texts.column("split") == "val") & ~chat
        free = held_out & texts.column("train_ok").astype(bool)
        unseen = chat & (texts.column("split") == "val")
        for name, mask in (
            ("held out", held_out),
            ("held out, free to train", free),
            ("real chat (arena-hard)", unseen),
        ):
            own = np.flatnonzero(mask)
            if len(own) > _MOST_TEXTS:
                own = np.sort(np.random.default_rng(seed).permutation(own)[:_MOST_TEXTS])
            if len(own):
                columns = texts.column("text"), texts.column("domain")
                sets[name] = tuple([str(c[i]) for i in own] for c in columns)  # type: ignore[assignment]
    chats, labels = labelled_chats(outcomes)
    if chats:
        sets["real chat (our labels)"] = (chats, labels)
    for name in list(sets):
        if name != "held out, free to train":
            generator = Random(seed)
            own_texts, own_labels = sets[name]
            sets[f"{name}{_CARELESS}"] = ([mistype(t, generator) for t in own_texts], own_labels)
    return sets


def _bar(name: str, reached: Mapping[str, float]) -> float | None:
    """The macro-F1 asked for; for careless texts what may be lost of the same texts' own."""
    if name.endswith(_CARELESS):
        return reached[name.removesuffix(_CARELESS)] - _MOST_LOST
    return _BARS.get(name)


def _f1(labels: Sequence[str], guesses: Sequence[str], seed: int) -> Interval:
    """Macro-F1 over the domains that the set has; a set may lack some altogether."""
    true, guess = np.array(labels, dtype=object), np.array(guesses, dtype=object)
    there = {label.partition("|")[0] for label in labels}
    domains = [domain for domain in DOMAINS if domain in there]
    return group_bootstrap(
        lambda i: macro_f1(true[i].tolist(), guess[i].tolist(), domains),
        np.arange(len(true)),
        n=_RESAMPLES,
        seed=seed,
    )


def _confusion(labels: Sequence[str], guesses: Sequence[str]) -> npt.NDArray[np.int64]:
    """Counts [true, predicted]; a label 'A|B' counts as the one predicted, else as its first."""
    counts = np.zeros((len(DOMAINS), len(DOMAINS)), dtype=np.int64)
    for label, guess in zip(labels, guesses, strict=True):
        accepted = label.split("|")
        true = guess if guess in accepted else accepted[0]
        counts[DOMAINS.index(true), DOMAINS.index(guess)] += 1
    return counts
