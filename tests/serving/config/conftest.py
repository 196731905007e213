"""A folder of its own for every test, and files in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from router.errors import ConfigError
from serving.config import GatewayConfig, load_gateway_config

Write = Callable[..., Path]
Fault = Callable[..., str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a new one, so that no sluice.yaml is in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    """A function that writes a file into the working directory."""

    def write_file(text: str, *, name: str = "sluice.yaml") -> Path:
        path = folder / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def fault(write: Write) -> Fault:
    """A function that loads a file that is refused, and gives what is said of it: one line, without
    the file's name."""

    def load(text: str, **environ: str) -> str:
        path = write(text)
        with pytest.raises(ConfigError) as caught:
            load_gateway_config(path, environ=environ)
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(f"{path}: ", "")

    return load


@pytest.fixture
def load(write: Write) -> Callable[..., GatewayConfig]:
    """A function that loads a file of this text."""

    def load_text(text: str, *, options: Any = None, **environ: str) -> GatewayConfig:
        return load_gateway_config(write(text), options=options, environ=environ)

    return load_text
