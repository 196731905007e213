"""Where model artifacts lie, and which versions are there.

A models root is a folder with one sub-folder a version, each with a manifest.json, and a file
CURRENT that holds the name of the version in use. This module reads names, dates and sizes for
listings; `artifact` opens, checks and loads one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ArtifactDamagedError, ArtifactMissingError

__all__ = ["ModelVersion", "find_models_root", "list_versions", "read_current"]

_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One artifact on disk, as its manifest and its files tell."""

    version: str
    path: Path
    created: str | None  # ISO 8601, as written by the export; None if the manifest has none
    size_bytes: int  # of every file in the folder
    is_current: bool


def find_models_root(
    explicit: Path | None = None, *, environ: Mapping[str, str] | None = None
) -> Path:
    """The models root: `explicit`, else $SLUICE_MODELS, else what came with this copy of Sluice.

    An installed wheel carries it inside the package (router/_models), a checkout has it beside
    the package (models/). Raises ArtifactMissingError naming every place that was looked at.
    """
    environ = os.environ if environ is None else environ
    if explicit is not None:
        return _existing(explicit, "the models folder asked for")
    if named := environ.get("SLUICE_MODELS"):
        return _existing(Path(named), "the models folder named by SLUICE_MODELS")
    carried = _PACKAGE / "_models"
    if carried.is_dir():
        return carried
    beside = _PACKAGE.parent / "models"
    # site-packages/models could be anybody's: only a checkout's counts.
    if beside.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return beside
    raise ArtifactMissingError(
        f"no models folder: neither {carried} nor {beside} is there; train an artifact, or set "
        "SLUICE_MODELS to a folder that holds CURRENT and a version"
    )


def read_current(root: Path) -> str | None:
    """The version that `root`/CURRENT names, or None without a CURRENT."""
    pointer = root / "CURRENT"
    if not pointer.is_file():
        return None
    return pointer.read_text(encoding="utf-8").strip()


def list_versions(root: Path) -> tuple[ModelVersion, ...]:
    """Every version under `root`, by name; folders without a manifest.json are not versions.

    Raises ArtifactDamagedError when a manifest cannot be read, or when CURRENT names a version
    that is not there.
    """
    current = read_current(root)
    versions = tuple(
        _read_version(manifest, current) for manifest in sorted(root.glob("*/manifest.json"))
    )
    if current is not None and not any(version.is_current for version in versions):
        raise ArtifactDamagedError(
            f"{root / 'CURRENT'} names {current!r}, which is not a version in {root}; "
            "promote one that is there"
        )
    return versions


def _read_version(manifest: Path, current: str | None) -> ModelVersion:
    folder = manifest.parent
    try:
        content = json.loads(manifest.read_bytes())
    except ValueError as exc:
        raise ArtifactDamagedError(
            f"{manifest} is not JSON ({exc}); restore it or export the artifact again"
        ) from exc
    if not isinstance(content, dict) or content.get("version") != folder.name:
        raise ArtifactDamagedError(
            f'{manifest} should be an object whose "version" is {folder.name!r}, its folder\'s '
            "name; restore it or export the artifact again"
        )
    created = content.get("created")
    return ModelVersion(
        version=folder.name,
        path=folder,
        created=created if isinstance(created, str) else None,
        size_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        is_current=folder.name == current,
    )


def _existing(folder: Path, what: str) -> Path:
    if not folder.is_dir():
        raise ArtifactMissingError(f"{what}, {folder}, is not a folder")
    return folder
