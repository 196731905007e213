"""Text to token ids: WordPiece with a word cache; a known word costs one dictionary look-up.

The vocabulary is the teacher's (uncased BERT WordPiece), read from the artifact's tokenizer.json.
Words are found by one regular expression; a word that is itself a token is looked up; the rest are
split greedily, longest piece first, and remembered. How much is split in one text is bounded by
the text alone, never by what was seen before, so the same text always has the same ids. Training
uses this very class, so what is trained is what is served.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from .errors import ArtifactDamagedError
from .text import Reading, bound

__all__ = ["MAX_TOKENS", "PAD_ID", "TokenIds", "WordPieceEncoder", "pad"]

TokenIds = npt.NDArray[np.int64]
PAD_ID: Final = 0
SYSTEM_MARK: Final = 1  # [unused0]: what follows is the system message
EARLIER_MARK: Final = 2  # [unused1]: what follows is an earlier turn
MAX_TOKENS: Final = 384  # of a conversation
_USER_TOKENS: Final = 256  # of its last user message
_CONTEXT_TOKENS: Final = 63  # of the system message, and of the turn before
_HEAD_SHARE: Final = 0.6  # of the ids that are kept of a text with too many
_MAX_CACHED_WORDS: Final = 60_000
_MAX_SPLIT_CHARS: Final = 256  # of distinct unknown words in one text; the rest are [UNK]
_MAX_PIECE: Final = 12  # no longer piece is looked for inside an unknown word

_WORD = re.compile(r"[^\W\d_]{1,40}|\d{1,3}|[^\w\s]|_")
_ASCII_END: Final = 0x80
_TABLE_END: Final = 0x10000  # of the characters that a fast pattern can know
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")

_Step = tuple[tuple[int, ...], int, int]


class WordPieceEncoder:
    """Token ids of texts. Safe to share between threads: the cache only ever gains equal entries.

    `encode` never raises on any str that is free of lone surrogates (see `router.text.clean`).
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._size = max(vocabulary.values()) + 1
        self._unknown = vocabulary["[UNK]"]
        self._starts = {
            word: index
            for word, index in vocabulary.items()
            if not word.startswith("##") and not (word.startswith("[") and len(word) > 1)
        }
        self._words = {w: i for w, i in self._starts.items() if _WORD.fullmatch(w)}
        inside = {w[2:]: i for w, i in vocabulary.items() if w.startswith("##")}
        self._first = _Pieces(self._starts, self._unknown)
        self._next = _Pieces(inside, self._unknown)
        self._cache: dict[str, tuple[int, ...]] = {}
        for end in (_ASCII_END, _TABLE_END):
            _fast_word(end)  # made now, not within the first request

    @classmethod
    def from_file(cls, path: Path) -> WordPieceEncoder:
        """Load from a `tokenizer.json`; raises ArtifactDamagedError for one of another kind."""
        return cls.from_bytes(path.read_bytes(), where=str(path))

    @classmethod
    def from_bytes(cls, content: bytes, *, where: str = "tokenizer.json") -> WordPieceEncoder:
        """As `from_file`, from the bytes of the file."""
        try:
            vocabulary = json.loads(content)["model"]["vocab"]
        except (ValueError, KeyError, TypeError) as exc:
            raise ArtifactDamagedError(
                f"{where} holds no WordPiece vocabulary ({type(exc).__name__}); restore it or "
                "export the artifact again"
            ) from exc
        return cls(vocabulary)

    @property
    def vocabulary_size(self) -> int:
        return self._size

    def encode(self, text: str, most: int = MAX_TOKENS) -> list[int]:
        """Ids of one text, at most `most`: the first and the last where there are more.

        Empty for a text without a visible character.
        """
        return _ends(self._encode(text), most)

    def _encode(self, text: str) -> list[int]:
        words = _find_words(text.lower())
        found = list(map(self._words.get, words))
        if all(found):  # quicker than to look for None; an id of 0 only takes the longer way
            return found  # type: ignore[return-value]  # no None in it, as the line above says
        ids: list[int] = []
        split: dict[str, tuple[int, ...]] = {}
        unknown = (self._unknown,)
        room = _MAX_SPLIT_CHARS
        done = 0
        for at in [i for i, index in enumerate(found) if index is None]:
            if done < at:
                ids += found[done:at]  # type: ignore[arg-type]  # nor between two of them
            done = at + 1
            word = words[at]
            pieces = split.get(word)
            if pieces is None:
                room -= len(word)
                pieces = split[word] = self._pieces(word) if room >= 0 else unknown
            ids += pieces
        ids += found[done:]  # type: ignore[arg-type]
        return ids

    def encode_text(self, text: str) -> list[int]:
        """Ids of a text that is no conversation, such as a draft: within the bounds of a user's
        message; at least one."""
        return self.encode(bound(text), _USER_TOKENS) or [PAD_ID]

    def encode_reading(self, reading: Reading) -> list[int]:
        """Ids of a conversation: the user's message, then the marked system and earlier turn.

        At least one id and at most MAX_TOKENS.
        """
        return self.encode_counted(reading)[0]

    def encode_counted(self, reading: Reading) -> tuple[list[int], int]:
        """As `encode_reading`; and how many ids there would be if none had been left out."""
        found = self._encode(reading.user)
        ids, n = _ends(found, _USER_TOKENS), len(found)
        for mark, text in ((SYSTEM_MARK, reading.system), (EARLIER_MARK, reading.earlier)):
            if text:
                found = self._encode(text)
                ids = [*ids, mark, *_ends(found, _CONTEXT_TOKENS)]
                n += 1 + len(found)
        return ids or [PAD_ID], max(n, 1)

    def _pieces(self, word: str) -> tuple[int, ...]:
        """The pieces of an unknown word, from the cache or split now."""
        pieces = self._cache.get(word)
        if pieces is None:
            pieces = tuple(self._split(word))
            if len(self._cache) < _MAX_CACHED_WORDS:
                self._cache[word] = pieces
        return pieces

    def _split(self, word: str) -> list[int]:
        if not word.isascii():
            word = "".join(
                c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn"
            )
            if _IDEOGRAPH.search(word):
                return [self._starts.get(c, self._unknown) for c in word]
        ids: list[int] = []
        at, end = 0, len(word)
        pieces = self._first
        while at < end:
            start = word[at : at + 3]
            longer, size, index = (
                pieces.by_three.get(start) or pieces.by_two.get(start[:2]) or pieces.learn(start)
            )
            for more in longer:
                piece = word[at : at + more]
                found = pieces.table.get(piece)
                if found is not None:
                    index, size = found, len(piece)
                    break
            ids.append(index)
            at += size
            pieces = self._next
        return ids or [self._unknown]


