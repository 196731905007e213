"""What Sluice reads of a conversation: a bounded part of it, whatever its length.

Of any one text at most the head and the tail are read, because instructions stand at the start or
the end and pasted material in between. Of a conversation the last user message comes first, then
what fits of the system message and of the turn before. Pure; the work is bounded by the constants
below and does not grow with the input.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from .types import Embedding, Query

__all__ = ["SHAPE_FEATURES", "Reading", "bound", "clean", "read_query", "shape"]

HEAD_CHARS: Final = 600
TAIL_CHARS: Final = 400
CONTEXT_CHARS: Final = 400

# Turns of phrase that tell what a question asks for, counted as they stand in lower-case text.
_SAYS: Final = {
    "how_many": "how many",
    "how_much": "how much",
    "each": " each",
    "per": " per ",
    "percent": "%",
    "dollar": "$",
    "half": "half",
    "twice": "twice",
    "times": " times",
    "more_than": "more than",
    "less_than": "less than",
    "if": " if ",
    "total": "total",
    "left": "left",
    "average": "average",
    "not": "not",
    "except": "except",
    "which": "which",
    "why": "why",
    "prove": "prove",
    "following": "following",
    "all": " all ",
    "true": "true",
    "false": "false",
}

SHAPE_FEATURES: Final = (
    "log_chars",
    "log_lines",
    "digit_share",
    "symbol_share",
    "space_share",
    "non_ascii_share",
    "options",
    "code_fence",
    "question_marks",
    "latex",
    "braces",
    "turns",
    "log_numbers",
    "log_distinct_numbers",
    "log_sentences",
    "fractional_numbers",
    "log_largest_number",
    "log_commas",
    "word_length",
    "distinct_word_share",
    *(f"says_{name}" for name in _SAYS),
)

_NUMBER = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?")
_MAX_NUMBERS: Final = 64  # numbers past these are not looked at
_DIGITS = re.compile(r"\d")
_SYMBOLS = re.compile(r"[^\w\s]")
# Begins with a literal, so that the scan for it is a memchr; the text gets a "\n" in front.
_OPTION_LINE = re.compile(r"\n[ \t]*\(?[A-J][).:](?=\s)")
_ASCII: Final = "".join(map(chr, range(128)))
_ASCII_BYTES: Final = _ASCII.encode()
_DIGIT_BYTES: Final = "".join(_DIGITS.findall(_ASCII)).encode()
_SYMBOL_BYTES: Final = "".join(_SYMBOLS.findall(_ASCII)).encode()
_PHRASES: Final = tuple(_SAYS.values())


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The parts of a conversation that are read, each already bounded, and its shape.

    `shape` is float32 [len(SHAPE_FEATURES)].
    """

    user: str
    system: str
    earlier: str
    shape: Embedding
    total_chars: int


def clean(text: str) -> str:
    """`text` without lone surrogates, which no tokenizer accepts; the same object when clean."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text


def bound(text: str, head: int = HEAD_CHARS, tail: int = TAIL_CHARS) -> str:
    """The first `head` and last `tail` characters of `text`, free of lone surrogates."""
    if len(text) > head + tail:
        text = f"{text[:head]}\n{text[-tail:]}"
    return clean(text)


def read_query(query: Query) -> Reading:
    """The bounded view of a conversation that the encoder sees."""
    last = len(query.messages) - 1
    while last > 0 and query.messages[last].role != "user":
        last -= 1
    user = query.messages[last].content
    system = earlier = ""
    for index, message in enumerate(query.messages):
        if message.role in ("system", "developer"):
            system = system or message.content
        elif index < last:
            earlier = message.content
    read = bound(user)
    return Reading(
        user=read,
        system=bound(system, CONTEXT_CHARS, 0) if system else "",
        earlier=bound(earlier, CONTEXT_CHARS // 2, CONTEXT_CHARS // 2) if earlier else "",
        shape=shape(read, total_chars=len(user), turns=len(query.messages)),
        total_chars=sum(len(message.content) for message in query.messages),
    )


def shape(read: str, *, total_chars: int, turns: int = 1) -> Embedding:
    """What a text looks like, float32 [len(SHAPE_FEATURES)], each roughly in 0..1."""
    n = max(len(read), 1)
    lower = read.lower()
    words = lower.split()
    # Deleting bytes runs at memory speed; patterns are left for what is not ASCII.
    plain = read.encode("ascii", "ignore")
    n_digits = n_ascii_digits = len(plain) - len(plain.translate(None, _DIGIT_BYTES))
    n_symbols = len(plain) - len(plain.translate(None, _SYMBOL_BYTES))
    n_other = len(read) - len(plain)
    if n_other:
        encoded = read.encode("utf-8", "surrogatepass")
        other = encoded.translate(None, _ASCII_BYTES).decode("utf-8", "surrogatepass")
        n_digits += len(_DIGITS.findall(other))
        n_symbols += len(_SYMBOLS.findall(other))
    numbers = _NUMBER.findall(read)[:_MAX_NUMBERS] if n_ascii_digits else []
    values = [float(number.replace(",", "")) for number in numbers if len(number) < 15]
    return np.array(
        (
            math.log1p(total_chars) / 10.0,
            math.log1p(read.count("\n")) / 5.0,
            n_digits / n,
            n_symbols / n,
            read.count(" ") / n,
            n_other / n,
            min(len(_OPTION_LINE.findall("\n" + read)), 10) / 10.0,
            1.0 if "```" in read else 0.0,
            min(read.count("?"), 5) / 5.0,
            min(read.count("\\") + read.count("$"), 10) / 10.0,
            min(read.count("{") + read.count("[") + read.count("("), 20) / 20.0,
            min(turns - 1, 8) / 8.0,
            math.log1p(len(numbers)) / 4.0,
            math.log1p(len(set(numbers))) / 4.0,
            math.log1p(read.count(".") + read.count("?")) / 4.0,
            1.0 if any(value % 1.0 for value in values) else 0.0,
            math.log1p(max(values, default=0.0)) / 20.0,
            math.log1p(read.count(",")) / 4.0,
            min(len("".join(words)) / max(len(words), 1), 12.0) / 12.0,
            len(set(words)) / max(len(words), 1),
            *[math.log1p(n) / 2.0 if n else 0.0 for n in map(lower.count, _PHRASES)],
        ),
        dtype=np.float32,
    )
