"""When two prompts ask the same: their words are the same, in the same order.

The artifact's embedding is a mean of token vectors: it does not see the order of words and hardly
sees which of two opposites stands there, so cosine alone takes "What is 12 * 13?" for "What is 12 *
14?" (docs/response-cache.md has the figures). What may differ between two prompts is therefore
written down here: white space, marks at the end of a word, contractions, courtesies around the
question, and capitals where they tell nothing. Everything else has a meaning. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_CHARS", "Wording", "read_wording"]

MAX_CHARS: Final = 500  # longer ones are hardly ever asked twice in other words
_MIN_WORDS: Final = 3  # "Turkey" and "turkey": one word or two say too little

_ENDS: Final = ".,;:…。，；：、"
_LAST_ENDS: Final = _ENDS + "?!？！"  # elsewhere these may belong to a name: `sort!`
_QUOTE: Final = re.compile(r"""["“”„«»`]|(?<!\w)'|'(?!\w)""")

_GREETINGS: Final = frozenset({"hi", "hello", "hey"})
_MODALS: Final = frozenset({"can", "could", "will", "would"})
_VERBS: Final = tuple(
    "are could did do does had has have is might must need should was were would".split()
)
# What contractions are short for. Those of _VERBS are known without their apostrophe too: "dont" is
# no word of its own, as "wont", "cant" and "its" are.
_EXPANDED: Final = {
    short: tuple(full.split())
    for short, full in {
        "can't": "can not",
        "cannot": "can not",
        "how's": "how is",
        "i'd": "i would",
        "i'll": "i will",
        "i'm": "i am",
        "i've": "i have",
        "it's": "it is",
        "let's": "let us",
        "shan't": "shall not",
        "that's": "that is",
        "there's": "there is",
        "they're": "they are",
        "we're": "we are",
        "what're": "what are",
        "what's": "what is",
        "whats": "what is",
        "when's": "when is",
        "where's": "where is",
        "who's": "who is",
        "why's": "why is",
        "won't": "will not",
        "you're": "you are",
        "you've": "you have",
        **{f"{verb}n't": f"{verb} not" for verb in _VERBS},
        **{f"{verb}nt": f"{verb} not" for verb in _VERBS},
    }.items()
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """What a prompt asks. `form` is the same for prompts that may ask the same; `written` are its
    words in the writer's capitals; `one_case`: they are all small or all capital letters."""

    form: str
    written: tuple[str, ...]
    one_case: bool

    def asks_same(self, other: Wording) -> bool:
        """Whether the two ask the same. Capitals tell "polish" from "Polish", but not at the
        beginning, and nothing where one of the two was written without regard to them."""
        if self.form != other.form:
            return False
        if self.one_case or other.one_case or self.written == other.written:
            return True
        pairs = list(zip(self.written, other.written, strict=True))
        return all(one == two or one in "Ii" for one, two in pairs[1:])


def read_wording(text: str) -> Wording | None:
    """How `text` is worded; None for one that only itself can stand for: of several lines (code
    and tables live by their white space), too long, or too short to tell what it is about."""
    text = text.strip()
    if not 0 < len(text) <= MAX_CHARS or len(text.splitlines()) != 1:
        return None
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).replace("’", "'")
    quote = _QUOTE.search(text)
    if quote is None:
        forms, written = _read_words(_without_courtesies(text.split()), ends=True)
    else:
        forms, written = _read_around_quotes(text, quote.start())
    if len(forms) < _MIN_WORDS:
        return None
    letters = "".join(written)
    return Wording(
        form="\n".join(forms),
        written=tuple(written),
        one_case=letters == letters.lower() or letters == letters.upper(),
    )


def _read_around_quotes(text: str, first: int) -> tuple[list[str], list[str]]:
    """From the first quotation mark to the last every character counts."""
    last = max(found.start() for found in _QUOTE.finditer(text))
    before, quoted, after = text[:first], text[first : last + 1], text[last + 1 :]
    head, head_written = _read_words(_without_lead(before.split()), ends=False)
    tail, tail_written = _read_words(after.split(), ends=True)
    return [*head, quoted, *tail], [*head_written, "", *tail_written]


def _read_words(words: list[str], *, ends: bool) -> tuple[list[str], list[str]]:
    """Each word as it is compared, and as it was written; `ends`: the text ends with them. A word
    that is no plain one (a name in code, a formula, a unit) is compared to the letter."""
    forms: list[str] = []
    written: list[str] = []
    last = len(words) - 1 if ends else -1
    for index, word in enumerate(words):
        bare = word
        if not word.isalpha():
            bare = _bare(word, _LAST_ENDS if index == last else _ENDS)
        lower = bare.lower()
        if lower in _EXPANDED:
            forms += _EXPANDED[lower]
            written += _in_case_of(bare, _EXPANDED[lower])
        elif _is_plain(bare):
            forms.append(lower)
            written.append(bare)
        else:
            forms.append(bare)
            written.append("")
    return forms, written


def _in_case_of(word: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    """The words that `word` is short for, in its capitals."""
    if word.isupper():
        return tuple(part.upper() for part in parts)
    return (parts[0].capitalize(), *parts[1:]) if word[0].isupper() else parts


def _bare(word: str, ends: str) -> str:
    """The word without the marks that end it; a word of marks alone is left as it is."""
    bare = word.rstrip(ends)
    if not bare:
        return word
    if len(bare) == 1 or not bare[-1].isalpha():
        return word if set(word[len(bare) :]) & set("!:") else bare  # 5! is 120, C: is a disk
    return bare


def _is_plain(word: str) -> bool:
    """Whether it is a word of prose; a short one of mixed letters is a unit: kB is not Kb."""
    if len(word) == 1:
        return word in "AaIi"
    if not word.isalpha():
        word = word.rstrip("?!").replace("'", "").replace("-", "")
        if not word.isalpha():
            return False
    return len(word) > 3 or word[1:].islower() or word.isupper()


def _without_courtesies(words: list[str]) -> list[str]:
    """The words without a greeting, a "please" and thanks around them, where these can be nothing
    else: "Hello, ..." and "... Thanks!", but not in "How do you say thank you?"."""
    words = _without_lead(words)
    tail = [word.rstrip(_LAST_ENDS).lower() for word in words[-2:]]
    thanks = 1 if tail[-1:] == ["thanks"] else 2 if tail == ["thank", "you"] else 0
    if thanks and len(words) > thanks and words[-thanks - 1][-1] in ".?!":
        words = words[:-thanks]
        tail = [words[-1].rstrip(_LAST_ENDS).lower()]
    return words[:-1] if len(words) > 1 and tail[-1:] == ["please"] else words


def _without_lead(words: list[str]) -> list[str]:
    heads = [word.rstrip(",.!").lower() for word in words[:3]]
    marked = [word[-1] in ",.!" for word in words[:3]]
    start = 0
    if len(heads) > 1 and heads[0] in _GREETINGS:
        if marked[0]:
            start = 1
        elif heads[1] == "there" and marked[1]:
            start = 2
    heads = [word.rstrip(",").lower() for word in words[start : start + 3]]
    if len(heads) == 3 and heads[0] in _MODALS and heads[1:] == ["you", "please"]:
        start += 3
    elif heads[:1] == ["please"]:
        start += 1
    return words[start:]
