"""Runs programs on this machine, in a process of their own under limits. Linux only.

What it holds: no environment and no keys, nothing on stdin, no network (by default), an own
directory that is gone afterwards, bounds on time, memory, files, processes and output, and nothing
that outlives the run. Where the kernel permits the rest of the file system is read-only, and other
processes cannot be seen; root's programs run as nobody.

What it does not hold: a program can read whatever files its user may read, memory is bounded per
process, and the kernel is shared. It limits accidents; it is no jail against an attacker. For code
from people you do not trust use a container, a virtual machine or DaytonaSandbox.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ..errors import ConfigError, SandboxError
from .sandbox import Execution

__all__ = ["LocalSandbox", "SandboxLimits"]

_LAUNCHER: Final = Path(__file__).with_name("launcher.py")
_GRACE_S: Final = 5.0  # what the launcher gets beyond the program's time; it is then killed itself
_MIB: Final = 1024 * 1024
# Numeric libraries start a thread a core, each with its own stack; one does.
_ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/usr/bin:/bin",
}
_FLOORS: Final = {
    "timeout_s": 0.1,
    "cpu_s": 1,
    "memory_mib": 64,
    "disk_mib": 1,
    "processes": 1,
    "open_files": 16,
    "output_kib": 1,
}


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What a program may use.

    timeout_s: wall-clock seconds, start-up included. cpu_s: of each process.
    memory_mib: address space of each process.
    disk_mib: of one file and, where the directory can be put in memory, of all together.
    processes: processes and threads at any time. output_kib: of stdout and of stderr; a program
    that writes more is stopped.
    network: "off" cuts it, and is refused where that cannot be done; "allowed" leaves it.
    packages: whether the program may import what is installed beside Sluice.
    ConfigError names a value that is too low.
    """

    timeout_s: float = 10.0
    cpu_s: int = 5
    memory_mib: int = 512
    disk_mib: int = 64
    processes: int = 32
    open_files: int = 128
    output_kib: int = 64
    network: Literal["off", "allowed"] = "off"
    packages: bool = False

    def __post_init__(self) -> None:
        for name, floor in _FLOORS.items():
            if getattr(self, name) < floor:
                found = getattr(self, name)
                raise ConfigError(f"'{name}' must be at least {floor}, found {found}", param=name)
        if self.network not in ("off", "allowed"):
            raise ConfigError('\'network\' must be "off" or "allowed"', param="network")


