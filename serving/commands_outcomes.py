"""`sluice outcomes`. Light at import: everything heavy is imported when the command runs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.errors import UsageError

if TYPE_CHECKING:
    from router.records.database import Database
    from router.records.export import Exported
    from router.records.export_rows import Choice
    from router.records.scope import Scope

__all__ = ["register"]


_From = Annotated[
    str | None,
    typer.Option("--from", help="From this time on: ISO 8601 or Unix seconds.", show_default=False),
]
_Until = Annotated[
    str | None, typer.Option("--to-time", help="Up to this time; now.", show_default=False)
]
_Key = Annotated[
    str | None,
    typer.Option("--key", help="Only requests of the key of this id.", show_default=False),
]
_Unlabelled = Annotated[
    bool,
    typer.Option(
        "--unlabelled",
        help="Also rows without a label, such as drafts that were not the answer; training takes "
        "none of them.",
    ),
]
_WithoutText = Annotated[
    bool,
    typer.Option(
        "--without-text",
        help="Also rows whose text was not kept; training takes none of them.",
    ),
]
_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The gateway's configuration [$SLUICE_CONFIG; sluice.yaml].",
        show_default=False,
    ),
]
_Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="URL of the database, in place of the configuration's.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group `sluice outcomes`."""
    outcomes = typer.Typer(name="outcomes", no_args_is_help=True)
    app.add_typer(outcomes)

    # A callback keeps `outcomes` a group while `export` is its only command.
    @outcomes.callback()
    def group() -> None:
        """What the gateway has logged."""

    outcomes.command("export")(export)


def export(
    to: Annotated[Path, typer.Option(help="The file: .parquet or .jsonl.", show_default=False)],
    start: _From = None,
    end: _Until = None,
    key: _Key = None,
    unlabelled: _Unlabelled = False,
    without_text: _WithoutText = False,
    features: Annotated[
        bool, typer.Option("--features", help="The packed features as well.")
    ] = False,
    config: _Config = None,
    store: _Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write logged requests, their answers and labels as an outcome file.

    `sluice train`, `evaluate` and `calibrate` take the file. The service may go on meanwhile.
    """
    from router.records.export import export_outcomes
    from router.records.export_files import check_target
    from router.records.export_rows import Choice

    check_target(to)
    choice = Choice(
        scope=_scope(start, end, key),
        unlabelled=unlabelled,
        without_text=without_text,
        features=features,
    )
    database = _open_store(config, store)
    try:
        with _progress_bar() as progress:
            done = export_outcomes(database, to, choice, progress=progress)
    finally:
        database.close()
    if as_json:
        typer.echo(json.dumps({"file": str(to), **asdict(done)}, indent=2))
    else:
        _tell(to, done, choice)


def _scope(start: str | None, end: str | None, key: str | None) -> Scope:
    from router.records.instants import read_instant
    from router.records.scope import Scope

    from_at = 0.0 if start is None else read_instant(start, param="--from")
    to_at = time.time() if end is None else read_instant(end, param="--to-time")
    if from_at >= to_at:
        raise UsageError("'--from' should lie before '--to-time'", param="from")
    return Scope(from_at=from_at, to_at=to_at, key_id=key)


def _open_store(config: Path | None, store: str | None) -> Database:
    """The store, which has to be there: reading is no reason to make one."""
    from router.records.database import Database
    from router.records.locations import read_location

    if store is None:
        from .config import load_gateway_config

        store = load_gateway_config(config).store.url
    location = read_location(store)
    if location.path is not None and not location.path.is_file():
        raise UsageError(
            f"there is no store {location.name}; name it with --store, or the gateway's "
            "configuration with --config",
            param="store",
        )
    return Database.open(store, migrate=False)


@contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], None]]:
    """Where progress is told; drawn on standard error where somebody watches."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("export", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(path: Path, done: Exported, choice: Choice) -> None:
    """What was written, and what was not and why."""
    typer.echo(f"{done.rows:,} rows of {done.requests:,} requests: {path}")
    found = done.found
    left_out = [
        (not choice.unlabelled, found.requests - found.labelled, "have no label", "--unlabelled"),
        (
            not choice.without_text,
            found.requests - found.with_text,
            "have no text (store.store_text)",
            "--without-text",
        ),
    ]
    for is_left_out, n, reason, option in left_out:
        if is_left_out and n:
            typer.echo(f"{n:,} of {found.requests:,} requests {reason}; {option}", err=True)
    if choice.unlabelled or choice.without_text:
        typer.echo("training does not take rows without label or text", err=True)
