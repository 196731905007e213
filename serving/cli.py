"""`sluice serve`. Light at import: everything heavy is imported when the command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add `sluice serve`."""

    @app.command()
    def serve(
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
        models_root: Annotated[
            Path | None,
            typer.Option(
                help="Folder of artifacts [$SLUICE_MODELS; the one that came with Sluice].",
                show_default=False,
            ),
        ] = None,
    ) -> None:
        """Start the HTTP service; an interrupt stops it."""
        from .settings import load_settings

        settings = load_settings(host=host, port=port, models_root=models_root)
        from .server import run

        run(settings)
