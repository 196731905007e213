"""Settings from the environment and the command line; wrong values are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.errors import UsageError
from serving.settings import load_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "MODELS", "MAX_BODY_BYTES", "MAX_BATCH"):
        monkeypatch.delenv(f"SLUICE_{name}", raising=False)


def test_defaults_are_safe_and_local() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.models_root) == ("127.0.0.1", 8000, None)
    assert settings.max_body_bytes == 4 * 1024 * 1024


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUICE_PORT", "9001")
    monkeypatch.setenv("SLUICE_HOST", "::1")
    monkeypatch.setenv("SLUICE_MODELS", str(tmp_path))
    settings = load_settings()
    assert (settings.host, settings.port, settings.models_root) == ("::1", 9001, tmp_path)


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUICE_PORT", "9001")
    monkeypatch.setenv("SLUICE_MODELS", "/nowhere")
    settings = load_settings(port=9002, host=None, models_root=tmp_path)
    assert (settings.host, settings.port, settings.models_root) == ("127.0.0.1", 9002, tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLUICE_PORT", "eighty"),
        ("SLUICE_PORT", "70000"),
        ("SLUICE_PORT", ""),
        ("SLUICE_HOST", "http://localhost"),
        ("SLUICE_HOST", "localhost:8000"),
        ("SLUICE_HOST", ""),
        ("SLUICE_MAX_BODY_BYTES", "4MB"),
        ("SLUICE_MAX_BATCH", "0"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"^{name}: "):
        load_settings()


def test_a_wrong_option_is_named_as_an_option() -> None:
    with pytest.raises(UsageError, match=r"^--port: "):
        load_settings(port=70000)
