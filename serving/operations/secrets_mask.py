"""The last resort against keys in the log: what looks like one is masked, wherever it came from."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MASK", "mask_secrets"]

MASK: Final = b"***"

# Each pattern's group is kept, so that one sees what was there. Quotes may be escaped, as the text
# may be JSON within JSON.
_SECRET: Final = re.compile(
    rb"""
      (\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}
    | (://[^\s/:@"]*:)[^\s/@"]+(?=@)                     # the password in an address
    | (\b(?:[\w-]{0,40}[_-])?(?:(?:api)?key|authorization|password|passwd|secret|token)
        \\*["']?\s*[:=]\s*\\*["']?(?!bearer\b|basic\b))[^\s"'\\,;&}\])]{6,}
    | (\b(?:sk|pk|rk|gsk|xai|glpat|slk|ghp|gho|hf)[-_])[\w-]{8,}
    | (\bAIza)[\w-]{16,}
    | (\bAKIA)[A-Z0-9]{12,}
    | (\beyJ)[\w-]{8,}\.[\w.-]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
# One of these stands in every match, and looking for them costs a fifth of the pattern.
_SIGNS: Final = (
    *(b"bearer ", b"basic ", b"@", b"key", b"authorization", b"passw", b"secret", b"token"),
    *(b"sk-", b"sk_", b"pk-", b"pk_", b"rk-", b"rk_", b"xai-", b"glpat-", b"slk", b"ghp_", b"gho_"),
    *(b"hf_", b"aiza", b"akia", b"eyj"),
)


def mask_secrets(line: bytes) -> bytes:
    """`line` without what looks like a key, a token or a password in it."""
    lower = line.lower()
    if not any(sign in lower for sign in _SIGNS):
        return line
    return _SECRET.sub(_masked, line)


def _masked(found: re.Match[bytes]) -> bytes:
    kept: bytes = found[found.lastindex or 0]
    return kept + MASK
