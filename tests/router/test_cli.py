"""The `sluice` command: exit statuses, one-line errors, missing extras, a light start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from router.cli import COMMAND_GROUP, run
from router.extras import extra_providing, require_extra

ROOT = Path(__file__).resolve().parents[2]

# Commands of a made-up package, written to disk so that real entry points load them.
PLUGIN = """
import os, signal, time
from router.errors import ArtifactMissingError, InputError

def register_hello(app):
    @app.command()
    def hello(name: str, loud: bool = False) -> None:
        print(name.upper() if loud else name)

def register_fail(app):
    @app.command()
    def fail() -> None:
        raise ArtifactMissingError("nothing there\\ntrain one")

def register_misuse(app):
    @app.command()
    def misuse() -> None:
        raise InputError("prompt is empty", param="prompt")

def register_wait(app):
    @app.command()
    def wait() -> None:
        print("waiting", flush=True)
        time.sleep(60)
"""


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=COMMAND_GROUP)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    (tmp_path / "made_up_plugin.py").write_text(PLUGIN)
    (tmp_path / "needs_torch_plugin.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch.nn'\", name='torch.nn')"
    )
    (tmp_path / "needs_other_plugin.py").write_text("import no_such_module_anywhere")
    monkeypatch.syspath_prepend(str(tmp_path))
    commands = [
        entry(name, f"made_up_plugin:register_{name}") for name in ("hello", "fail", "misuse")
    ]
    commands.append(entry("learn", "needs_torch_plugin:register"))
    commands.append(entry("other", "needs_other_plugin:register"))
    return commands


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment in which this checkout counts as installed, whether or not it is.

    The metadata are written from pyproject.toml into a folder that stands first on the path.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = tmp_path / "site"
    info = site / f"sluice_router-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    commands = {**project["entry-points"][COMMAND_GROUP], "wait": "made_up_plugin:register_wait"}
    lines = [f"[{COMMAND_GROUP}]", *(f"{name} = {value}" for name, value in commands.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (site / "made_up_plugin.py").write_text(PLUGIN)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }


def sluice(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "router.cli", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_command_runs_and_leaves_with_zero(
    plugin: list[EntryPoint], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["hello", "you", "--loud"], plugin) == 0
    assert capsys.readouterr().out == "YOU\n"


def test_only_the_command_asked_for_is_loaded(plugin: list[EntryPoint]) -> None:
    sys.modules.pop("needs_torch_plugin", None)
    broken = entry("broken", "no_such_package_at_all:register")
    assert run(["hello", "you"], [*plugin, broken]) == 0
    assert "needs_torch_plugin" not in sys.modules


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["hello"], id="missing argument"),
        pytest.param(["hello", "you", "--nonsense"], id="unknown option"),
        pytest.param(["helo"], id="unknown command"),
        pytest.param(["--nonsense"], id="unknown global option"),
        pytest.param([], id="nothing asked"),
    ],
)
def test_usage_errors_leave_with_two(plugin: list[EntryPoint], arguments: list[str]) -> None:
    assert run(arguments, plugin) == 2


def test_a_sluice_error_is_one_line_and_leaves_with_one(
    plugin: list[EntryPoint], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fail"], plugin) == 1
    assert capsys.readouterr().err == "sluice: nothing there train one\n"


def test_a_caller_s_mistake_found_late_leaves_with_two(
    plugin: list[EntryPoint], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["misuse"], plugin) == 2
    assert capsys.readouterr().err == "sluice: prompt is empty\n"


def test_the_debug_switch_lets_the_traceback_through(
    plugin: list[EntryPoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_DEBUG", "1")
    with pytest.raises(Exception, match="nothing there"):
        run(["fail"], plugin)


def test_a_command_without_its_extra_is_listed(
    plugin: list[EntryPoint], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["--help"], plugin) == 0
    listing = capsys.readouterr().out
    assert "hello" in listing
    assert "learn" in listing
    assert "unavailable" in listing


@pytest.mark.parametrize("arguments", [["learn"], ["learn", "some", "--thing=1"], ["learn", "-h"]])
def test_a_command_without_its_extra_says_what_to_install(
    plugin: list[EntryPoint], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(arguments, plugin) == 2
    assert capsys.readouterr().err == (
        "sluice: sluice learn needs the extra 'train': pip install 'sluice-router[train]'\n"
    )


def test_a_command_that_misses_an_unknown_module_names_it(
    plugin: list[EntryPoint], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["other"], plugin) == 2
    assert "'no_such_module_anywhere' is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["train"], ["train", "folder"], ["train", "--help"]])
def test_training_commands_say_what_to_install(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.extras.find_spec", lambda module: None)
    assert run(arguments, [entry("train", "training.cli:register_train")]) == 2
    assert capsys.readouterr().err == (
        "sluice: sluice train needs the extra 'train': pip install 'sluice-router[train]'\n"
    )


def test_a_feature_whose_extra_is_there_is_not_refused() -> None:
    require_extra("sluice train", "train")


def test_modules_are_traced_to_their_extra() -> None:
    assert extra_providing("torch.nn") == "train"
    assert extra_providing("psycopg") == "postgres"
    assert extra_providing("json") is None


def test_help_lists_every_registered_command(installed: dict[str, str]) -> None:
    done = sluice("--help", env=installed)
    assert done.returncode == 0, done.stderr
    for name in ("calibrate", "evaluate", "models", "route", "serve", "train", "validate"):
        assert name in done.stdout


@pytest.mark.parametrize("name", ["calibrate", "evaluate", "models", "route", "train", "validate"])
def test_every_command_explains_itself(name: str, installed: dict[str, str]) -> None:
    done = sluice(name, "--help", env=installed)
    assert done.returncode == 0, done.stderr
    assert f"sluice {name}" in done.stdout


def test_version_is_the_distribution_s(installed: dict[str, str]) -> None:
    done = sluice("--version", env=installed)
    assert (done.returncode, done.stdout) == (0, "sluice 0.1.0\n")


def test_help_imports_nothing_that_trains(installed: dict[str, str]) -> None:
    program = (
        "import sys; from importlib.metadata import entry_points; from router.cli import run;"
        "run(['--help'], entry_points(group='sluice.commands'));"
        "print([m for m in ('torch', 'sklearn', 'pandas', 'lightgbm', 'sentence_transformers')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=installed, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_interrupt_ends_a_command_quietly(installed: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "router.cli", "wait"],
        env=installed,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As from a terminal, wherever the tests were started.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
