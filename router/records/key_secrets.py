"""Virtual keys as texts: `sk-slc-<id>-<secret>`. The id finds the row, the secret proves the right.

A secret has 256 random bits, so that its SHA-256 needs neither salt nor slowness: nobody guesses
what it was made from.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

__all__ = ["KeyText", "hash_secret", "is_key_id", "make_key", "matches", "read_key"]

_PREFIX: Final = "sk-slc-"
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_ID = re.compile(r"[0-9a-f]{16}")
_KEY = re.compile(rf"{_PREFIX}({_ID.pattern})-([A-Za-z0-9_-]{{43}})")
_NO_HASH: Final = "0" * 64  # of no secret that anybody knows


@dataclass(frozen=True, kw_only=True)
class KeyText:
    """A key in its two parts. `secret` is in no repr."""

    id: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"{_PREFIX}{self.id}-{self.secret}"


def make_key() -> KeyText:
    """A key that nobody has seen."""
    return KeyText(id=secrets.token_hex(_ID_BYTES), secret=secrets.token_urlsafe(_SECRET_BYTES))


def read_key(text: str) -> KeyText | None:
    """The parts of a key; None when `text` is not of that form."""
    found = _KEY.fullmatch(text)
    return None if found is None else KeyText(id=found[1], secret=found[2])


def is_key_id(text: str) -> bool:
    """Whether `text` can be the id of a key; any other is not worth a look into a database."""
    return _ID.fullmatch(text) is not None


def hash_secret(secret: str) -> str:
    """What is kept of a secret: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret_hash: str, kept_hash: str | None) -> bool:
    """Whether two hashes are of one secret, in the same time whatever they are. `kept_hash` is
    None where there is no such key: then as much is compared, and nothing matches."""
    is_same = hmac.compare_digest(secret_hash, kept_hash or _NO_HASH)
    return is_same and kept_hash is not None