def _ends(ids: list[int], most: int) -> list[int]:
    """`ids`, or the first and the last of them, `most` in all."""
    if len(ids) <= most:
        return ids
    head = int(most * _HEAD_SHARE)
    return ids[:head] + ids[len(ids) - most + head :]


class _Pieces:
    """The pieces that may stand at one place of a word, for finding the longest in few steps.

    `by_three` has, by the three letters that longer pieces begin with: the lengths of those
    beyond three, longest first; then length and id of the longest of at most three. `by_two` has
    the same for what is not in `by_three`.
    """

    def __init__(self, table: Mapping[str, int], unknown: int) -> None:
        self.table = table
        self.by_three: dict[str, _Step] = {}
        self.by_two: dict[str, _Step] = {}
        self._unknown = unknown
        lengths: dict[str, int] = {}  # a bit for each
        for piece in table:
            if 3 <= len(piece) <= _MAX_PIECE:
                start = piece[:3]
                lengths[start] = lengths.get(start, 0) | 1 << len(piece)
        shared: dict[int, tuple[int, ...]] = {}
        for start, bits in lengths.items():
            longer = shared.get(bits)
            if longer is None:
                longer = tuple(size for size in range(_MAX_PIECE, 3, -1) if bits >> size & 1)
                shared[bits] = longer
            self.by_three[start] = (longer, *self._longest(start))

    def learn(self, start: str) -> _Step:
        """The entry of `by_two` for one or two letters, made now."""
        found = ((), *self._longest(start[:2]))
        if len(self.by_two) < _MAX_CACHED_WORDS:
            self.by_two[start[:2]] = found
        return found

    def _longest(self, start: str) -> tuple[int, int]:
        for size in range(len(start), 0, -1):
            index = self.table.get(start[:size])
            if index is not None:
                return size, index
        return 1, self._unknown


def _find_words(lower: str) -> list[str]:
    """The words of a text, as `_WORD` finds them."""
    if lower.isascii():
        return _fast_word(_ASCII_END).findall(lower)
    if len(lower.encode("utf-16-le", "surrogatepass")) == 2 * len(lower):
        return _fast_word(_TABLE_END).findall(lower)
    return _WORD.findall(lower)


@cache
def _fast_word(end: int) -> re.Pattern[str]:
    """`_WORD` in half the time: what it calls a letter, digit or mark, written out as ranges.

    Right for texts of characters before `end`; the fewer there are, the faster.
    """
    everything = "".join(map(chr, range(end)))

    def ranges(kind: str) -> str:
        runs = (run[0] for run in re.finditer(f"(?:{kind})+", everything))
        return "".join(f"{re.escape(run[0])}-{re.escape(run[-1])}" for run in runs)

    letters, digits, marks = map(ranges, (r"[^\W\d_]", r"\d", r"[^\w\s]|_"))
    return re.compile(f"[{letters}]{{1,40}}|[{digits}]{{1,3}}|[{marks}]")


def pad(rows: list[list[int]]) -> TokenIds:
    """Rows of ids as one int64 [batch, longest] array, PAD_ID at the ends."""
    if len(rows) == 1:
        return np.array(rows, dtype=np.int64)
    longest = max(len(row) for row in rows)
    out = np.full((len(rows), longest), PAD_ID, dtype=np.int64)
    for index, row in enumerate(rows):
        out[index, : len(row)] = row
    return out
