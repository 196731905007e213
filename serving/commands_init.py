"""`sluice init`. Light at import: everything heavy is imported when the command runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.errors import SluiceError, UsageError

if TYPE_CHECKING:
    from .config.discovery import Discovery

__all__ = ["register"]

_SUFFIXES = (".yaml", ".yml")


def register(app: typer.Typer) -> None:
    """Add `sluice init`."""

    @app.command()
    def init(
        path: Annotated[Path, typer.Option(help="The file to write.")] = Path("sluice.yaml"),
        force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        """Write a gateway's configuration from the provider keys and local servers that are there.

        Keys are read from the environment and never written: the file refers to their variables.
        """
        if path.suffix.lower() not in _SUFFIXES:
            raise UsageError(f"--path: a configuration's name ends in {' or '.join(_SUFFIXES)}")
        _refuse_overwriting(path, force)
        from .config.discovery import discover
        from .config.sample import render_sample

        found = discover(os.environ)
        _write(path, render_sample(found), force)
        if as_json:
            typer.echo(json.dumps(_described(path, found), indent=2))
        else:
            _tell(path, found)


def _refuse_overwriting(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise UsageError(f"{path} is there already; --force overwrites it")


def _write(path: Path, text: str, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        _refuse_overwriting(path, force)
        raise
    except OSError as exc:
        raise SluiceError(f"cannot write {path}: {exc.strerror or exc}") from exc


def _next_commands(path: Path) -> list[str]:
    option = "" if path == Path("sluice.yaml") else f" --config {path}"
    return [f"sluice serve --check{option}", f"sluice serve{option}"]


def _described(path: Path, found: Discovery) -> dict[str, Any]:
    return {
        "path": str(path),
        "keys": dict(found.keys),
        "local_models": [
            {
                "name": model.name,
                "provider": model.provider,
                "billions": model.billions,
                "embeds": model.embeds,
            }
            for model in found.local
        ],
        "models": [model.name for model in found.models],
        "cascades": {name: list(cascade.models) for name, cascade in found.cascades.items()},
        "embeddings": [model.name for model in found.embeddings],
        "notes": list(found.notes),
        "next": _next_commands(path),
    }


def _tell(path: Path, found: Discovery) -> None:
    for provider, variable in found.keys.items():
        typer.echo(f"found {variable}, a key for {provider}")
    for provider in dict.fromkeys(model.provider for model in found.local):
        names = [model.name for model in found.local if model.provider == provider]
        typer.echo(f"found {provider} with {', '.join(names)}")
    for note in found.notes:
        typer.echo(f"not found: {note}")
    for name, cascade in found.cascades.items():
        typer.echo(f"{name}: {' -> '.join(cascade.models)}")
    if not found.models:
        typer.echo(
            "found no provider's key and no local server; the file says what to set, and without "
            "models /v1/route and /v1/validate are served all the same"
        )
    typer.echo(f"wrote {path}. Next:")
    for command in _next_commands(path):
        typer.echo(f"  {command}")
