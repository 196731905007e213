"""Text cut into pieces as models write it, and values as the lines of an event stream."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from ..errors import ApiError

__all__ = ["comment", "cut", "cut_tokens", "data_line", "to_json"]

_PIECE_CHARS: Final = 64
# The rest if it is short enough, else up to the last space within reach, else what fits.
_PIECE: Final = re.compile(
    rf".{{1,{_PIECE_CHARS}}}\Z|.{{1,{_PIECE_CHARS - 1}}}\s|.{{1,{_PIECE_CHARS}}}", re.DOTALL
)


def cut(text: str) -> list[str]:
    """`text` in pieces of a line's length, after spaces where there are some; none for ""."""
    return _PIECE.findall(text)


def cut_tokens(tokens: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Tokens (with their log-probabilities) in groups of about a piece's length."""
    group: list[Mapping[str, Any]] = []
    length = 0
    for token in tokens:
        group.append(token)
        length += len(token["token"])
        if length >= _PIECE_CHARS:
            yield group
            group, length = [], 0
    if group:
        yield group


def to_json(value: Any) -> bytes:
    """`value` as JSON; any mapping is an object. Raises ApiError (502) for a provider's answer that
    was read, but is nested deeper than can be written."""
    try:
        return orjson.dumps(value, default=_as_dict)
    except orjson.JSONEncodeError:
        raise ApiError(
            502,
            "the provider's answer is nested too deeply to be passed on",
            code="upstream_failed",
            kind="upstream_error",
        ) from None  # the original may quote it


def data_line(value: Any) -> bytes:
    """An event of `value` without a name; raises ApiError as `to_json` does."""
    return b"data: " + to_json(value) + b"\n\n"


def comment(name: str, value: Mapping[str, str]) -> bytes:
    """A line that every reader of event streams skips, and who knows `name` can read."""
    return b": " + name.encode() + b" " + orjson.dumps(dict(value)) + b"\n\n"


def _as_dict(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError
