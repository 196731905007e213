"""The `sluice` command, assembled from entry points so that no package imports another for it.

Every entry point of the group `sluice.commands` is named after one command; its value is a
function `register(app: typer.Typer) -> None` that adds that command. Only the package that owns
the command asked for is imported; `sluice --help` imports all of them, so what they import at
module level has to stay light.

Exit status: 0 done, 1 Sluice could not do it (one line on stderr says why), 2 the caller asked
wrongly or an extra is missing, 130 interrupted. SLUICE_DEBUG=1 shows the traceback as well.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points
from importlib.metadata import version as distribution_version
from typing import Annotated

import typer
from typer.main import get_command

from .errors import SluiceError, UsageError
from .extras import DISTRIBUTION, extra_providing, missing_extra

__all__ = ["COMMAND_GROUP", "build_app", "main", "run"]

COMMAND_GROUP = "sluice.commands"

_EXIT_FAILED = 1
_EXIT_USAGE = 2
_EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the console script and leave with its exit status."""
    sys.exit(run(sys.argv[1:], entry_points(group=COMMAND_GROUP)))


def run(arguments: Sequence[str], commands: Iterable[EntryPoint]) -> int:
    """Run one command line against the `commands` on offer; returns the exit status."""
    try:
        app = build_app(commands, asked_for=arguments[0] if arguments else None)
        get_command(app).main(args=list(arguments), prog_name="sluice")
    except SystemExit as done:  # typer's way to end: help, version, usage errors, finished
        return done.code if isinstance(done.code, int) else _EXIT_FAILED
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except SluiceError as error:
        if os.environ.get("SLUICE_DEBUG") == "1":
            raise
        typer.echo(f"sluice: {' '.join(str(error).split())}", err=True)
        return _EXIT_USAGE if isinstance(error, UsageError) else _EXIT_FAILED
    return 0


def build_app(commands: Iterable[EntryPoint], *, asked_for: str | None = None) -> typer.Typer:
    """Assemble the application; when `asked_for` names a command, only that one is loaded."""
    app = typer.Typer(
        name="sluice",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help="Route LLM calls: a cheap model answers where that is safe.")(_global_options)
    offered = {command.name: command for command in commands}
    chosen = [asked_for] if asked_for in offered else sorted(offered)
    for name in chosen:
        _register(app, offered[name])
    return app


def _register(app: typer.Typer, command: EntryPoint) -> None:
    """Load one entry point and let it add its command, or list the command as unavailable.

    A package says that an extra is missing by `require_extra` in its register function, or by
    failing to import a module that an extra brings.
    """
    try:
        register = command.load()
        register(app)
    except UsageError as refusal:
        _register_unavailable(app, command.name, refusal)
    except ModuleNotFoundError as missing:
        _register_unavailable(app, command.name, _refusal(f"sluice {command.name}", missing))


def _refusal(feature: str, missing: ModuleNotFoundError) -> UsageError:
    """What to tell a caller of `feature`, which cannot be imported without what is `missing`."""
    module = missing.name or str(missing)
    extra = extra_providing(module)
    if extra is not None:
        return missing_extra(feature, extra)
    return UsageError(f"{feature} cannot be loaded: the module {module!r} is not installed")


def _register_unavailable(app: typer.Typer, name: str, refusal: UsageError) -> None:
    """Keep a command that cannot run here in the list; invoking it says what to install."""

    from rich.markup import escape  # or "[train]" would be taken for a colour

    @app.command(
        name,
        help=f"(unavailable) {escape(str(refusal))}",
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def unavailable() -> None:
        raise refusal


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sluice {_installed_version()}")
        raise typer.Exit


def _global_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Options that stand before the command; `--version` acts while it is parsed."""


def _installed_version() -> str:
    try:
        return distribution_version(DISTRIBUTION)
    except PackageNotFoundError:
        return "(running from a checkout that is not installed)"


if __name__ == "__main__":
    main()
