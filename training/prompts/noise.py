"""How people really type: lower case, typos, lost punctuation, chatty openings and endings.

Every change is drawn alike for all domains, so that a register never betrays a domain.
"""

from __future__ import annotations

import re
from random import Random

from .grammar import Grammar

__all__ = ["roughen"]

_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj",
    "i": "uo", "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o",
    "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc",
    "y": "tu", "z": "x",
}  # fmt: skip
_SHORT_FORMS = {
    "you": "u", "please": "pls", "are": "r", "your": "ur", "because": "cuz", "with": "w/",
    "though": "tho", "people": "ppl", "about": "abt", "between": "btw", "want to": "wanna",
    "going to": "gonna", "i am": "im", "i'm": "im", "don't": "dont", "can't": "cant",
    "doesn't": "doesnt", "what's": "whats", "it's": "its", "thanks": "thx", "without": "w/o",
}  # fmt: skip


def roughen(text: str, grammar: Grammar, rng: Random) -> str:
    """Draw a register for the text: about a third of the texts stay as they are."""
    ask, gap, rest = _split_ask(text)
    if rng.random() < 0.16:
        ask = f"{grammar.fill('opening', rng)} {_lower_first(ask)}"
    if rng.random() < 0.12:
        ask = f"{ask.rstrip()} {grammar.fill('ending', rng)}"
    if rng.random() < 0.36:
        ask = ask.lower()
        if rng.random() < 0.35:
            ask = _shorten(ask, rng)
    if rng.random() < 0.22:
        ask = ask.rstrip(" .?!")
    if rng.random() < 0.08:
        ask = re.sub(r"[,.;:](?=\s|$)|['\"]", "", ask)
    if rng.random() < 0.18:
        ask = _mistype(ask, rng)
    if rng.random() < 0.02:
        ask = ask.upper()
    if rng.random() < 0.06:
        ask = ask.rstrip(" .") + rng.choice(["...", "??", "!!", " ?", " !", "???", " :)", "."])
    return (ask + gap + rest).strip()


def _split_ask(text: str) -> tuple[str, str, str]:
    """The first line, which is usually the person's own, and the rest."""
    ask, gap, rest = text.partition("\n")
    return ask, gap, rest


def _lower_first(text: str) -> str:
    first = text[:1]
    second = text[1:2]
    return text if second.isupper() or text.startswith("I ") else first.lower() + text[1:]


def _shorten(text: str, rng: Random) -> str:
    for long_form, short_form in _SHORT_FORMS.items():
        if rng.random() < 0.6:
            text = re.sub(rf"\b{re.escape(long_form)}\b", short_form, text)
    return text


def _mistype(text: str, rng: Random) -> str:
    """One slip in about every twelve words: swapped, dropped, doubled or neighbouring key."""
    words = text.split(" ")
    for index, word in enumerate(words):
        if len(word) >= 4 and word.isascii() and word.isalpha() and rng.random() < 0.12:
            words[index] = _slip(word, rng)
    return " ".join(words)


def _slip(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[: at + 1] + word[at:]
    near = _NEIGHBOURS.get(word[at].lower(), word[at])
    return word[:at] + rng.choice(near) + word[at + 1 :]
