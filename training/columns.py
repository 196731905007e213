"""The columns a data file may have, and how a stored value becomes the value used in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import pyarrow as pa

from router.domains import DOMAINS

__all__ = ["DOMAIN_COLUMNS", "OUTCOME_COLUMNS", "SPLITS", "Column", "misspelt", "value_problem"]

Kind = Literal["text", "bool", "float", "count"]

SPLITS = ("train", "val", "test")
_LARGEST = 1e300

_EXPECTED: dict[Kind, str] = {
    "text": "text",
    "bool": "true or false",
    "float": "a number",
    "count": "a whole number",
}
_FIXES: dict[Kind, str] = {
    "text": "store it as a string",
    "bool": "store it as a boolean, not as text or 0/1",
    "float": "store it as a number, and an unknown one as null",
    "count": "store it as an integer, and an unknown one as null",
}
_ARROW: dict[Kind, Any] = {
    "text": pa.large_string(),
    "bool": pa.bool_(),
    "float": pa.float64(),
    "count": pa.int64(),
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a data file.

    `repeated` columns hold long texts that occur in many rows and are dictionary-encoded in
    memory; `private` ones hold people's texts, which no message may quote.
    """

    name: str
    kind: Kind = "text"
    required: bool = False
    private: bool = False
    repeated: bool = False
    minimum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def arrow_type(self) -> Any:
        """The type of the column once loaded."""
        plain = _ARROW[self.kind]
        return pa.dictionary(pa.int32(), plain) if self.repeated else plain

    @property
    def expected(self) -> str:
        return " | ".join(self.choices) if self.choices else _EXPECTED[self.kind]

    @property
    def fix(self) -> str:
        return _FIXES[self.kind]

    def describe(self, value: object) -> str:
        """A value as a message may show it: its type, and a short repr if it is not private."""
        kind = "null" if value is None else type(value).__name__
        if self.private or not isinstance(value, str | bool | int | float):
            return kind
        shown = ascii(value)
        return f"{kind} {shown if len(shown) <= 40 else shown[:37] + '...'}"


def _columns(*columns: Column) -> dict[str, Column]:
    return {column.name: column for column in columns}


OUTCOME_COLUMNS = _columns(
    Column(name="source", required=True),
    Column(name="prompt_id", required=True),
    Column(name="group_key"),
    Column(name="split", choices=SPLITS),
    Column(name="prompt", required=True, private=True, repeated=True),
    Column(name="domain_hint"),
    Column(name="native_category"),
    Column(name="model", required=True),
    Column(name="response", private=True),
    Column(name="correct", kind="bool"),
    Column(name="score", kind="float"),
    Column(name="score_kind"),
    Column(name="output_tokens", kind="count", minimum=0),
    Column(name="cost_usd", kind="float", minimum=0),
    Column(name="confidence", kind="float"),
    Column(name="note"),
    Column(name="licence"),
    Column(name="train_ok", kind="bool"),
)

DOMAIN_COLUMNS = _columns(
    Column(name="source", required=True),
    Column(name="text", required=True, private=True),
    Column(name="domain", required=True, choices=DOMAINS),
    Column(name="native_label"),
    Column(name="kind"),
    Column(name="group_key"),
    Column(name="licence"),
    Column(name="split", choices=SPLITS),
    Column(name="train_ok", kind="bool"),
    Column(name="real_chat", kind="bool"),
)


def value_problem(column: Column, value: object) -> str | None:
    """What was found, if a JSON value cannot stand in the column; None if it can."""
    match column.kind:
        case "text":
            if isinstance(value, str):
                return None if _encodable(value) else "text with a lone surrogate (broken Unicode)"
        case "bool":
            if isinstance(value, bool):
                return None
        case "float":
            if isinstance(value, int | float) and not isinstance(value, bool):
                return None if abs(value) < _LARGEST else column.describe(value)
        case "count":
            number = value if isinstance(value, int | float) else 0.5
            whole = not isinstance(value, bool) and abs(number) < 2**63
            if whole and int(number) == number:
                return None
    return column.describe(value)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def misspelt(present: Sequence[str], columns: Mapping[str, Column]) -> list[tuple[str, str]]:
    """Unknown column names that look like a known, absent one: (found, meant) pairs.

    Other unknown columns are allowed and ignored.
    """
    absent = [name for name in columns if name not in present]
    pairs = []
    for name in present:
        if name not in columns and (meant := get_close_matches(name, absent, n=1, cutoff=0.8)):
            pairs.append((name, meant[0]))
    return pairs
