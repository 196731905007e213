"""The repository as a whole: it works anywhere, and its front page keeps its promises."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from router.extras import DISTRIBUTION, EXTRA_MODULES

ROOT = Path(__file__).resolve().parent.parent

# Paths of one person's machine. Written in pieces, so that this file does not mention them.
MACHINE_PATHS = re.compile(
    "|".join((r"(?<![\w.-])/" + "work/", r"\.\./" + "shared", "/" + "root/"))
)


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Tracked files and those about to be; without git (an sdist), every file not hidden."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        names = [name for name in os.fsdecode(listing.stdout).split("\0") if name]
        return tuple(path for name in names if (path := ROOT / name).is_file())
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not any(part[0] == "." for part in path.relative_to(ROOT).parts)
    )


def _project() -> dict[str, Any]:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project: dict[str, Any] = content["project"]
    return project


def test_no_file_mentions_a_path_of_one_machine() -> None:
    found = []
    for path in project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # binary
        found += [f"{path.relative_to(ROOT)}: {match}" for match in MACHINE_PATHS.findall(text)]
    assert not found


def test_the_readme_says_how_to_run_and_to_test() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make run" in readme
    assert "make test" in readme


def test_the_readme_tree_names_every_top_level_entry() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    entries = {path.relative_to(ROOT).parts[0] for path in project_files()}
    ignored = {".gitattributes", ".gitignore", "README.md"}
    assert not {entry for entry in entries - ignored if entry not in readme}


def test_ci_runs_the_tests_and_can_be_executed() -> None:
    script = ROOT / ".ci" / "run"
    assert re.search(r"^make test$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert os.access(script, os.X_OK)


def test_the_distribution_is_what_the_code_says_it_is() -> None:
    project = _project()
    assert project["name"] == DISTRIBUTION
    extras = project["optional-dependencies"]
    assert set(extras) - {"dev"} == set(EXTRA_MODULES)
    assert _modules(extras["train"]) == set(EXTRA_MODULES["train"])


def test_the_base_install_names_nothing_that_trains() -> None:
    assert not _modules(_project()["dependencies"]) & set(EXTRA_MODULES["train"])


def _modules(requirements: list[str]) -> set[str]:
    """The modules that requirement lines bring ("scikit-learn>=1.5" -> "sklearn")."""
    names = {re.split(r"[<>=\[;]", line)[0].replace("-", "_") for line in requirements}
    return {"sklearn" if name == "scikit_learn" else name for name in names}


def test_every_command_that_is_registered_can_be_loaded() -> None:
    commands = _project()["entry-points"]["sluice.commands"]
    for name, value in commands.items():
        command = EntryPoint(name=name, value=value, group="sluice.commands")
        assert callable(command.load()), f"{name} = {value}"
