"""Artifacts load when whole and are refused, with the reason, when not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from router.artifact import FORMAT_VERSION, Artifact, load_artifact
from router.errors import ArtifactDamagedError, ArtifactForeignError, ArtifactMissingError
from tests.tiny_predictor import CREATED, tiny_fitted, write_tiny
from training.export_artifact import name_version, write_artifact
from training.export_predictor import pack_arrays, predictor_files


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_tiny(root)
    return root


@pytest.fixture
def models(whole: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "models"))


def folder_of(models: Path) -> Path:
    return models / (models / "CURRENT").read_text().strip()


def edit_manifest(models: Path, **changes: object) -> None:
    path = folder_of(models) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_current_version_loads_and_runs(whole: Path) -> None:
    artifact = load_artifact(whole)
    assert artifact.version == folder_of(whole).name
    assert artifact.manifest["created"] == CREATED
    assert artifact.session("predictor") is artifact.session("predictor")
    assert artifact.read_json("abilities.json")["abilities"]


def test_a_version_is_loaded_by_name_and_an_unknown_one_is_missing(whole: Path) -> None:
    name = folder_of(whole).name
    assert load_artifact(whole, name).version == name
    with pytest.raises(ArtifactMissingError, match=r"no artifact '2020\.01-none'"):
        load_artifact(whole, "2020.01-none")


def test_without_current_nothing_is_guessed(models: Path) -> None:
    (models / "CURRENT").unlink()
    with pytest.raises(ArtifactMissingError, match="no CURRENT"):
        load_artifact(models)


@pytest.mark.parametrize("name", ["predictor.onnx", "abilities.json", "golden.npz"])
def test_a_changed_byte_is_refused_and_names_the_file(models: Path, name: str) -> None:
    path = folder_of(models) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ArtifactDamagedError, match=name):
        load_artifact(models)


def test_a_cut_file_is_refused_even_unverified(models: Path) -> None:
    path = folder_of(models) / "predictor.onnx"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ArtifactDamagedError, match="bytes"):
        load_artifact(models, verify=False)


def test_a_missing_file_is_refused(models: Path) -> None:
    (folder_of(models) / "tokenizer.json").unlink()
    with pytest.raises(ArtifactDamagedError, match="not there"):
        load_artifact(models)


def test_another_programs_folder_is_foreign(models: Path) -> None:
    edit_manifest(models, format="safetensors")
    with pytest.raises(ArtifactForeignError, match="'safetensors'"):
        load_artifact(models)


def test_a_later_format_is_foreign(models: Path) -> None:
    edit_manifest(models, format_version=FORMAT_VERSION + 1)
    with pytest.raises(ArtifactForeignError, match=f"format version {FORMAT_VERSION + 1}"):
        load_artifact(models)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b""])
def test_a_manifest_that_is_no_manifest_is_refused(models: Path, content: bytes) -> None:
    (folder_of(models) / "manifest.json").write_bytes(content)
    with pytest.raises((ArtifactDamagedError, ArtifactForeignError), match=r"manifest\.json"):
        load_artifact(models)


def test_golden_inputs_that_come_out_differently_are_refused(tmp_path: Path) -> None:
    files = predictor_files(tiny_fitted(), {})
    other = predictor_files(tiny_fitted(seed=1), {})
    version = write_artifact(tmp_path, {**files, "golden.npz": other["golden.npz"]}, {}, CREATED)
    with pytest.raises(ArtifactDamagedError, match="golden"):
        load_artifact(tmp_path, version)


def test_a_graph_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    files = {**predictor_files(tiny_fitted(), {}), "predictor.onnx": b"not a graph"}
    version = write_artifact(tmp_path, files, {}, CREATED)
    with pytest.raises(ArtifactDamagedError, match="onnxruntime"):
        load_artifact(tmp_path, version)


def test_the_same_content_has_the_same_name_and_bytes(tmp_path: Path) -> None:
    first, second = (predictor_files(tiny_fitted(), {}) for _ in range(2))
    assert first == second
    assert name_version(first, CREATED) == name_version(second, CREATED)
    assert name_version({**first, "x": b"1"}, CREATED) != name_version(first, CREATED)
    a, b = (write_artifact(tmp_path / part, first, {}, CREATED) for part in "ab")
    assert a == b
    manifests = [(tmp_path / part / a / "manifest.json").read_bytes() for part in "ab"]
    assert manifests[0] == manifests[1]


def test_packed_arrays_read_back_and_hold_no_clock(tmp_path: Path) -> None:
    arrays = {"b": np.arange(3), "a": np.array(["é", ""])}
    assert pack_arrays(arrays) == pack_arrays(dict(reversed(arrays.items())))
    (tmp_path / "x.npz").write_bytes(pack_arrays(arrays))
    manifest = {"files": {"x.npz": {}}}
    found = Artifact(version="v", root=tmp_path, manifest=manifest).read_arrays("x.npz")
    assert found["a"].tolist() == ["é", ""]
    assert found["b"].tolist() == [0, 1, 2]


def test_a_file_that_the_manifest_does_not_list_is_missing(whole: Path) -> None:
    with pytest.raises(ArtifactMissingError, match="validator_single"):
        load_artifact(whole).session("validator_single")
