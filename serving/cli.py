"""`sluice serve`. Light at import: everything heavy is imported when the command runs."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from .config import GatewayConfig

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add `sluice serve`."""

    @app.command()
    def serve(
        config: Annotated[
            Path | None,
            typer.Option(
                help="Configuration [$SLUICE_CONFIG; sluice.yaml, if there is one].",
                show_default=False,
            ),
        ] = None,
        host: Annotated[
            str | None,
            typer.Option(
                help="Address to listen on [$SLUICE_HOST; 127.0.0.1].", show_default=False
            ),
        ] = None,
        port: Annotated[
            int | None,
            typer.Option(help="Port, 0 for any free one [$SLUICE_PORT; 8000].", show_default=False),
        ] = None,
        workers: Annotated[
            int | None,
            typer.Option(help="Processes that share the port [$SLUICE_WORKERS; 1].", min=1),
        ] = None,
        models_root: Annotated[
            Path | None,
            typer.Option(
                help="Folder of artifacts [$SLUICE_MODELS; the one that came with Sluice].",
                show_default=False,
            ),
        ] = None,
        discover: Annotated[
            bool,
            typer.Option(
                "--discover", help="Use the providers whose keys are set, and local servers."
            ),
        ] = False,
        check: Annotated[
            bool, typer.Option("--check", help="Say what would be wrong, and do not start.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="With --check: print JSON.")] = False,
    ) -> None:
        """Start the HTTP service; an interrupt stops it."""
        from .config import load_gateway_config

        load = partial(
            load_gateway_config,
            config,
            options={
                "server.host": host,
                "server.port": port,
                "server.workers": workers,
                "server.models_root": models_root,
            },
        )
        if discover:
            load = partial(_given, _discovered(load()))
        if check:
            _check(load(), as_json=as_json)
        from .server import run

        run(load)


def _given(config: GatewayConfig) -> GatewayConfig:
    """What every worker of a service starts with; a function of the module, to be sent to it."""
    return config


def _discovered(config: GatewayConfig) -> GatewayConfig:
    from .config.discovery import discover, discovered_config

    found = discover(os.environ)
    chosen = discovered_config(config, found)
    typer.echo(f"Found {', '.join(model.name for model in chosen.models)}", err=True)
    return chosen


def _check(config: GatewayConfig, *, as_json: bool) -> NoReturn:
    from .config.check import check_config

    report = check_config(config)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    else:
        typer.echo("\n".join(report.lines()))
    sys.exit(report.status)
