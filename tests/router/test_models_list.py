"""`sluice models list` and the reading of a models folder."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from router.cli import COMMAND_GROUP, run
from router.errors import ArtifactDamagedError, ArtifactMissingError
from router.versions import find_models_root, list_versions

COMMANDS = [EntryPoint(name="models", value="router.commands:register_models", group=COMMAND_GROUP)]


def write_version(root: Path, name: str, created: str | None = "2026-01-02T03:04:05Z") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "router.onnx").write_bytes(b"\0" * 1000)
    (folder / "manifest.json").write_text(json.dumps({"version": name, "created": created}))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_version(tmp_path, "v1")
    write_version(tmp_path, "v2", created=None)
    (tmp_path / "notes").mkdir()
    (tmp_path / "CURRENT").write_text("v2\n")
    return tmp_path


def test_versions_are_listed_with_the_current_one_marked(root: Path) -> None:
    first, second = list_versions(root)
    assert (first.version, first.is_current, first.created) == ("v1", False, "2026-01-02T03:04:05Z")
    assert (second.version, second.is_current, second.created) == ("v2", True, None)
    assert first.size_bytes == 1000 + (first.path / "manifest.json").stat().st_size


def test_the_json_listing_is_complete(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--models-root", str(root), "--json"], COMMANDS) == 0
    listing = json.loads(capsys.readouterr().out)
    assert listing["root"] == str(root)
    assert listing["current"] == "v2"
    assert [entry["version"] for entry in listing["versions"]] == ["v1", "v2"]
    assert [entry["current"] for entry in listing["versions"]] == [False, True]


def test_the_table_shows_versions_and_sizes(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_MODELS", str(root))
    assert run(["models", "list"], COMMANDS) == 0
    table = capsys.readouterr().out
    assert "v1" in table
    assert "0.0 MB" in table
    assert "*" in next(line for line in table.splitlines() if "v2" in line)


def test_an_empty_folder_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--models-root", str(tmp_path)], COMMANDS) == 0
    assert "no artifact in" in capsys.readouterr().err


def test_a_missing_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--models-root", str(tmp_path / "gone")], COMMANDS) == 1
    assert "gone" in capsys.readouterr().err


def test_a_pointer_to_nowhere_is_refused(root: Path) -> None:
    (root / "CURRENT").write_text("v3")
    with pytest.raises(ArtifactDamagedError, match="names 'v3'"):
        list_versions(root)


@pytest.mark.parametrize("content", ["{", "[]", '{"version": "v9"}', "\udcff"])
def test_a_damaged_manifest_is_named(root: Path, content: str) -> None:
    (root / "v1" / "manifest.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ArtifactDamagedError, match=r"v1.manifest\.json"):
        list_versions(root)


def test_the_folder_asked_for_wins_over_the_environment(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert find_models_root(other, environ={"SLUICE_MODELS": str(root)}) == other
    assert find_models_root(environ={"SLUICE_MODELS": str(root)}) == root


def test_a_wrong_environment_variable_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissingError, match="SLUICE_MODELS"):
        find_models_root(environ={"SLUICE_MODELS": str(tmp_path / "gone")})


def test_without_anything_said_the_shipped_models_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "router"
    package.mkdir()
    monkeypatch.setattr("router.versions._PACKAGE", package)
    with pytest.raises(ArtifactMissingError, match="no models folder"):
        find_models_root(environ={})
    (tmp_path / "models").mkdir()  # beside the package, but in no checkout
    with pytest.raises(ArtifactMissingError):
        find_models_root(environ={})
    (tmp_path / "pyproject.toml").touch()
    assert find_models_root(environ={}) == tmp_path / "models"
    (package / "_models").mkdir()  # an installed wheel
    assert find_models_root(environ={}) == package / "_models"
