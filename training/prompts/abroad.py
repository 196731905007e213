"""Prompts in other languages than English, from a bank for each language.

The teacher knows little but English. What the head can learn of other languages are their usual
requests and what needs no language (formulas, code); for the rest the general prompts here teach
it to abstain.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from random import Random

from .generator import DOMAINS, LabelledPrompt
from .grammar import Grammar, Template, read_bank
from .numbers import number_slots

__all__ = ["generate_abroad", "languages"]

_FOLDER = "abroad"
_SHARED = "shared"
_WITH_TEXT = ("CREATIVE", "GENERAL")  # domains whose prompts make sense with any text pasted
_PER_TEMPLATE = 12
_MAX_TRIES = 5  # for each prompt asked for; a small bank runs dry


def languages() -> tuple[str, ...]:
    """The codes of the languages that have a bank, sorted."""
    folder = files(__package__).joinpath("banks", _FOLDER)
    names = (one.name.partition(".") for one in folder.iterdir())
    return tuple(sorted(stem for stem, _, end in names if end == "txt" and stem != _SHARED))


def generate_abroad(*, n_per_kind: int, seed: int) -> list[LabelledPrompt]:
    """Up to `n_per_kind` different prompts of each language and domain, twice as many GENERAL ones.

    A bank with few templates for a domain gives fewer. The same seed gives the same prompts.
    """
    shared = read_bank(f"{_FOLDER}/{_SHARED}")
    prompts: list[LabelledPrompt] = []
    for language in languages():
        bank = read_bank(f"{_FOLDER}/{language}")
        grammar = Grammar(shared, bank, dynamic=number_slots())
        rng = Random(f"{seed}:{language}")
        for domain in DOMAINS:
            templates = bank.kinds.get(domain.lower(), ())
            weights = [grammar.weight(template) for template in templates]
            wanted = n_per_kind * (2 if domain == "GENERAL" else 1)
            wanted = min(wanted, _PER_TEMPLATE * len(templates))
            texts: dict[str, None] = {}
            for _ in range(wanted * _MAX_TRIES):
                if len(texts) == wanted:
                    break
                texts[_write(grammar, domain, rng, templates, weights)] = None
            prompts.extend(
                LabelledPrompt(text=text, domain=domain, kind="abroad") for text in texts
            )
    return prompts


def _write(
    grammar: Grammar,
    domain: str,
    rng: Random,
    templates: Sequence[Template],
    weights: Sequence[float],
) -> str:
    """One prompt, at times two in one or with a text of its language: length is no domain."""
    text = grammar.expand(rng.choices(templates, weights)[0], rng).strip()
    more = rng.random()
    if more < 0.2:
        text += rng.choice(("\n", "\n\n", " "))
        text += grammar.expand(rng.choices(templates, weights)[0], rng).strip()
    elif more < 0.35 and domain in _WITH_TEXT:
        text += "\n\n" + grammar.fill("doc", rng)
    return text
