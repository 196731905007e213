"""Build hook: the wheel carries the default artifact, so an installed copy works by itself.

models/CURRENT and the one version it names go into the wheel as `router/_models/`; older versions
stay out. Without models/CURRENT (a checkout in which nothing was trained yet) the wheel is built
with no artifact and says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_WHEEL_FOLDER = "router/_models"


class ArtifactBuildHook(BuildHookInterface[Any]):
    """Adds the current artifact to a standard wheel; editable installs read the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        models = Path(self.root, "models")
        pointer = models / "CURRENT"
        if not pointer.is_file():
            self.app.display_warning("models/CURRENT is not there: this wheel carries no artifact")
            return
        name = pointer.read_text(encoding="utf-8").strip()
        folder = models / name
        if not name or folder.parent != models or not (folder / "manifest.json").is_file():
            raise FileNotFoundError(
                f"models/CURRENT names {name!r}, but models/{name}/manifest.json is not there; "
                "train an artifact or point CURRENT at one that exists"
            )
        build_data["force_include"][str(pointer)] = f"{_WHEEL_FOLDER}/CURRENT"
        build_data["force_include"][str(folder)] = f"{_WHEEL_FOLDER}/{name}"
