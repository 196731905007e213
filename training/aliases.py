"""Which names mean the same model: `gpt-4o-mini-2024-07-18` is `gpt-4o-mini`."""

from __future__ import annotations

import json
from pathlib import Path

from .errors import ProblemLog
from .loaded_rows import file_problem

__all__ = ["read_aliases"]

_SHAPE = '{canonical: {"tier": text, "models": [names]}}'


def read_aliases(path: Path) -> dict[str, str]:
    """Read {canonical: {"tier": ..., "models": [...]}} as {name: canonical}.

    A canonical name stands for itself even where its list leaves it out. Raises
    OutcomeFileError for a file of another shape or a name that would mean two models.
    """
    log = ProblemLog()
    content = _load(path, log)
    names: dict[str, str] = {}
    for canonical, entry in content.items():
        fields = entry if isinstance(entry, dict) else {}
        models = fields.get("models")
        if (
            not isinstance(models, list)
            or not models
            or not all(isinstance(name, str) and name.strip() for name in models)
            or not isinstance(fields.get("tier"), str | None)
        ):
            fix = "list the model's names under models, and its tier as text"
            log.add(file_problem(path, "another shape", _SHAPE, column=canonical, fix=fix))
            continue
        for name in dict.fromkeys([canonical, *models]):
            if names.setdefault(name, canonical) != canonical:
                found = f"{name!r} again, which already means {names[name]!r}"
                fix = "leave the name under one model"
                log.add(file_problem(path, found, "one model", column=canonical, fix=fix))
    log.raise_if_any()
    return names


def _load(path: Path, log: ProblemLog) -> dict[str, object]:
    try:
        content = json.loads(path.read_bytes().decode())
    except (OSError, ValueError) as exc:
        log.add(file_problem(path, f"no readable JSON ({type(exc).__name__})", _SHAPE))
        return {}
    if not isinstance(content, dict) or not content:
        log.add(file_problem(path, f"a JSON {type(content).__name__}, or nothing in it", _SHAPE))
        return {}
    return content
