"""Daytona's official client against a local server that speaks the endpoints it calls.

Skipped where the extra `sandbox` is not installed. The real service is not tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.errors import SandboxError, UsageError
from router.extras import EXTRA_MODULES
from router.sandbox import DaytonaSandbox, execution_check
from router.types import Draft, Query


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "router.extras.EXTRA_MODULES", {**EXTRA_MODULES, "sandbox": ("no_such_module_here",)}
    )
    with pytest.raises(UsageError, match=r"pip install 'sluice-router\[sandbox\]'"):
        DaytonaSandbox()


class Service:
    """What is asked of the API and of a sandbox's toolbox; runs nothing."""

    def __init__(self, web: Any) -> None:
        self.web = web  # aiohttp.web, which comes with the extra
        self.calls: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.answer: tuple[int, dict[str, Any]] = (200, {"exitCode": 0, "result": "hi\n"})
        self.created = 200
        self.hang = asyncio.Event()
        self.running = asyncio.Event()
        self.url = ""

    async def handle(self, request: Any) -> Any:
        if "socket.io" in request.path:
            return self.web.Response(status=404)  # the client goes on without events
        self.calls.append((request.method, request.path))
        body = await request.text()
        self.bodies.append(json.loads(body) if body else {})
        box = {
            "id": "box-1",
            "organizationId": "org",
            "name": "box",
            "user": "daytona",
            "env": {},
            "labels": {},
            "public": False,
            "networkBlockAll": True,
            "target": "us",
            "kvm": False,
            "cpu": 1,
            "gpu": 0,
            "memory": 1,
            "disk": 3,
            "state": "started",
            "toolboxProxyUrl": f"{self.url}/toolbox",
        }
        match request.method, request.path:
            case "POST", "/api/sandbox":
                return self.web.json_response(box, status=self.created)
            case "POST", "/toolbox/box-1/process/code-run":
                self.running.set()
                if self.answer[0] == 0:
                    await self.hang.wait()
                return self.web.json_response(self.answer[1], status=self.answer[0])
            case "DELETE", "/api/sandbox/box-1":
                return self.web.json_response({**box, "state": "destroyed"})
        return self.web.json_response({"message": "unknown"}, status=404)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    pytest.importorskip("daytona", reason="needs the extra 'sandbox' (daytona)")
    web = pytest.importorskip("aiohttp.web")
    service = Service(web)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield service
    service.hang.set()
    await runner.cleanup()


@pytest.fixture
def _settings(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    monkeypatch.setenv("DAYTONA_API_KEY", "key-not-to-be-seen")
    monkeypatch.setenv("DAYTONA_API_URL", f"{service.url}/api")
    monkeypatch.setenv("DAYTONA_TARGET", "us")


CREATE, RUN, DELETE = (
    ("POST", "/api/sandbox"),
    ("POST", "/toolbox/box-1/process/code-run"),
    ("DELETE", "/api/sandbox/box-1"),
)


@pytest.mark.usefixtures("_settings")
async def test_a_program_gets_a_sandbox_of_its_own_that_is_deleted(service: Service) -> None:
    async with DaytonaSandbox(timeout_s=3.0) as sandbox:
        execution = await sandbox.run("print('hi')")
    assert (execution.exit_code, execution.stdout) == (0, "hi\n")
    assert service.calls == [CREATE, RUN, DELETE]
    created, run, _ = service.bodies
    assert created["networkBlockAll"] is True
    assert created["autoDeleteInterval"] == 0
    assert created["ttlMinutes"] > 0
    assert run == {"code": "print('hi')", "language": "python", "timeout": 3}


@pytest.mark.usefixtures("_settings")
async def test_a_program_that_runs_too_long_is_timed_out(service: Service) -> None:
    service.answer = (408, {"message": "timed out", "code": "PROCESS_EXECUTION_TIMEOUT"})
    async with DaytonaSandbox() as sandbox:
        execution = await sandbox.run("while True: pass")
    assert execution.timed_out
    assert execution.exit_code is None
    assert service.calls[-1] == DELETE


@pytest.mark.usefixtures("_settings")
async def test_long_output_is_cut(service: Service) -> None:
    service.answer = (200, {"exitCode": 0, "result": "x" * 100_000})
    async with DaytonaSandbox() as sandbox:
        execution = await sandbox.run("print('x' * 100_000)")
    assert execution.output_exceeded
    assert len(execution.stdout) == 65_536


@pytest.mark.usefixtures("_settings")
async def test_a_service_that_fails_is_a_sandbox_error_without_its_words(service: Service) -> None:
    service.answer = (500, {"message": "cannot run: print('secret')"})
    async with DaytonaSandbox() as sandbox:
        with pytest.raises(SandboxError, match=r"did not run the program: \w+ \(HTTP 500\)") as bad:
            await sandbox.run("print('secret')")
        service.created = 403
        with pytest.raises(SandboxError, match=r"made no sandbox: \w+ \(HTTP 403\)"):
            await sandbox.run("print('secret')")
    assert "secret" not in str(bad.value)
    assert sorted(service.calls) == sorted([CREATE, RUN, CREATE, DELETE])


@pytest.mark.usefixtures("_settings")
async def test_cancelling_the_caller_deletes_the_sandbox(service: Service) -> None:
    service.answer = (0, {})
    async with DaytonaSandbox() as sandbox:
        running = asyncio.create_task(sandbox.run("while True: pass"))
        await service.running.wait()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    assert running.cancelled()
    assert service.calls == [CREATE, RUN, DELETE]


@pytest.mark.usefixtures("_settings")
async def test_a_draft_is_judged_by_what_the_service_wrote(service: Service) -> None:
    service.answer = (200, {"exitCode": 1, "result": "no finding here"})
    async with DaytonaSandbox() as sandbox:
        check = await execution_check(
            sandbox, Query.from_prompt("Do it."), Draft(text="```python\nprint(1)\n```")
        )
    assert check is not None
    assert check.passed is None
    assert check.detail == "ended early, with exit status 1"


async def test_without_a_key_it_says_which_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    pytest.importorskip("daytona", reason="needs the extra 'sandbox' (daytona)")
    monkeypatch.chdir(tmp_path)  # the client reads a .env file too
    for name in ("DAYTONA_API_KEY", "DAYTONA_JWT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="DAYTONA_API_KEY"):
        await DaytonaSandbox().run("print(1)")
