"""An artifact on disk: a versioned folder of ONNX graphs and tables, checked before it is used.

`manifest.json` is written last and lists every other file with its SHA-256 and size. Loading
compares them, then replays `golden.npz`: arrays named "<graph>.in.<input>" are fed to
<graph>.onnx and its outputs compared with "<graph>.out.<output>", so that a runtime that computes
something else is refused as well. `predictor` replays the golden texts themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .errors import ArtifactDamagedError, ArtifactForeignError, ArtifactMissingError
from .versions import find_models_root, read_current

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "GOLDEN_TOLERANCE",
    "Artifact",
    "bind_arrays",
    "load_artifact",
]

FORMAT: Final = "sluice-artifact"
FORMAT_VERSION: Final = 2
GOLDEN_TOLERANCE: Final = 1e-3
_REPAIR: Final = "restore the folder, promote another version or export the artifact again"

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One opened version. `root` is its own folder; `manifest` is manifest.json as read."""

    version: str
    root: Path
    manifest: Mapping[str, Any] = field(repr=False)
    _sessions: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def path(self, name: str) -> Path:
        """Where a file of the artifact lies; raises ArtifactMissingError if it has none such."""
        if name not in self.manifest["files"]:
            raise ArtifactMissingError(f"artifact {self.version} has no {name}; {_REPAIR}")
        return self.root / name

    def read_json(self, name: str) -> Any:
        """The content of a JSON file of the artifact; raises ArtifactDamagedError if it is none."""
        path = self.path(name)
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError) as exc:
            raise ArtifactDamagedError(f"{path} cannot be read ({exc}); {_REPAIR}") from exc

    def read_arrays(self, name: str) -> Arrays:
        """The arrays of an .npz file of the artifact, by name; no pickles."""
        path = self.path(name)
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files}
        except (OSError, ValueError, EOFError) as exc:
            raise ArtifactDamagedError(f"{path} cannot be read ({exc}); {_REPAIR}") from exc

    def session(self, name: str) -> Any:
        """The onnxruntime.InferenceSession of `name`.onnx: one thread, made once, then shared.

        Raises ArtifactDamagedError when the runtime refuses the graph.
        """
        found = self._sessions.get(name)
        if found is None:
            # Two threads may both make one; setdefault keeps the first for everybody.
            found = self._sessions.setdefault(name, _open_session(self.path(f"{name}.onnx")))
        return found


def load_artifact(
    root: Path | None = None, version: str | None = None, *, verify: bool = True
) -> Artifact:
    """Open the artifact `version` under the models root (by default the one CURRENT names).

    With `verify`, hashes and golden inputs are checked, which takes some tenths of a second.
    Raises ArtifactMissingError, ArtifactForeignError or ArtifactDamagedError.
    """
    models = find_models_root(root)
    version = version or _current(models)
    folder = models / version
    manifest = _read_manifest(folder, version)
    artifact = Artifact(version=version, root=folder, manifest=manifest)
    for name, entry in manifest["files"].items():
        _check_file(folder / name, entry, hashed=verify)
    if verify:
        _replay(artifact)
    return artifact


def bind_arrays(session: Any, *, inputs: Arrays, outputs: Arrays) -> Any:
    """A binding for `session.run_with_iobinding` that reads and writes these arrays, by name.

    An ordinary run checks every input and makes an array of every output, which is a sixth of the
    time that graphs as small as these take. The arrays must outlive the binding, and belong to one
    thread.
    """
    import onnxruntime as ort  # as below

    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
    for name, array in outputs.items():
        binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(array))
    return binding


def _current(models: Path) -> str:
    version = read_current(models)
    if not version:
        raise ArtifactMissingError(
            f"{models} has no CURRENT that names a version; promote one ('sluice models promote') "
            "or train an artifact ('sluice train')"
        )
    return version


def _read_manifest(folder: Path, version: str) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not path.is_file():
        raise ArtifactMissingError(
            f"no artifact {version!r}: {path} is not there; 'sluice models list' names those "
            "that are"
        )
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise ArtifactDamagedError(f"{path} cannot be read ({exc}); {_REPAIR}") from exc
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise ArtifactForeignError(
            f"{path} has format {found!r}, expected {FORMAT!r}: another program wrote it; name a "
            "folder that Sluice exported"
        )
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ArtifactForeignError(
            f"{path} has format version {manifest.get('format_version')!r}, this Sluice reads "
            f"{FORMAT_VERSION}; export it again with this version or install the one that wrote it"
        )
    if manifest.get("version") != version or not isinstance(manifest.get("files"), dict):
        raise ArtifactDamagedError(
            f"{path} should list the files of version {version!r}; it names "
            f"{manifest.get('version')!r}; {_REPAIR}"
        )
    return manifest


def _check_file(path: Path, entry: Mapping[str, Any], *, hashed: bool) -> None:
    if not path.is_file():
        raise ArtifactDamagedError(f"{path} is listed in the manifest but not there; {_REPAIR}")
    size = path.stat().st_size
    if size != entry.get("bytes"):
        raise ArtifactDamagedError(
            f"{path} has {size} bytes, the manifest says {entry.get('bytes')}; {_REPAIR}"
        )
    if hashed:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != entry.get("sha256"):
            raise ArtifactDamagedError(
                f"{path} has SHA-256 {digest[:12]}..., the manifest says "
                f"{str(entry.get('sha256'))[:12]}...; {_REPAIR}"
            )


def _open_session(path: Path) -> Any:
    import onnxruntime as ort  # here, because it takes longer to import than all of router

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(
            path.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as exc:  # the runtime's errors share no base class
        raise ArtifactDamagedError(
            f"{path} is refused by onnxruntime ({type(exc).__name__}); {_REPAIR}"
        ) from exc


def _replay(artifact: Artifact) -> None:
    """Run every graph that golden.npz knows on its golden inputs and compare."""
    golden = artifact.read_arrays("golden.npz")
    for graph in sorted({key.partition(".in.")[0] for key in golden if ".in." in key}):
        feeds = _named(golden, f"{graph}.in.")
        wanted = _named(golden, f"{graph}.out.")
        try:
            found = artifact.session(graph).run(list(wanted), feeds)
        except ArtifactDamagedError:
            raise
        except Exception as exc:  # as above
            raise ArtifactDamagedError(
                f"{graph}.onnx of {artifact.root} cannot run its golden inputs "
                f"({type(exc).__name__}); {_REPAIR}"
            ) from exc
        for (name, expected), output in zip(wanted.items(), found, strict=True):
            if output.shape != expected.shape or not np.allclose(
                output, expected, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE
            ):
                raise ArtifactDamagedError(
                    f"{graph}.onnx of {artifact.root} gives another {name!r} on its golden inputs "
                    f"than golden.npz holds; {_REPAIR}"
                )


def _named(arrays: Arrays, prefix: str) -> Arrays:
    return {
        key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)
    }
