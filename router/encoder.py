"""Text to token ids: WordPiece with a word cache, so that a known word costs one dictionary look-up.

The vocabulary is the teacher's (uncased BERT WordPiece), read from the artifact's tokenizer.json.
Words are found by one regular expression; a word that is itself a token is looked up; the rest go
to `tokenizers` together, in one call, and are remembered. Training uses this very class, so what
is trained is what is served.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from .text import Reading

__all__ = ["MAX_TOKENS", "PAD_ID", "TokenIds", "WordPieceEncoder", "pad"]

TokenIds = npt.NDArray[np.int64]
PAD_ID: Final = 0
SYSTEM_MARK: Final = 1  # [unused0]: what follows is the system message
EARLIER_MARK: Final = 2  # [unused1]: what follows is an earlier turn
MAX_TOKENS: Final = 768
_MAX_CACHED_WORDS: Final = 60_000
_MAX_UNSEEN_WORDS: Final = 200  # a text with more of them is noise: the rest are [UNK]

_WORD = re.compile(r"[^\W\d_]{1,40}|\d{1,3}|[^\w\s]|_")


class WordPieceEncoder:
    """Token ids of texts. Safe to share between threads: the cache only ever gains equal entries.

    `encode` never raises on any str that is free of lone surrogates (see `router.text.clean`).
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._cache: dict[str, tuple[int, ...]] = {
            word: (index,)
            for word, index in tokenizer.get_vocab().items()
            if not word.startswith("##") and not word.startswith("[")
        }
        for mark in "[]":
            self._cache[mark] = tuple(tokenizer.encode(mark, add_special_tokens=False).ids)
        self._unknown = (tokenizer.token_to_id("[UNK]"),)
        self._room = _MAX_CACHED_WORDS

    @classmethod
    def from_file(cls, path: Path) -> WordPieceEncoder:
        """Load from a `tokenizer.json`."""
        return cls(Tokenizer.from_file(str(path)))

    @property
    def vocabulary_size(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Ids of one text, not bounded; at least one id, never PAD_ID alone unless text is blank."""
        words = _WORD.findall(text.lower())
        known = self._cache
        unknown = [word for word in words if word not in known]
        learned = self._learn(unknown) if unknown else known
        ids: list[int] = []
        for word in words:
            ids.extend(known.get(word) or learned.get(word) or self._unknown)
        return ids

    def encode_reading(self, reading: Reading) -> list[int]:
        """Ids of a conversation: the user's message, then the marked system and earlier turn."""
        ids = self.encode(reading.user)[: MAX_TOKENS - 2]
        if reading.system:
            ids.append(SYSTEM_MARK)
            ids.extend(self.encode(reading.system))
        if reading.earlier:
            ids.append(EARLIER_MARK)
            ids.extend(self.encode(reading.earlier))
        return ids[:MAX_TOKENS] or [PAD_ID]

    def _learn(self, words: list[str]) -> dict[str, tuple[int, ...]]:
        """Encode unseen words in one call; remember them while there is room."""
        distinct = list(dict.fromkeys(words))[:_MAX_UNSEEN_WORDS]
        encoding = self._tokenizer.encode(distinct, is_pretokenized=True, add_special_tokens=False)
        pieces: list[list[int]] = [[] for _ in distinct]
        for index, word_index in zip(encoding.ids, encoding.word_ids, strict=True):
            pieces[word_index].append(index)
        learned = {w: tuple(ids) for w, ids in zip(distinct, pieces, strict=True) if ids}
        if self._room >= len(learned):
            self._cache.update(learned)
            self._room -= len(learned)
        return learned


def pad(rows: list[list[int]]) -> TokenIds:
    """Rows of ids as one int64 [batch, longest] array, PAD_ID at the ends."""
    longest = max(len(row) for row in rows)
    out = np.full((len(rows), longest), PAD_ID, dtype=np.int64)
    for index, row in enumerate(rows):
        out[index, : len(row)] = row
    return out
