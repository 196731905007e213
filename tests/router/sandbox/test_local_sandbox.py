"""The local sandbox against programs that misbehave, all of them real."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import psutil
import pytest
import uvloop

from router.errors import ConfigError, SandboxError
from router.sandbox import LocalSandbox, SandboxLimits

ROOT = Path(__file__).resolve().parents[3]
# Starts a process that leaves the session, and can be told among all of this machine's.
DETACH = """
import subprocess, sys, time
subprocess.Popen(
    [sys.executable, "-I", "-c", "import time; time.sleep(60)", {mark!r}], start_new_session=True
)
"""


def _sandbox(**limits: object) -> LocalSandbox:
    """A sandbox with these limits; a test is skipped where this machine cannot give one."""
    try:
        return LocalSandbox(SandboxLimits(**{"timeout_s": 5.0, **limits}))  # type: ignore[arg-type]
    except SandboxError as exc:
        pytest.skip(f"no local sandbox here: {exc}")


@pytest.fixture(scope="module")
def sandbox() -> LocalSandbox:
    return _sandbox()


@pytest.fixture
def mark() -> str:
    return f"marked-{uuid.uuid4().hex}"


def _marked(mark: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.cmdline():
                found.append(process.pid)
        except psutil.Error:
            continue  # it has just ended
    return found


async def _until_marked(mark: str, *, there: bool) -> None:
    deadline = time.monotonic() + 5.0
    while bool(_marked(mark)) is not there:
        assert time.monotonic() < deadline, f"a marked process is {'not ' * there}there"
        await asyncio.sleep(0.02)


async def test_a_program_runs_as_main_and_its_output_comes_back(sandbox: LocalSandbox) -> None:
    execution = await sandbox.run(
        "import sys\nprint(__name__, 'héé')\nprint('oh', file=sys.stderr)\nexit(3)"
    )
    assert execution.exit_code == 3
    assert execution.stdout == "__main__ héé\n"
    assert execution.stderr == "oh\n"
    assert 0.0 < execution.duration_ms < 5_000.0
    assert not execution.timed_out
    assert not execution.output_exceeded


async def test_an_error_is_an_execution_like_any_other(sandbox: LocalSandbox) -> None:
    execution = await sandbox.run("1 / 0")
    assert execution.exit_code == 1
    assert execution.stderr.rstrip().endswith("ZeroDivisionError: division by zero")


async def test_a_signal_shows_as_its_negative_number(sandbox: LocalSandbox) -> None:
    execution = await sandbox.run("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert execution.exit_code == -signal.SIGTERM


async def test_an_endless_loop_is_stopped_when_its_processor_time_is_up() -> None:
    execution = await _sandbox(cpu_s=1, timeout_s=20.0).run("while True: pass")
    assert execution.timed_out
    assert execution.exit_code is None
    assert execution.duration_ms < 5_000.0


async def test_a_sleeper_is_stopped_when_its_time_is_up_and_its_output_kept() -> None:
    began = time.perf_counter()
    execution = await _sandbox(timeout_s=1.0).run(
        "import time; print('before', flush=True); time.sleep(60)"
    )
    assert execution.timed_out
    assert execution.stdout == "before\n"
    assert time.perf_counter() - began < 4.0


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_endless_output_is_bounded_and_stops_the_program(stream: str) -> None:
    execution = await _sandbox(output_kib=8).run(
        f"import sys\nwhile True: sys.{stream}.write('x' * 1000)"
    )
    assert execution.output_exceeded
    assert execution.exit_code is None
    assert len(getattr(execution, stream)) == 8 * 1024
    assert execution.duration_ms < 4_000.0


async def test_a_memory_hog_is_refused_its_memory() -> None:
    execution = await _sandbox(memory_mib=128).run(
        "hog = []\nwhile True: hog.append(bytearray(10_000_000))"
    )
    assert execution.exit_code == 1
    assert execution.stderr.rstrip().endswith("MemoryError")


async def test_a_fork_bomb_comes_to_nothing(sandbox: LocalSandbox) -> None:
    execution = await sandbox.run(
        "import os, time\nn = 0\ntry:\n    while True:\n        if os.fork() == 0: time.sleep(60)\n"
        "        n += 1\nexcept BlockingIOError:\n    print(n)"
    )
    assert execution.exit_code == 0
    assert 1 <= int(execution.stdout) <= 32
    bomb = await _sandbox(timeout_s=0.6).run(
        "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"
    )
    assert bomb.timed_out


async def test_files_are_bounded_and_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    execution = await _sandbox(disk_mib=1).run(
        "import os\nprint(os.getcwd())\nos.makedirs('a/b')\nopen('a/b/c', 'w').write('x')\n"
        "os.chmod('a', 0)\nopen('big', 'wb').write(bytes(3_000_000))"
    )
    assert execution.stdout.startswith(f"{tmp_path}/")
    assert "OSError" in execution.stderr
    assert list(tmp_path.iterdir()) == []


async def test_nothing_can_be_written_elsewhere(sandbox: LocalSandbox, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    execution = await sandbox.run(f"open({str(tmp_path / 'mine')!r}, 'w').write('x')")
    if execution.exit_code == 0:
        pytest.skip("this kernel or container does not let the file system be made read-only")
    assert list(tmp_path.iterdir()) == []


async def test_the_environment_holds_no_key_and_other_processes_are_out_of_sight(
    monkeypatch: pytest.MonkeyPatch, sandbox: LocalSandbox
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    execution = await sandbox.run(
        "import glob, os\nprint(sorted(os.environ))\n"
        "for path in glob.glob('/proc/[0-9]*/environ'):\n"
        "    try: print(open(path).read())\n    except OSError: pass"
    )
    assert execution.exit_code == 0
    assert "HOME" in execution.stdout
    assert "OPENAI_API_KEY" not in execution.stdout
    assert "sk-not-to-be-seen" not in execution.stdout


async def test_there_is_no_input_and_no_file_left_open(sandbox: LocalSandbox) -> None:
    execution = await sandbox.run(
        "import os\nprint(repr(os.read(0, 10)))\n"
        "for fd in range(3, 64):\n"
        "    try: os.fstat(fd)\n    except OSError: continue\n    print('open', fd)"
    )
    assert execution.stdout == "b''\n"


async def test_the_network_is_cut_unless_it_is_allowed(sandbox: LocalSandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        program = f"import socket\nsocket.create_connection({address!r}, timeout=2)\nprint('in')"
        cut = await sandbox.run(program)
        allowed = await _sandbox(network="allowed").run(program)
    assert cut.exit_code == 1
    assert "Connection refused" in cut.stderr
    assert allowed.stdout == "in\n"


async def test_a_program_may_talk_to_itself(sandbox: LocalSandbox) -> None:
    execution = await sandbox.run(
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname(), timeout=2)\nprint('in')"
    )
    assert execution.stdout == "in\n"


async def test_installed_packages_are_out_of_reach_unless_asked_for(sandbox: LocalSandbox) -> None:
    program = "import pydantic\nprint(pydantic.__name__)"
    assert "ModuleNotFoundError" in (await sandbox.run(program)).stderr
    assert (await _sandbox(packages=True).run(program)).stdout == "pydantic\n"


async def test_no_orphan_survives(sandbox: LocalSandbox, mark: str) -> None:
    execution = await sandbox.run(DETACH.format(mark=mark) + "print('left')")
    assert execution.stdout == "left\n"
    assert _marked(mark) == []


async def test_cancelling_the_caller_ends_everything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mark: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sandbox = _sandbox(timeout_s=30.0)
    running = asyncio.create_task(sandbox.run(DETACH.format(mark=mark) + "time.sleep(60)"))
    await _until_marked(mark, there=True)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert _marked(mark) == []
    assert list(tmp_path.iterdir()) == []


async def test_a_caller_that_is_killed_takes_its_programs_along(mark: str) -> None:
    _sandbox()
    caller = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio, sys\nfrom router.sandbox import LocalSandbox\n"
        "asyncio.run(LocalSandbox().run(sys.argv[1]))",
        DETACH.format(mark=mark) + "time.sleep(60)",
        cwd=ROOT,
    )
    await _until_marked(mark, there=True)
    caller.kill()
    await caller.wait()
    await _until_marked(mark, there=False)


async def test_many_programs_run_side_by_side(sandbox: LocalSandbox) -> None:
    executions = await asyncio.gather(*(sandbox.run(f"print({n})") for n in range(8)))
    assert [one.stdout for one in executions] == [f"{n}\n" for n in range(8)]


def test_it_runs_under_uvloop_too(sandbox: LocalSandbox) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(sandbox.run("print('hi')")).stdout == "hi\n"
        assert runner.run(sandbox.run("print('x' * 100_000)")).output_exceeded


def _run_without_namespaces(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` as a user who may make no namespaces, as in many containers."""
    forbid = "echo 0 > /proc/sys/user/max_user_namespaces"
    command = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    if not Path("/usr/bin/unshare").exists():
        pytest.skip("there is no unshare command here")
    if subprocess.run([*command, forbid], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces cannot be forbidden here")
    script = f'{forbid} && exec "$0" -c "$1"'
    return subprocess.run(
        [*command, script, sys.executable, code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )


def test_where_the_network_cannot_be_cut_that_is_refused() -> None:
    done = _run_without_namespaces("from router.sandbox import LocalSandbox; LocalSandbox()")
    error = done.stderr.splitlines()[-1]
    assert error.startswith("router.errors.SandboxError: the network cannot be cut here")
    assert 'network="allowed"' in error


def test_without_namespaces_time_and_orphans_are_still_in_hand(mark: str) -> None:
    done = _run_without_namespaces(
        "import asyncio\nfrom router.sandbox import LocalSandbox, SandboxLimits\n"
        "sandbox = LocalSandbox(SandboxLimits(network='allowed', timeout_s=1.0))\n"
        f"execution = asyncio.run(sandbox.run({DETACH.format(mark=mark)!r} + 'time.sleep(60)'))\n"
        "print(execution.timed_out)"
    )
    assert done.stdout == "True\n", done.stderr
    assert _marked(mark) == []


def test_elsewhere_than_on_linux_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="needs Linux"):
        LocalSandbox()


@pytest.mark.parametrize(
    ("name", "value"), [("timeout_s", 0.0), ("memory_mib", 1), ("network", "on")]
)
def test_limits_that_make_no_sense_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError) as refused:
        SandboxLimits(**{name: value})  # type: ignore[arg-type]
    assert refused.value.param == name
