"""Prompts written by hand, one by one: the closest there is to what people ask.

`written/<domain>.txt` holds one domain's prompts, parted by lines of three hyphens, after a first
line of comment. `written/borders.jsonl` holds prompts that stand between two domains, one JSON
object a line with `text` and `domain`.
"""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable

from .generator import DOMAINS, LabelledPrompt

__all__ = ["read_written"]

_BORDERS = "borders.jsonl"


def read_written(folder: Traversable | None = None) -> list[LabelledPrompt]:
    """Every written prompt, of kind "written" or "border", in the order of the files.

    `folder` stands in for the package's own. A file that is not there holds no prompts, and a text
    that was written twice counts once. Raises ValueError naming the file and line of an entry that
    is not as described above.
    """
    where = folder or files(__package__).joinpath("written")
    found: dict[str, LabelledPrompt] = {}
    for domain in DOMAINS:
        own = where.joinpath(f"{domain.lower()}.txt")
        if own.is_file():
            for text in _parted(own.read_text(encoding="utf-8")):
                found.setdefault(text, LabelledPrompt(text=text, domain=domain, kind="written"))
    borders = where.joinpath(_BORDERS)
    if borders.is_file():
        for number, line in enumerate(borders.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                one = _border(line, number)
                found.setdefault(one.text, one)
    return list(found.values())


def _parted(content: str) -> list[str]:
    lines = content.splitlines()
    if lines and lines[0].startswith("# "):
        lines = lines[1:]
    parts: list[list[str]] = [[]]
    for line in lines:
        if line.rstrip() == "---":
            parts.append([])
        else:
            parts[-1].append(line)
    texts = ("\n".join(part).strip() for part in parts)
    return [text for text in texts if text]


def _border(line: str, number: int) -> LabelledPrompt:
    try:
        entry = json.loads(line)
        text, domain = entry["text"].strip(), entry["domain"]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ValueError(
            f'{_BORDERS}, line {number}: expected {{"text": ..., "domain": ...}}'
        ) from exc
    if domain not in DOMAINS or not text:
        raise ValueError(
            f"{_BORDERS}, line {number}: domain {domain!r} with {len(text)} characters of text; "
            f"expected some text and one of {', '.join(DOMAINS)}"
        )
    return LabelledPrompt(text=text, domain=domain, kind="border")
