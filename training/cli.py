"""The commands of the `training` package: `sluice train`, `sluice evaluate`, `sluice calibrate`.

This module is imported by `sluice --help`, so it imports nothing heavy: torch and its company
come in inside the functions. Without the extra, registering is refused with what to install.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router.extras import require_extra

__all__ = ["register_calibrate", "register_evaluate", "register_train"]

_Data = Annotated[
    list[Path],
    typer.Argument(
        help="Outcome files (Parquet, JSONL), or folders of them.", exists=True, show_default=False
    ),
]
_Artifact = Annotated[
    str | None,
    typer.Option(help="Version to use; default: the one CURRENT names.", show_default=False),
]
_ModelsRoot = Annotated[Path, typer.Option("--models-root", help="Folder of artifacts.")]
_Report = Annotated[Path, typer.Option(help="Folder the report is written to.")]
_Seed = Annotated[int, typer.Option(help="Seed of every random choice.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]

_MODELS_ROOT = Path("models")
_REPORTS = Path("reports")


def register_train(app: typer.Typer) -> None:
    """Add `sluice train`; UsageError if the extra is missing."""
    require_extra("sluice train", "train")

    @app.command()
    def train(
        data: _Data,
        models_root: _ModelsRoot = _MODELS_ROOT,
        work: Annotated[
            Path, typer.Option(help="Folder for checkpoints, from which a run resumes.")
        ] = Path(".sluice/train"),
        resume: Annotated[
            bool, typer.Option(help="Go on from the checkpoints of an interrupted run.")
        ] = True,
        teacher: Annotated[
            str | None,
            typer.Option(
                help="sentence-transformers name or path; default: the one the extra carries.",
                show_default=False,
            ),
        ] = None,
        created: Annotated[
            str | None,
            typer.Option(
                help="ISO 8601 date to write into the manifest; fixed by default, so that two "
                "runs are identical.",
                show_default=False,
            ),
        ] = None,
        seed: _Seed = 0,
        as_json: _Json = False,
    ) -> None:
        """Train an artifact from recorded outcomes and write it under the models folder."""
        from .train import run

        run(
            data=data,
            created=created,
            models_root=models_root,
            work=work,
            resume=resume,
            teacher=teacher,
            seed=seed,
            as_json=as_json,
        )


def register_evaluate(app: typer.Typer) -> None:
    """Add `sluice evaluate`; UsageError if the extra is missing."""
    require_extra("sluice evaluate", "train")

    @app.command()
    def evaluate(
        data: _Data,
        artifact: _Artifact = None,
        models_root: _ModelsRoot = _MODELS_ROOT,
        report: _Report = _REPORTS / "evaluate",
        work: Annotated[
            Path | None,
            typer.Option(
                help="What `sluice train` left here judges, out of fold; default: .sluice/train "
                "where that is and no --artifact or --chain is given, else the artifact judges.",
                show_default=False,
            ),
        ] = None,
        chain: Annotated[
            str | None,
            typer.Option(
                help="Models to route between, drafters first: a,b,c. Default: found in the data.",
                show_default=False,
            ),
        ] = None,
        source: Annotated[
            list[str] | None,
            typer.Option(help="Only outcomes of this source (repeatable).", show_default=False),
        ] = None,
        quick: Annotated[
            bool, typer.Option("--quick", help="Fewer splits and samples; for a first look.")
        ] = False,
        write_card: Annotated[
            bool,
            typer.Option("--write-card", help="Put the figures into the artifact's MODEL_CARD.md."),
        ] = False,
        seed: _Seed = 0,
        as_json: _Json = False,
    ) -> None:
        """Replay recorded outcomes through the cascade and report quality and cost."""
        from .evaluate import run

        run(
            data=data,
            artifact=artifact,
            models_root=models_root,
            report=report,
            work=work,
            chain=chain.split(",") if chain else (),
            sources=source or (),
            quick=quick,
            write_card=write_card,
            seed=seed,
            as_json=as_json,
        )


def register_calibrate(app: typer.Typer) -> None:
    """Add `sluice calibrate`; UsageError if the extra is missing."""
    require_extra("sluice calibrate", "train")

    @app.command()
    def calibrate(
        data: _Data,
        chain: Annotated[
            str,
            typer.Option(help="Models, drafters first, verifier last: a,b,c.", show_default=False),
        ],
        target_quality: Annotated[
            float, typer.Option(min=0.0, max=1.0, help="Retention to keep.")
        ] = 0.98,
        delta: Annotated[
            float, typer.Option(min=0.0, max=1.0, help="Accepted risk of falling below it.")
        ] = 0.05,
        source: Annotated[
            list[str] | None,
            typer.Option(help="Only outcomes of this source (repeatable).", show_default=False),
        ] = None,
        artifact: _Artifact = None,
        models_root: _ModelsRoot = _MODELS_ROOT,
        report: _Report = _REPORTS / "calibrate",
        seed: _Seed = 0,
        as_json: _Json = False,
    ) -> None:
        """Choose thresholds whose lower confidence bound on retention meets the target."""
        from .calibrate import run

        run(
            data=data,
            chain=chain.split(","),
            sources=source or (),
            target_quality=target_quality,
            delta=delta,
            artifact=artifact,
            models_root=models_root,
            report=report,
            seed=seed,
            as_json=as_json,
        )
