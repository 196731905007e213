"""The commands of the `router` package: `sluice route`, `sluice validate`, `sluice models`.

Heavy imports (numpy, onnxruntime) stay inside the functions, so that `sluice --help` is quick.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .versions import ModelVersion, find_models_root, list_versions

__all__ = ["register_models", "register_route", "register_validate"]

_ModelsRoot = Annotated[
    Path | None,
    typer.Option(
        "--models-root",
        help="Folder of artifacts; default: $SLUICE_MODELS, else the one that came with Sluice.",
        show_default=False,
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register_route(app: typer.Typer) -> None:
    """Add `sluice route`."""

    @app.command()
    def route(
        prompt: Annotated[str, typer.Argument(help="The prompt; '-' reads standard input.")],
        model: Annotated[
            list[str] | None,
            typer.Option("--model", "-m", help="A model to choose from; repeat, cheapest first."),
        ] = None,
        target_quality: Annotated[
            float | None,
            typer.Option(min=0.0, max=1.0, help="Share of the verifier's quality to keep."),
        ] = None,
        models_root: _ModelsRoot = None,
        as_json: _Json = False,
    ) -> None:
        """Predict domain and success of each model for a prompt, and plan the cheapest route."""
        raise NotImplementedError("sluice route: body to be written against router.predictor")


def register_validate(app: typer.Typer) -> None:
    """Add `sluice validate`."""

    @app.command()
    def validate(
        prompt: Annotated[str, typer.Argument(help="The prompt; '-' reads standard input.")],
        draft: Annotated[str, typer.Argument(help="The draft to judge.")],
        model: Annotated[
            str | None, typer.Option("--model", "-m", help="The model that wrote the draft.")
        ] = None,
        peer: Annotated[
            list[str] | None,
            typer.Option("--peer", help="Another model's draft of the same prompt; repeat."),
        ] = None,
        models_root: _ModelsRoot = None,
        as_json: _Json = False,
    ) -> None:
        """Judge whether a draft is acceptable, and show the checks behind the verdict."""
        raise NotImplementedError("sluice validate: body to be written against router.validation")


def register_models(app: typer.Typer) -> None:
    """Add the group `sluice models`."""
    models = typer.Typer(name="models", no_args_is_help=True)
    app.add_typer(models)

    # A callback keeps `models` a group while `list` is its only command.
    @models.callback()
    def group() -> None:
        """List the artifacts at hand."""

    @models.command("list")
    def list_models(models_root: _ModelsRoot = None, as_json: _Json = False) -> None:
        """List artifact versions, the one in use marked."""
        root = find_models_root(models_root)
        versions = list_versions(root)
        if as_json:
            typer.echo(json.dumps(_as_json(root, versions), indent=2))
        elif versions:
            _print_table(versions)
        else:
            typer.echo(f"no artifact in {root}", err=True)


def _as_json(root: Path, versions: tuple[ModelVersion, ...]) -> dict[str, object]:
    return {
        "root": str(root),
        "current": next((entry.version for entry in versions if entry.is_current), None),
        "versions": [
            {
                "version": entry.version,
                "current": entry.is_current,
                "created": entry.created,
                "size_bytes": entry.size_bytes,
            }
            for entry in versions
        ],
    }


def _print_table(versions: tuple[ModelVersion, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "version", "created")
    table.add_column("size", justify="right")
    for entry in versions:
        mark = "*" if entry.is_current else ""
        size = f"{entry.size_bytes / 1e6:.1f} MB"
        table.add_row(mark, entry.version, entry.created or "unknown", size)
    Console().print(table)
