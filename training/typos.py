"""Random edits, as people make them: what the domain head is trained and measured under."""

from __future__ import annotations

from random import Random

__all__ = ["mistype"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def mistype(text: str, rng: Random, *, edits_per_word: float = 0.2) -> str:
    """`text` in lower case with letters left out, added, replaced or swapped at random places."""
    words = text.lower().split(" ")
    for _ in range(int(len(words) * edits_per_word + rng.random())):
        place = rng.randrange(len(words))
        word = words[place]
        if not word:
            continue
        at = rng.randrange(len(word))
        kind = rng.randrange(4)
        if kind == 0:
            word = word[:at] + word[at + 1 :]
        elif kind == 1:
            word = word[:at] + rng.choice(_LETTERS) + word[at:]
        elif kind == 2:
            word = word[:at] + rng.choice(_LETTERS) + word[at + 1 :]
        elif at + 1 < len(word):
            word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[place] = word
    return " ".join(words)
