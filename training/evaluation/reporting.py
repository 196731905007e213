"""What a person sees while it runs: progress bars and short lines, on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Reporter", "open_reporter"]


class Reporter:
    """Says what is being done. `quiet` only says how it ends."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, highlight=False, markup=False)

    def bar(self, description: str) -> Any:
        """A function that wraps an iterable in a bar of this name, which goes when it is done."""

        def wrap(items: Iterable[Any]) -> Iterator[Any]:
            listed = list(items)
            task = self._progress.add_task(description, total=len(listed))
            try:
                for item in listed:
                    yield item
                    self._progress.advance(task)
            finally:
                self._progress.remove_task(task)

        return wrap


@contextmanager
def open_reporter() -> Iterator[Reporter]:
    """A reporter on standard error, whose bars vanish at the end and on Ctrl-C alike."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        yield Reporter(console, progress)
