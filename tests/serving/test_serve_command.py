"""`sluice serve` as a process: ready, answering its own curl line, ended by signals, refusing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
STORE = f"sqlite:///{tempfile.mkdtemp(prefix='sluice-tests-')}/sluice.db"
PROGRAM = (
    "import sys; from importlib.metadata import EntryPoint; from router.cli import run;"
    "sys.exit(run(sys.argv[1:], "
    "[EntryPoint(name='serve', value='serving.cli:register', group='sluice.commands')]))"
)


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "serve", *arguments],
        cwd=ROOT,
        env={**clean, "SLUICE_STORE_URL": STORE, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_ready(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The address that the ready line names, and the curl line after it."""
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"Sluice \S+ ready on (http://\S+) \(artifact (\S+)\)\n", line)
    assert found, f"{line!r}; stderr: {process.stderr and process.stderr.read()}"
    assert process.stdout.readline() == "Try it:\n"
    return found[1], process.stdout.readline().strip()


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    process = start("--port", "0")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_says_where_it_is_and_answers_there(server: subprocess.Popen[str]) -> None:
    url, curl = read_ready(server)
    assert httpx.get(f"{url}/health/ready").json()["status"] == "ready"
    found = re.fullmatch(r"curl -s (\S+) -H '(\S+): (\S+)' -d '(.*)'", curl)
    assert found
    address, name, value, body = found.groups()
    assert address == f"{url}/v1/route"
    response = httpx.post(address, headers={name: value}, content=body.encode())
    assert response.status_code == 200
    assert response.json()["plan"]["models"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_zero(server: subprocess.Popen[str], number: int) -> None:
    url, _ = read_ready(server)
    with httpx.Client(base_url=url) as client:  # an idle connection must not hold it up
        client.get("/health/live")
        began = time.monotonic()
        server.send_signal(number)
        _, errors = server.communicate(timeout=20)
    assert (server.returncode, errors) == (0, "")
    assert time.monotonic() - began < 5


def refusal(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, errors = process.communicate(timeout=30)
    assert said == ""
    assert errors.count("\n") == 1, errors
    return process.returncode, errors


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, line = refusal(start("--port", str(port)))
    assert status == 1
    assert f"port {port} of 127.0.0.1 is in use" in line


def test_a_bad_artifact_is_one_line(tmp_path: Path) -> None:
    status, line = refusal(start("--port", "0", "--models-root", str(tmp_path)))
    assert status == 1
    assert str(tmp_path) in line


def test_wrong_settings_are_one_line() -> None:
    assert refusal(start(SLUICE_PORT="http"))[0] == 2
    status, line = refusal(start("--host", "localhost:80"))
    assert status == 2
    assert line.startswith("sluice: --host: ")
