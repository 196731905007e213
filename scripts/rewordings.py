"""Prompts reworded so that they ask the same, and changed so that they ask something else.

For `measure_response_cache.py`. Every function gives None where it cannot be applied to a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

__all__ = ["CHANGES", "REWORDINGS", "Edit"]

Edit = Callable[[str, Random], str | None]

_WORD: Final = re.compile(r"[A-Za-z]{4,}")
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_OPPOSITES: Final = (
    "largest smallest,highest lowest,first last,more fewer,increase decrease,before after,"
    "maximum minimum,best worst,with without,left right,north south,old young,always never,"
    "uppercase lowercase,ascending descending,open close,start end,even odd,positive negative,"
    "buy sell,advantages disadvantages,legal illegal,possible impossible,true false,hot cold"
)
_OPPOSITE: Final[Mapping[str, str]] = {
    one: other
    for pair in _OPPOSITES.split(",")
    for one, other in (pair.split(), pair.split()[::-1])
}
_VERB: Final = re.compile(r"\b(is|are|was|were|can|does|do|did|should|will|has|have)\b", re.I)
_SHORT: Final = re.compile(r"\b([Ww]hat|[Ww]ho|[Ww]here|[Hh]ow) is\b")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _mistype(text: str, rng: Random) -> str | None:
    places = [found for found in _WORD.finditer(text) if len(found[0]) > 4]
    if not places:
        return None
    place = rng.choice(places)
    at = rng.randrange(place.start() + 1, place.end() - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + rng.choice(_LETTERS) + text[at + 1 :]


def _move_end(text: str, _: Random) -> str | None:
    """ "How do I X in Y?" -> "In Y, how do I X?" """
    found = re.fullmatch(r"(.{15,}) (in|for|with|from|at) ([^,.?!]{2,40})([.?!]*)", text)
    if found is None:
        return None
    return f"{found[2].capitalize()} {found[3]}, {_lowered(found[1])}{found[4]}"


def _shorten(text: str, _: Random) -> str | None:
    return _SHORT.sub(r"\1's", text)


def _drop_articles(text: str, _: Random) -> str | None:
    return re.sub(r"\b(?:an?|the) ", "", text, flags=re.I)


def _change_number(text: str, rng: Random) -> str | None:
    numbers = list(re.finditer(r"\d+", text))
    if not numbers:
        return None
    place = rng.choice(numbers)
    return text[: place.start()] + str(int(place[0][:18]) + 1) + text[place.end() :]


def _swap_words(text: str, rng: Random) -> str | None:
    """ "miles to kilometres" -> "kilometres to miles" """
    places = list(_WORD.finditer(text))
    if len(places) < 2:
        return None
    one, two = sorted(rng.sample(places, 2), key=lambda place: place.start())
    middle = text[one.end() : two.start()]
    return text[: one.start()] + two[0] + middle + one[0] + text[two.end() :]


def _negate(text: str, _: Random) -> str | None:
    found = _VERB.search(text)
    return None if found is None else f"{text[: found.end()]} not{text[found.end() :]}"


def _oppose(text: str, _: Random) -> str | None:
    for found in re.finditer(r"[a-z]+", text):
        if found[0] in _OPPOSITE:
            return text[: found.start()] + _OPPOSITE[found[0]] + text[found.end() :]
    return None


def _drop_word(text: str, rng: Random) -> str | None:
    places = [found for found in _WORD.finditer(text) if found[0].lower() != "please"]
    if len(places) < 4:
        return None
    place = rng.choice(places)
    return text[: place.start()] + text[place.end() :].lstrip(" ")


REWORDINGS: Final[Mapping[str, Edit]] = {
    "all small letters": lambda text, _: text.lower(),
    "all capitals": lambda text, _: text.upper(),
    "white space": lambda text, _: f" {text.replace(' ', '  ')} ",
    "no mark at the end": lambda text, _: text.rstrip(".?!"),
    "another mark at the end": lambda text, _: text.rstrip(".?!") + "??",
    '"what\'s" for "what is"': _shorten,
    '"Please ..."': lambda text, _: f"Please {_lowered(text)}",
    '"..., please"': lambda text, _: f"{text.rstrip('.?!')}, please",
    '"Could you please ..."': lambda text, _: f"Could you please {_lowered(text)}",
    '"Hi! ... Thanks!"': lambda text, _: f"Hi! {text} Thanks!",
    "articles left out": _drop_articles,
    "the end put first": _move_end,
    "one letter mistyped": _mistype,
}
CHANGES: Final[Mapping[str, Edit]] = {
    "two words change places": _swap_words,
    "a number is one more": _change_number,
    "an opposite": _oppose,
    "negated": _negate,
    "a word left out": _drop_word,
}
