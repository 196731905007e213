"""Draws labelled prompts from the banks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from .documents import document_slots
from .grammar import Bank, Grammar, Template, read_bank
from .noise import roughen
from .numbers import number_slots

__all__ = ["DOMAINS", "LabelledPrompt", "generate"]

DOMAINS = (
    "CODE",
    "MATH",
    "DATA",
    "MEDICAL",
    "LEGAL",
    "FINANCE",
    "CREATIVE",
    "TRANSLATION",
    "SUMMARIZATION",
    "GENERAL",
)
_AS_THEY_ARE = frozenset({"foreign", "gibberish"})  # kinds that no English register fits
_JOINABLE = frozenset({"plain", "terse"})
_MAX_TRIES = 60


@dataclass(frozen=True, kw_only=True)
class LabelledPrompt:
    """A made-up prompt; `kind` says what sort it is ("plain", "terse", "pasted-document", ...)."""

    text: str
    domain: str
    kind: str


def generate(*, n_per_domain: int, seed: int) -> list[LabelledPrompt]:
    """`n_per_domain` prompts of each domain, the same for the same seed.

    A text repeats only where a bank has run dry after many tries.
    """
    if n_per_domain < 0:
        raise ValueError(f"n_per_domain is {n_per_domain}; it must be 0 or more")
    shared = read_bank("shared")
    documents = read_bank("documents")
    prompts: list[LabelledPrompt] = []
    for domain in DOMAINS:
        rng = Random(f"{seed}:{domain}")
        writer = _Writer(domain, shared=shared, documents=documents)
        prompts.extend(writer.write(n_per_domain, rng))
    Random(seed).shuffle(prompts)
    return prompts


class _Writer:
    """Writes one domain's prompts."""

    def __init__(self, domain: str, *, shared: Bank, documents: Bank) -> None:
        self._domain = domain
        bank = read_bank(domain.lower())
        base = Grammar(shared, documents, dynamic=number_slots())
        dynamic = {**number_slots(), **document_slots(base)}
        self._grammar = Grammar(shared, documents, bank, dynamic=dynamic)
        self._kinds = dict(bank.kinds)
        self._names = list(bank.kinds)
        self._shares = [bank.shares[name] for name in self._names]
        self._weights = {
            kind: [self._grammar.weight(template) for template in templates]
            for kind, templates in bank.kinds.items()
        }

    def write(self, count: int, rng: Random) -> list[LabelledPrompt]:
        """`count` prompts; plain texts (before their register is drawn) do not repeat either."""
        seen: set[str] = set()
        prompts: list[LabelledPrompt] = []
        for _ in range(count):
            prompts.append(self._draw_new(rng, seen))
        return prompts

    def _draw_new(self, rng: Random, seen: set[str]) -> LabelledPrompt:
        attempt = 0
        while True:
            attempt += 1
            kind = rng.choices(self._names, self._shares)[0]
            plain = self._expand(kind, rng)
            kind, text = self._dress(kind, plain, rng)
            is_new = text not in seen and (plain not in seen or attempt > _MAX_TRIES // 2)
            if text and (is_new or attempt > _MAX_TRIES):
                break
        seen.update((plain, text))
        return LabelledPrompt(text=text, domain=self._domain, kind=kind)

    def _expand(self, kind: str, rng: Random) -> str:
        template = _pick(self._kinds[kind], self._weights[kind], rng)
        return self._grammar.expand(template, rng).strip()

    def _dress(self, kind: str, plain: str, rng: Random) -> tuple[str, str]:
        """Perhaps a second ask, a persona or a story around it; then a register."""
        if kind in _AS_THEY_ARE:
            return kind, plain
        text = plain
        if kind in _JOINABLE:
            draw = rng.random()
            if draw < 0.08:
                kind, text = "multi-part", self._join(plain, self._expand("plain", rng), rng)
            elif draw < 0.14 and "persona" in self._grammar:
                kind, text = "role-play", f"{self._grammar.fill('persona', rng)} {plain}"
            elif draw < 0.23:
                ramble = self._grammar.fill("ramble", rng)
                kind = "rambling"
                text = f"{ramble} {plain}" if rng.random() < 0.7 else f"{plain} {ramble}"
        return kind, roughen(text, self._grammar, rng)

    def _join(self, first: str, second: str, rng: Random) -> str:
        form = rng.randrange(4)
        if form == 0:
            return f"1. {first}\n2. {second}"
        if form == 1:
            return f"{first} {self._grammar.fill('also', rng)} {second}"
        if form == 2:
            return f"{first}\n\n{second}"
        return f"- {first}\n- {second}"


def _pick(templates: Sequence[Template], weights: Sequence[float], rng: Random) -> Template:
    return rng.choices(templates, weights)[0]
