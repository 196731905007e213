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
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from .errors import ArtifactDamagedError
from .text import Reading

__all__ = ["MAX_TOKENS", "PAD_ID", "TokenIds", "WordPieceEncoder", "pad"]

TokenIds = npt.NDArray[np.int64]
PAD_ID: Final = 0
SYSTEM_MARK: Final = 1  # [unused0]: what follows is the system message
EARLIER_MARK: Final = 2  # [unused1]: what follows is an earlier turn
MAX_TOKENS: Final = 768
_MAX_CACHED_WORDS: Final = 60_000
_MAX_SPLIT_CHARS: Final = 400  # of distinct unknown words in one text; the rest are [UNK]
_MAX_PIECE: Final = 12  # no longer piece is looked for inside an unknown word

_WORD = re.compile(r"[^\W\d_]{1,40}|\d{1,3}|[^\w\s]|_")
# Every ASCII character that is a word by itself.
_MARKS: Final = tuple(c for c in map(chr, range(128)) if _WORD.match(c) and not c.isalnum())
_DIGITS: Final = b"0123456789"
_MAX_ODD_SHARE: Final = 1 / 16  # digits and characters beyond ASCII; above it the pattern is faster
_MAX_WORD: Final = 40
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


class WordPieceEncoder:
    """Token ids of texts. Safe to share between threads: the cache only ever gains equal entries.

    `encode` never raises on any str that is free of lone surrogates (see `router.text.clean`).
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._size = max(vocabulary.values()) + 1
        self._starts = {
            word: index
            for word, index in vocabulary.items()
            if not word.startswith("##") and not (word.startswith("[") and len(word) > 1)
        }
        self._words = {w: i for w, i in self._starts.items() if _WORD.fullmatch(w)}
        self._inside = {w[2:]: i for w, i in vocabulary.items() if w.startswith("##")}
        self._unknown = vocabulary["[UNK]"]
        self._cache: dict[str, tuple[int, ...]] = {}

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

    def encode(self, text: str) -> list[int]:
        """Ids of one text, at most MAX_TOKENS; empty for a text without a visible character."""
        words, parted = _words(text.lower())
        words = words[:MAX_TOKENS]
        found = list(map(self._words.get, words))
        if None not in found:
            return found  # type: ignore[return-value]  # no None in it, as the line above says
        ids: list[int] = []
        split: dict[str, tuple[int, ...]] = {}
        room = _MAX_SPLIT_CHARS
        done = 0
        for at in [i for i, index in enumerate(found) if index is None]:
            ids += found[done:at]  # type: ignore[arg-type]  # nor between two of them
            done = at + 1
            word = words[at]
            pieces = split.get(word)
            if pieces is None:
                whole = parted or (word.isalpha() and word.isascii() and len(word) <= _MAX_WORD)
                if whole:
                    room -= len(word)
                    pieces = self._pieces(word) if room >= 0 else (self._unknown,)
                else:
                    pieces, room = self._chunk(word, split, room)
                split[word] = pieces
            ids += pieces
        ids += found[done:]  # type: ignore[arg-type]
        return ids[:MAX_TOKENS]

    def _chunk(
        self, chunk: str, split: dict[str, tuple[int, ...]], room: int
    ) -> tuple[tuple[int, ...], int]:
        """The ids of a chunk that may hold several words, and the room left after it."""
        ids: list[int] = []
        for word in _WORD.findall(chunk):
            index = self._words.get(word)
            if index is not None:
                ids.append(index)
                continue
            pieces = split.get(word)
            if pieces is None:
                room -= len(word)
                pieces = self._pieces(word) if room >= 0 else (self._unknown,)
                split[word] = pieces
            ids += pieces
        return tuple(ids), room

    def encode_reading(self, reading: Reading) -> list[int]:
        """Ids of a conversation: the user's message, then the marked system and earlier turn.

        At least one id and at most MAX_TOKENS.
        """
        ids = self.encode(reading.user)
        if reading.system or reading.earlier:
            ids = ids[: MAX_TOKENS - 2]
            if reading.system:
                ids = [*ids, SYSTEM_MARK, *self.encode(reading.system)]
            if reading.earlier:
                ids = [*ids, EARLIER_MARK, *self.encode(reading.earlier)]
        return ids[:MAX_TOKENS] or [PAD_ID]

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
        table = self._starts
        while at < end:
            for stop in range(min(end, at + _MAX_PIECE), at, -1):
                index = table.get(word[at:stop])
                if index is not None:
                    break
            else:
                index, stop = self._unknown, at + 1
            ids.append(index)
            at, table = stop, self._inside
        return ids or [self._unknown]


def _words(lower: str) -> tuple[list[str], bool]:
    """What stands between spaces and ASCII marks, with the marks; and whether these are all words
    as `_WORD` finds them, or chunks that it may part further.

    Setting spaces around the marks and splitting takes a third of the time that the pattern takes
    to find the words; where many chunks would have to be parted, the pattern is run at once.
    """
    plain = lower.encode("ascii", "ignore").translate(None, _DIGITS)
    if len(lower) - len(plain) > _MAX_ODD_SHARE * len(lower):
        return _WORD.findall(lower), True
    for mark in _MARKS:
        if mark in lower:
            lower = lower.replace(mark, f" {mark} ")
    return lower.split(), False


def pad(rows: list[list[int]]) -> TokenIds:
    """Rows of ids as one int64 [batch, longest] array, PAD_ID at the ends."""
    longest = max(len(row) for row in rows)
    out = np.full((len(rows), longest), PAD_ID, dtype=np.int64)
    for index, row in enumerate(rows):
        out[index, : len(row)] = row
    return out