class LocalSandbox:
    """A Sandbox of subprocesses; it may be used by any number of tasks at once.

    Making one tries it out (some 100 ms) and raises SandboxError where the limits cannot be kept.
    """

    def __init__(self, limits: SandboxLimits | None = None) -> None:
        self._limits = limits or SandboxLimits()
        if sys.platform != "linux":
            raise SandboxError(
                f"the local sandbox needs Linux, this is {sys.platform}; use DaytonaSandbox"
            )
        self._ending: set[asyncio.Task[None]] = set()
        self._try_out()

    async def run(self, program: str) -> Execution:
        """Run a Python program; see Sandbox."""
        began = time.perf_counter()
        source = program.encode("utf-8", "replace")
        report, report_end = os.pipe()
        try:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command(source, report_end),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=_library_path(),
                    start_new_session=True,
                    pass_fds=(report_end,),
                )
            except OSError as exc:
                raise SandboxError(f"no process could be started ({exc.strerror})") from exc
            finally:
                os.close(report_end)
            stdout, stderr = await self._watch(process, source)
            facts = _read_report(report)
        finally:
            os.close(report)
        exceeded = stdout.exceeded or stderr.exceeded
        if not facts and not exceeded:
            raise SandboxError("the sandbox's launcher was killed before the program ended")
        exit_code = facts.get("exit_code")
        timed_out = bool(facts.get("timed_out")) or exit_code == -signal.SIGXCPU
        return Execution(
            exit_code=None if timed_out or exceeded else exit_code,
            stdout=stdout.text,
            stderr=stderr.text,
            timed_out=timed_out,
            output_exceeded=exceeded,
            duration_ms=(time.perf_counter() - began) * 1e3,
        )

    async def _watch(
        self, process: asyncio.subprocess.Process, source: bytes
    ) -> tuple[_Output, _Output]:
        """Read what the program writes until all of it has ended."""
        leash, stdout, stderr = process.stdin, process.stdout, process.stderr
        assert leash is not None
        assert stdout is not None
        assert stderr is not None
        most = self._limits.output_kib * 1024
        outputs = _Output(stdout, leash, most), _Output(stderr, leash, most)
        readers = [asyncio.create_task(output.read()) for output in outputs]
        try:
            leash.write(source)
            async with asyncio.timeout(self._limits.timeout_s + _GRACE_S):
                await process.wait()
        except TimeoutError:
            raise SandboxError("the sandbox's launcher did not end in time") from None
        finally:
            # A task of its own: a caller that is cancelled again and again still waits only once.
            ending = asyncio.create_task(_end(process, leash, readers))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)
        return outputs

    def _try_out(self) -> None:
        report, report_end = os.pipe()
        try:
            with subprocess.Popen(
                self._command(b"", report_end),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_library_path(),
                start_new_session=True,
                pass_fds=(report_end,),
            ) as process:
                try:
                    process.wait(self._limits.timeout_s + _GRACE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
            facts = _read_report(report)
        except OSError as exc:
            raise SandboxError(f"no process could be started ({exc.strerror})") from exc
        finally:
            os.close(report)
            os.close(report_end)
        if facts.get("exit_code") != 0:
            raise SandboxError(
                "an empty program did not run under these limits "
                f"(exit status {facts.get('exit_code')}); raise them"
            )

    def _command(self, source: bytes, report_end: int) -> list[str]:
        limits = self._limits
        python = Path(sys.executable if limits.packages else os.path.realpath(sys.executable))
        readable = {sys.base_prefix, sys.base_exec_prefix}
        if limits.packages:
            readable |= {sys.prefix, sys.exec_prefix}
        job = {
            "report_fd": report_end,
            "program_bytes": len(source),
            "python": str(python),
            "packages": limits.packages,
            "readable": sorted(os.path.realpath(path) for path in readable),
            "temp_dir": tempfile.gettempdir(),
            "environment": _ENVIRONMENT | _library_path(),
            "network": limits.network == "allowed",
            "timeout_s": limits.timeout_s,
            "cpu_s": limits.cpu_s,
            "memory_bytes": limits.memory_mib * _MIB,
            "disk_bytes": limits.disk_mib * _MIB,
            "processes": limits.processes,
            "open_files": limits.open_files,
        }
        return [sys.executable, "-I", "-S", "-B", str(_LAUNCHER), json.dumps(job)]


class _Output:
    """What is kept of one stream; pulls the leash when there is more."""

    def __init__(
        self, stream: asyncio.StreamReader, leash: asyncio.StreamWriter, most: int
    ) -> None:
        self._stream, self._leash, self._most = stream, leash, most
        self._kept = bytearray()
        self.exceeded = False

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")

    async def read(self) -> None:
        while piece := await self._stream.read(65536):
            room = self._most - len(self._kept)
            self._kept += piece[:room]
            if len(piece) > room and not self.exceeded:
                self.exceeded = True
                self._leash.close()


async def _end(
    process: asyncio.subprocess.Process,
    leash: asyncio.StreamWriter,
    readers: list[asyncio.Task[None]],
) -> None:
    """Let the launcher end everything, or else kill it; then read what is left."""
    leash.close()
    try:
        async with asyncio.timeout(_GRACE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    await asyncio.wait(readers)


def _library_path() -> dict[str, str]:
    """The one variable that an interpreter outside the usual places may need to start at all."""
    name = "LD_LIBRARY_PATH"
    return {name: os.environ[name]} if name in os.environ else {}


def _read_report(report: int) -> dict[str, Any]:
    """What the launcher said; raises SandboxError where that is why nothing could be run."""
    os.set_blocking(report, False)
    try:
        said = os.read(report, 65536)
    except BlockingIOError:
        said = b""
    facts: dict[str, Any] = {}
    for line in said.splitlines():
        facts |= json.loads(line)
    if "error" in facts:
        raise SandboxError(
            f'{facts["error"]}. Run where user namespaces are permitted, set network="allowed" '
            "to go without that limit, or use DaytonaSandbox"
        )
    return facts
