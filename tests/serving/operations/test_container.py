"""The container's files hold together: with each other, with the settings, with the code."""

from __future__ import annotations

import http.server
import re
import shlex
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.config import check_exposure, load_gateway_config
from serving.config.environment import variables_of_sections
from serving.operations import health_check

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LINES = [
    line.strip()
    for line in DOCKERFILE.replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def words_of(instruction: str) -> list[list[str]]:
    """The words behind each such instruction, in their order."""
    return [shlex.split(line)[1:] for line in LINES if line.split()[0] == instruction]


def settings_of_image() -> dict[str, str]:
    found = dict(word.split("=", 1) for words in words_of("ENV") for word in words)
    return {name: value for name, value in found.items() if name.startswith("SLUICE_")}


@pytest.fixture
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return content


def test_the_image_runs_as_nobody_and_listens_with_keys_alone() -> None:
    assert words_of("USER") == [["10001:10001"]]
    environ = settings_of_image()
    assert set(environ) <= set(variables_of_sections())
    config = load_gateway_config(environ=environ)
    check_exposure(config)
    assert (config.server.host, config.auth.mode) == ("0.0.0.0", "keys")
    assert config.store.url == "sqlite:////data/sluice.db"
    assert words_of("VOLUME") == words_of("WORKDIR")[-1:] == [["/data"]]
    assert words_of("EXPOSE") == [[str(config.server.port)]]


def test_what_is_copied_is_sent_to_the_builder_and_is_all_that_is_needed() -> None:
    sent = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = {
        name.removeprefix("./")
        for words in words_of("COPY")
        if not words[0].startswith("--from")
        for name in words[:-1]
    }
    assert copied == sent
    assert all((ROOT / name).exists() for name in sent)
    pyproject = (ROOT / "pyproject.toml").read_text()
    packages = re.search(r"^packages = \[(.*)\]$", pyproject, re.MULTILINE)
    assert packages
    assert set(re.findall(r'"(\w+)"', packages[1])) | {"models", "hatch_build.py"} <= sent


def test_the_check_that_the_image_names_can_be_run() -> None:
    [check] = words_of("HEALTHCHECK")
    module = check[-1].strip("[]\"'")
    assert find_spec(module) is not None


def test_compose_sets_what_there_is_to_set(compose: dict[str, Any]) -> None:
    service = compose["services"]["sluice"]
    environ = service["environment"]
    ours = {name for name in environ if name.startswith("SLUICE_")}
    assert ours <= set(variables_of_sections())
    given = {name: _filled(environ[name]) for name in ours}
    config = load_gateway_config(environ=settings_of_image() | given)
    check_exposure(config)
    assert config.store.url.startswith("postgresql://sluice:filled-in@postgres/")
    assert config.redis is not None
    grace_s = int(service["stop_grace_period"].removesuffix("s"))
    assert grace_s >= config.server.shutdown_timeout_s + 15
    assert service["deploy"]["replicas"] == 2
    assert set(service["depends_on"]) == set(compose["services"]) - {"sluice"}
    for name in service["depends_on"]:
        assert "healthcheck" in compose["services"][name]


def test_compose_holds_no_secret(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("KEY|PASSWORD", name):
                assert value is None or value.startswith("${"), name


def _filled(value: str) -> str:
    return re.sub(r"\$\{\w+:\?[^}]*\}", "filled-in", value)


@pytest.mark.parametrize(("status", "result"), [(200, 0), (503, 1)])
def test_the_health_check_asks_the_service_itself(
    status: int, result: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"said")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        monkeypatch.setenv("SLUICE_HOST", "0.0.0.0")
        monkeypatch.setenv("SLUICE_PORT", str(server.server_port))
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert health_check.main() == result
        thread.join()
    assert asked == ["/health/ready"]
    assert capsys.readouterr().out == f"{status} said\n"


def test_a_service_that_is_not_there_is_not_healthy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_PORT", "1")
    monkeypatch.delenv("SLUICE_HOST", raising=False)
    assert health_check.main() == 1
    assert capsys.readouterr().out.startswith("no answer: ")
