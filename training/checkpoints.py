"""What a training run has finished, kept so that an interrupted one goes on from there."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

__all__ = ["Checkpoints", "data_key"]

T = TypeVar("T")
_OWN = (".py", ".txt", ".jsonl")  # what the prompts of our own are made of


def data_key(paths: Sequence[Path], *, seed: int) -> str:
    """A hash of the data files' content and of the code and the prompts that train on them."""
    digest = hashlib.sha256(str(seed).encode())
    files = [
        file for path in paths for file in (sorted(path.glob("*")) if path.is_dir() else [path])
    ]
    here = Path(__file__).parent
    own = sorted(file for file in (here / "prompts").rglob("*") if file.suffix in _OWN)
    code = [*sorted(here.glob("*.py")), *own, *sorted((here.parent / "router").rglob("*.py"))]
    for file in (*(f for f in files if f.suffix in (".parquet", ".jsonl", ".json")), *code):
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


class Checkpoints:
    """Finished steps under a folder, named by what they depend on; atomic, so never half-written.

    The files are pickles: a work folder is as trusted as the code that reads it.
    """

    def __init__(self, folder: Path, key: str, *, resume: bool) -> None:
        self.folder = folder
        self._key = key
        folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            for stale in folder.glob("step-*.pkl"):
                stale.unlink()

    def keep(self, step: str, make: Callable[[], T]) -> T:
        """The result of a step: read where it is finished, made and kept where not."""
        path = self.folder / f"step-{step}-{self._key}.pkl"
        if path.is_file():
            with path.open("rb") as stored:
                found: T = pickle.load(stored)
            return found
        made = make()
        pending = path.with_suffix(".new")
        with pending.open("wb") as target:
            pickle.dump(made, target, protocol=5)
        pending.replace(path)
        return made
