"""Many runs at once, a bounded number at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

from ..errors import InputError, SluiceError
from .results import RunResult

__all__ = ["BatchError", "OnError", "run_all"]

OnError = Literal["raise", "return"]


class BatchError(SluiceError):
    """Some runs of a batch failed. `results` holds, in the order of the queries, the result of
    each or the error in its place: nothing that was paid for is lost."""

    def __init__(self, results: tuple[RunResult | SluiceError, ...]) -> None:
        failed = [(i, one) for i, one in enumerate(results) if isinstance(one, SluiceError)]
        index, first = failed[0]
        super().__init__(
            f"{len(failed)} of {len(results)} runs failed; number {index}: {first}; the others are "
            "in 'results' of this error"
        )
        self.results = results


async def run_all(
    runs: Sequence[Callable[[], Awaitable[RunResult]]],
    *,
    concurrency: int,
    progress: bool,
    on_error: OnError,
) -> list[RunResult | SluiceError]:
    """Run all, at most `concurrency` at a time, in no particular order; results in the order given.

    Raises BatchError once all have ended when some failed and `on_error` is "raise". Any other
    exception, a cancellation too, cancels the rest.
    """
    if on_error not in get_args(OnError):
        raise InputError(f"'on_error' is {on_error!r}, expected raise or return", param="on_error")
    if concurrency < 1:
        raise InputError(f"'concurrency' is {concurrency}, expected 1 or more", param="concurrency")
    results: list[RunResult | SluiceError | None] = [None] * len(runs)
    waiting = iter(enumerate(runs))

    async def work(step: Callable[[], None]) -> None:
        for index, run in waiting:
            try:
                results[index] = await run()
            except SluiceError as exc:
                results[index] = exc
            step()

    with _bar(len(runs), shown=progress) as step:
        fault: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(concurrency, len(runs))):
                    group.create_task(work(step))
        except BaseExceptionGroup as exc:
            fault = exc.exceptions[0]
        if fault is not None:
            raise fault  # as its run would have raised it alone
    found = [one for one in results if one is not None]
    if on_error == "raise" and any(isinstance(one, SluiceError) for one in found):
        raise BatchError(tuple(found))
    return found


@contextmanager
def _bar(total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr, when asked for; what it gives is called once per run."""
    if not shown:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("queries"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("queries", total=total)
        yield lambda: bar.advance(task)
