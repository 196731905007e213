"""Writes an artifact folder, all or nothing, with its manifest last."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from router.artifact import FORMAT, FORMAT_VERSION
from router.errors import UsageError

__all__ = ["name_version", "promote_version", "write_artifact"]

_UNLISTED: Final = frozenset({"MODEL_CARD.md"})  # for people; may be amended after the export


def name_version(files: Mapping[str, bytes], created: str) -> str:
    """ "<year>.<month>-<8 hex>" of what the files hold: the same content, the same name."""
    digest = hashlib.sha256()
    for name in sorted(set(files) - _UNLISTED):
        digest.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return f"{created[:4]}.{created[5:7]}-{digest.hexdigest()[:8]}"


def write_artifact(
    models_root: Path, files: Mapping[str, bytes], metrics: Mapping[str, Any], created: str
) -> str:
    """Write `files` as a version of its own under `models_root`; returns the version's name.

    `created` is ISO 8601 and given by the caller, so that two runs can be identical. The folder
    appears in one rename; a version of that name that is there already is replaced.
    """
    if len(created) < 10 or created[4] != "-" or created[7] != "-":
        raise UsageError(f"created is {created!r}, expected an ISO 8601 date", param="created")
    version = name_version(files, created)
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": version,
        "created": created,
        "files": {
            name: {"sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
            for name in sorted(set(files) - _UNLISTED)
        },
        "metrics": metrics,
    }
    models_root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".export-", dir=models_root))
    try:
        for name in sorted(files):
            (folder / name).write_bytes(files[name])
        text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
        (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
        folder.chmod(0o755)  # mkdtemp makes it private
        target = models_root / version
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return version


def promote_version(models_root: Path, version: str) -> None:
    """Make `version` the one that CURRENT names, in one step."""
    if not (models_root / version / "manifest.json").is_file():
        raise UsageError(f"{models_root} has no version {version!r} to promote", param="version")
    pending = models_root / ".CURRENT.new"
    pending.write_text(f"{version}\n", encoding="utf-8")
    pending.replace(models_root / "CURRENT")
