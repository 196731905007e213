"""`sluice init`: writes once, tells what it found, and never writes a key."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from router.cli import run
from serving.config import load_gateway_config
from serving.config.starting_models import STARTING_MODELS
from tests.serving.config.local_servers import nobody, ollama, ollama_entry

COMMAND = EntryPoint(name="init", value="serving.commands_init:register", group="sluice.commands")
SECRET = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no local server but those that a test sets."""
    for provider in STARTING_MODELS:
        monkeypatch.delenv(f"{provider.upper()}_API_KEY", raising=False)
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    for name, value in nobody().items():
        monkeypatch.setenv(name, value)


def init(*arguments: str) -> int:
    return run(["init", *arguments], [COMMAND])


def test_it_writes_what_it_found_and_says_what_comes_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with ollama(ollama_entry("llama3.2:3b", "3.2B")) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.origin)
        assert init() == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "found OPENAI_API_KEY, a key for openai",
        "found ollama with llama3.2:3b",
        "not found: VLLM_BASE_URL: nothing answers at http://127.0.0.1:1",
        "auto: llama3.2:3b -> gpt-6-luna -> gpt-6.1-terra",
        "local: llama3.2:3b",
        "wrote sluice.yaml. Next:",
        "  sluice serve --check",
        "  sluice serve",
    ]
    text = (folder / "sluice.yaml").read_text()
    assert SECRET not in text + out
    assert "api_key: ${OPENAI_API_KEY}" in text
    config = load_gateway_config(environ={"OPENAI_API_KEY": SECRET})
    assert config.auto_cascade == "auto"


def test_it_does_not_overwrite_unless_told_to(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "sluice.yaml"
    path.write_text("mine")
    assert init() == 2
    assert "sluice.yaml is there already; --force overwrites it" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert init("--force") == 0
    assert path.read_text().startswith("# Sluice's gateway.")


def test_with_nothing_found_the_file_says_what_to_set(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init("--path", "etc.yml") == 0
    assert "found no provider's key and no local server" in capsys.readouterr().out
    assert "Set a key such as" in (folder / "etc.yml").read_text()
    assert load_gateway_config("etc.yml", environ={}).models == ()


def test_json_is_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", SECRET)
    assert init("--json", "--path", "a/../b.yaml") == 1  # there is no folder a
    assert init("--json", "--path", "b.yaml") == 0
    out = capsys.readouterr().out
    assert SECRET not in out
    told = json.loads(out)
    assert told["keys"] == {"groq": "GROQ_API_KEY"}
    assert told["cascades"] == {"auto": ["openai/gpt-oss-20b", "openai/gpt-oss-120b"]}
    assert told["next"][0] == "sluice serve --check --config b.yaml"
    assert len(told["notes"]) == 2


def test_a_file_that_could_not_be_loaded_is_not_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init("--path", "sluice.toml") == 2
    assert "--path: a configuration's name ends in .yaml or .yml" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
