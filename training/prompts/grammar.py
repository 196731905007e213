"""A tiny template language: `{slot}`, `{this|or that}`, nested at will, `\\n` for a new line.

A bank is a plain-text file of sections. A header line is `== name [how]`; a name that begins
with `@` holds prompt templates of that kind (an optional number is the kind's share), any other
name is a slot. `how` says how the values are separated: one a line (the default), `words`
(comma-separated), `blocks` (a line `---` between them) or `raw` (blocks that are not templates).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from random import Random

__all__ = [
    "Bank",
    "Choice",
    "Dynamic",
    "Grammar",
    "Slot",
    "Template",
    "parse_template",
    "read_bank",
]

Dynamic = Callable[[Random], str]
_SLOT_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MAX_SIZE = 1e9


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A reference to a named list of values."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Inline alternatives."""

    options: tuple[Template, ...]


@dataclass(frozen=True, kw_only=True)
class Template:
    """Literal text, slots and choices, in order."""

    parts: tuple[str | Slot | Choice, ...]


@dataclass(frozen=True, kw_only=True)
class Bank:
    """One file's slots, and its prompt templates by kind with each kind's share."""

    slots: Mapping[str, tuple[Template, ...]] = field(default_factory=dict)
    kinds: Mapping[str, tuple[Template, ...]] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)


def parse_template(text: str) -> Template:
    """Parse one template; raises ValueError for unbalanced braces or a malformed slot."""
    template, end = _parse(text, 0, closing="")
    if end != len(text):
        raise ValueError(f"unbalanced '}}' in template {text!r}")
    return template


def _parse(text: str, start: int, *, closing: str) -> tuple[Template, int]:
    parts: list[str | Slot | Choice] = []
    literal: list[str] = []
    position = start
    while position < len(text) and (not closing or text[position] not in closing):
        char = text[position]
        if char == "\\" and position + 1 < len(text):
            following = text[position + 1]
            literal.append("\n" if following == "n" else following)
            position += 2
        elif char == "{":
            parts.append("".join(literal))
            literal = []
            node, position = _parse_braces(text, position + 1)
            parts.append(node)
        elif char == "}":
            break
        else:
            literal.append(char)
            position += 1
    parts.append("".join(literal))
    return Template(parts=tuple(part for part in parts if part != "")), position


def _parse_braces(text: str, start: int) -> tuple[Slot | Choice, int]:
    options: list[Template] = []
    position = start
    while True:
        option, position = _parse(text, position, closing="|}")
        options.append(option)
        if position >= len(text):
            raise ValueError(f"'{{' without '}}' in template {text!r}")
        position += 1
        if text[position - 1] == "}":
            break
    if len(options) > 1:
        return Choice(options=tuple(options)), position
    name = text[start : position - 1]
    if not _SLOT_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a slot name in template {text!r}")
    return Slot(name=name), position


def read_bank(name: str) -> Bank:
    """Read banks/<name>.txt of this package."""
    text = files(__package__).joinpath("banks", f"{name}.txt").read_text(encoding="utf-8")
    slots: dict[str, tuple[Template, ...]] = {}
    kinds: dict[str, tuple[Template, ...]] = {}
    shares: dict[str, float] = {}
    for section in re.split(r"^== ", text, flags=re.MULTILINE)[1:]:
        header, _, body = section.partition("\n")
        key, _, how = header.strip().partition(" ")
        if key.startswith("@"):
            kind = key[1:]
            kinds[kind] = kinds.get(kind, ()) + _values(body, "")
            shares[kind] = float(how) if how else float(len(kinds[kind]))
        else:
            slots[key] = slots.get(key, ()) + _values(body, how)
    return Bank(slots=slots, kinds=kinds, shares=shares)


def _values(body: str, how: str) -> tuple[Template, ...]:
    if how in ("blocks", "raw"):
        blocks = [block.strip("\n") for block in re.split(r"^---$", body, flags=re.MULTILINE)]
        if how == "raw":
            return tuple(Template(parts=(block,)) for block in blocks if block.strip())
        return tuple(parse_template(block) for block in blocks if block.strip())
    if how == "words":
        return tuple(
            parse_template(word.strip()) for word in re.split(r"[,\n]", body) if word.strip()
        )
    if how:
        raise ValueError(f"section form {how!r} is unknown; use words, blocks or raw")
    return tuple(parse_template(line.strip()) for line in body.splitlines() if line.strip())


class Grammar:
    """Expands templates from banks and from slots that are computed (`dynamic`)."""

    def __init__(self, *banks: Bank, dynamic: Mapping[str, Dynamic]) -> None:
        self._slots: dict[str, tuple[Template, ...]] = {}
        for bank in banks:
            self._slots.update(bank.slots)
        self._dynamic = dict(dynamic)
        self._sizes: dict[str, float] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._slots or name in self._dynamic

    def expand(self, template: Template, rng: Random) -> str:
        """Fill every slot of the template; raises KeyError for a slot nobody defines."""
        out: list[str] = []
        for part in template.parts:
            if isinstance(part, str):
                out.append(part)
            elif isinstance(part, Slot):
                out.append(self.fill(part.name, rng))
            else:
                out.append(self.expand(rng.choice(part.options), rng))
        return "".join(out)

    def fill(self, name: str, rng: Random) -> str:
        """One value of a slot."""
        if name in self._dynamic:
            return self._dynamic[name](rng)
        return self.expand(rng.choice(self._slots[name]), rng)

    def sample(self, name: str, count: int, rng: Random) -> list[str]:
        """`count` values of a slot from different entries, as far as there are so many."""
        entries = self._slots[name]
        chosen = rng.sample(entries, min(count, len(entries)))
        return [self.expand(entry, rng) for entry in chosen]

    def weight(self, template: Template) -> float:
        """1 + log10 of how many texts the template can make: richer ones are used more."""
        return 1.0 + math.log10(self._size(template))

    def _size(self, template: Template) -> float:
        size = 1.0
        for part in template.parts:
            if isinstance(part, Choice):
                size *= sum(self._size(option) for option in part.options)
            elif isinstance(part, Slot):
                size *= self._slot_size(part.name)
        return min(size, _MAX_SIZE)

    def _slot_size(self, name: str) -> float:
        if name in self._dynamic:
            return 1000.0
        if name not in self._sizes:
            self._sizes[name] = 1.0  # a slot that contains itself counts once
            self._sizes[name] = sum(self._size(entry) for entry in self._slots[name])
        return self._sizes[name]
