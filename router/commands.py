"""The commands of the `router` package: `sluice route`, `sluice validate`, `sluice models`.

Heavy imports (numpy, onnxruntime) stay inside the functions, so that `sluice --help` is quick.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import InputError
from .versions import ModelVersion, find_models_root, list_versions

if TYPE_CHECKING:
    from .engine import RouteResult
    from .types import Verdict

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
        from .engine import Engine, describe_route
        from .types import Query

        query = Query.from_prompt(_read_prompt(prompt))
        engine = Engine.load(models_root)
        start = time.perf_counter()
        result = engine.route(query, models=_distinct(model), target_quality=target_quality)
        latency_ms = (time.perf_counter() - start) * 1000
        if as_json:
            _print_json(describe_route(result, latency_ms=latency_ms))
        else:
            _print_route(result)


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
        from .engine import Engine, describe_verdict
        from .text import clean
        from .types import Draft, Query

        query = Query.from_prompt(_read_prompt(prompt))
        judged = Draft(text=clean(draft), model=model)
        peers = [Draft(text=clean(text)) for text in peer or ()]
        engine = Engine.load(models_root)
        start = time.perf_counter()
        verdict = engine.validate(query, judged, peers=peers)
        latency_ms = (time.perf_counter() - start) * 1000
        if as_json:
            _print_json(describe_verdict(verdict, artifact=engine.version, latency_ms=latency_ms))
        else:
            _print_verdict(verdict)


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
            _print_json(_as_json(root, versions))
        elif versions:
            _print_table(versions)
        else:
            typer.echo(f"no artifact in {root}", err=True)


def _read_prompt(argument: str) -> str:
    """The prompt that an argument stands for; raises InputError when there is nothing to route."""
    from .text import clean

    if argument == "-":
        try:
            argument = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as exc:
            message = f"standard input is not UTF-8 text (byte {exc.start})"
            raise InputError(message, param="prompt") from exc
    if not argument.strip():
        raise InputError("the prompt is empty", param="prompt")
    return clean(argument)  # an argument that is not UTF-8 comes with lone surrogates


def _distinct(models: list[str] | None) -> list[str] | None:
    """The models named, None when none were; raises InputError on an empty or repeated name."""
    from .text import clean

    if not models:
        return None
    for index, name in enumerate(models):
        if not name.strip() or name in models[:index]:
            fault = "named twice" if name.strip() else "an empty name"
            raise InputError(f"--model {name!r} is {fault}", param="model")
    return [clean(name) for name in models]


def _print_json(content: dict[str, object]) -> None:
    typer.echo(json.dumps(content, indent=2))


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


def _print_route(result: RouteResult) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    prediction, plan = result.prediction, result.plan
    console = Console(highlight=False, markup=False)
    console.print(f"domain    {prediction.domain} ({prediction.domain_confidence:.0%})")
    console.print(f"plan      {plan.action}: {' -> '.join(plan.models)}")
    known = math.isfinite(plan.expected_cost_usd)
    cost = f"${plan.expected_cost_usd:.6f}" if known else "cost unknown"
    console.print(f"expected  quality {plan.expected_quality:.1%}, {cost}")
    table = Table("model")
    table.add_column("p(success)", justify="right")
    table.add_column("tokens", justify="right")
    ranked = sorted(prediction.p_success.items(), key=lambda item: -item[1])
    for name, p in ranked:
        table.add_row(Text(name), f"{p:.3f}", f"{prediction.output_tokens[name]:.0f}")
    console.print(table)
    console.print(f"artifact  {prediction.artifact}")


def _print_verdict(verdict: Verdict) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False)
    word = "accept" if verdict.accept else "reject"
    console.print(f"{word}: p {verdict.p_acceptable:.3f}, threshold {verdict.threshold:.3f}")
    table = Table("check", "passed", "value", "detail")
    for check in verdict.checks:
        passed = "-" if check.passed is None else "yes" if check.passed else "NO"
        value = "" if check.value is None else f"{check.value:.3g}"
        table.add_row(check.name, passed, value, Text(check.detail))
    console.print(table)


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
