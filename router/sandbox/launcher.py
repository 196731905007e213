"""Runs one Python program under limits: a script that LocalSandbox starts, never imported.

    launcher ── entry ── init ── program

The launcher stays outside: it owns the temporary directory, watches the clock and its caller, and
ends whatever is left. Entry moves into namespaces of its own (users, network, processes, mounts)
where the kernel permits. Init is process 1 in there, so that nothing outlives it. The program gets
its limits just before it is executed. A script, since Python code between fork and exec (a
preexec_fn) is unsafe in a caller that has threads; and one file, since it runs by itself.

argv[1] is a JSON job (local_sandbox.py writes it). The program comes on stdin, which then stays
open: its end means that the caller has gone or has seen enough. What happened goes to the job's
`report_fd`, one JSON object a line: `error` (it could not be run), `exit_code`, `timed_out`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import platform
import resource
import select
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["main"]

Job = dict[str, Any]

NOBODY = 65534  # whom the program runs as, where that can be arranged
ERROR_STATUS = 70

# Numbers from the kernel's headers; the same on every architecture.
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
COUNTS_PER_NAMESPACE = (5, 14)  # from this kernel on, RLIMIT_NPROC counts within a user namespace

# `exit` and `help` are the site module's, which -S leaves out; programs use them nevertheless.
_START = "import runpy, site; site.setquit(); site.sethelper(); {run}"
_RUN = "runpy.run_path('program.py', run_name='__main__')"

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Run the job in argv[1]; everything that is to be known of it is in the report."""
    job: Job = json.loads(sys.argv[1])
    os.set_inheritable(job["report_fd"], False)
    with os.fdopen(os.dup(0), "rb", buffering=0) as leash:
        source = b""
        while len(source) < job["program_bytes"]:
            piece = leash.read(job["program_bytes"] - len(source))
            if not piece:
                return  # the caller has gone
            source += piece
        os.dup2(nothing := os.open(os.devnull, os.O_RDONLY), 0)
        os.close(nothing)
        _prctl(PR_SET_CHILD_SUBREAPER, 1)  # what the program orphans becomes ours to end
        job["demote"] = os.geteuid() == 0 and _has_nobody()
        if job["demote"]:
            os.setgroups([])
        with tempfile.TemporaryDirectory(
            prefix="sluice-sandbox-", dir=job["temp_dir"], ignore_cleanup_errors=True
        ) as work:
            _launch(job, source, work, leash.fileno())


def _launch(job: Job, source: bytes, work: str, leash: int) -> None:
    """Start entry and wait for the end: of the program, of its time or of the caller."""
    alive, alive_end = os.pipe()  # a byte asks for the id maps; its end says that all have ended
    go, go_end = os.pipe()
    deadline = time.monotonic() + job["timeout_s"]

    def enter() -> None:
        os.close(go_end)
        os.setpgid(0, 0)
        _enter(job, source, work, alive_end, go)

    entry = _fork(job, enter)
    os.close(alive_end)
    os.close(go)
    while True:
        ready, _, _ = select.select([leash, alive], [], [], max(deadline - time.monotonic(), 0.0))
        if alive in ready and os.read(alive, 1):
            try:
                _map_ids(job, entry)
            except OSError as exc:
                _report(job, error=f"the id maps could not be written ({exc.strerror})")
                break
            os.write(go_end, b"!")
            continue
        if not ready:
            _report(job, timed_out=True)
        break
    _end(entry)


def _enter(job: Job, source: bytes, work: str, alive: int, go: int) -> None:
    """Move into namespaces, prepare the directory, and wait for init."""
    flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS
    if not job["network"]:
        flags |= CLONE_NEWNET
    isolated = False
    try:
        _call("unshare", flags)
        isolated = True
    except OSError as exc:
        if not job["network"]:
            _report(job, error=f"the network cannot be cut here ({exc.strerror})")
            return
    user, group = os.geteuid(), os.getegid()
    if isolated or job["demote"]:
        user = group = NOBODY
    if isolated:
        os.write(alive, b"?")
        if not os.read(go, 1):
            return
        # A second line of defence that some containers refuse; what cannot do without it (an
        # interpreter that the program may not read) fails where it is executed, and says so.
        with contextlib.suppress(OSError):
            _arrange_mounts(job, work, user, group)
        if not job["network"]:
            _raise_loopback()
    (program := Path(work, "program.py")).write_bytes(source)
    program.chmod(0o644)
    if user != os.geteuid():
        os.chown(work, user, group)
    init = _fork(job, lambda: _supervise(job, work, user, group, isolated=isolated))
    os.waitpid(init, 0)


def _supervise(job: Job, work: str, user: int, group: int, *, isolated: bool) -> None:
    """Be init: start the program, reap what it orphans, report how it ended."""
    if isolated:
        try:
            _mount("proc", "/proc", "proc")
        except OSError:  # a container that hides parts of /proc; then there is none
            with contextlib.suppress(OSError):
                _mount("tmpfs", "/proc", "tmpfs", "size=0,mode=0555")
    program = _fork(job, lambda: _become_program(job, work, user, group, isolated=isolated))
    while True:
        ended, status = os.wait()
        if ended == program:
            _report(job, exit_code=os.waitstatus_to_exitcode(status))
            return


def _become_program(job: Job, work: str, user: int, group: int, *, isolated: bool) -> None:
    processes = job["processes"]
    if not (isolated and _kernel() >= COUNTS_PER_NAMESPACE):
        processes += _tasks_of(user)
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, job["disk_bytes"]),
        (resource.RLIMIT_NOFILE, job["open_files"]),
        (resource.RLIMIT_AS, job["memory_bytes"]),
        (resource.RLIMIT_NPROC, processes),
    ):
        _limit(limit, value, value)
    _limit(resource.RLIMIT_CPU, job["cpu_s"], job["cpu_s"] + 1)
    os.umask(0o077)
    if user != os.geteuid():
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # anew: a change of user clears it
    os.chdir(work)
    flags = ["-I", "-B", "-X", "utf8"]
    start = f"import runpy; {_RUN}"
    if not job["packages"]:
        flags.append("-S")
        start = _START.format(run=_RUN)
    environment = {**job["environment"], "HOME": work, "TMPDIR": work}
    os.execve(job["python"], [job["python"], *flags, "-c", start], environment)


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set a limit, or leave the caller's own where that is lower already."""
    ceiling = resource.getrlimit(kind)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(kind, (soft, hard))


def _arrange_mounts(job: Job, work: str, user: int, group: int) -> None:
    """Make every file read-only except a small new directory in memory at `work`."""
    attributes = struct.pack("4Q", MOUNT_ATTR_RDONLY, 0, MS_PRIVATE, 0)
    try:
        _call("syscall", SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, 32)
    except OSError:  # before Linux 5.12: at least what is mounted here stays here
        _call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    if user != os.geteuid():
        _open_way([Path(path) for path in job["readable"]], Path(work))
    size = f"size={job['disk_bytes']},nr_inodes=16384"
    _mount("tmpfs", work, "tmpfs", f"{size},mode=0700,uid={user},gid={group}")
    _mount("tmpfs", "/dev/shm", "tmpfs", f"{size},mode=1777")


def _open_way(readable: list[Path], work: Path) -> None:
    """Let an unprivileged user reach `readable` and `work` below directories closed to others.

    Such a directory (/root) is covered by an empty one, in which only these paths are mounted
    again, so that the rest of it stays out of reach.
    """
    closed = {
        next(parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001)
        for path in (*readable, work)
        if any(not parent.stat().st_mode & 0o001 for parent in path.parents)
    }
    with contextlib.ExitStack() as stack:
        held = {}
        for path in readable:
            if any(path.is_relative_to(parent) for parent in closed):
                held[path] = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, held[path])
        for parent in closed:
            _mount("tmpfs", str(parent), "tmpfs", "size=64k,mode=0755")
            if work.is_relative_to(parent):
                work.mkdir(parents=True, exist_ok=True)
        for path, handle in held.items():
            path.mkdir(parents=True, exist_ok=True)
            source = f"/proc/self/fd/{handle}".encode()
            _call("mount", source, os.fsencode(path), None, MS_BIND | MS_REC, None)


def _raise_loopback() -> None:
    """Bring the new network's own 127.0.0.1 up: a program may talk to itself."""
    with contextlib.suppress(OSError), socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))


def _map_ids(job: Job, entry: int) -> None:
    """Give entry's user namespace its ids: in there the program is nobody, whoever calls.

    Outside it is nobody too where root calls, since no limit on processes holds for root's.
    """
    for name, mine in (("uid_map", os.geteuid()), ("gid_map", os.getegid())):
        if name == "gid_map":  # the kernel's condition for an unprivileged gid_map
            Path(f"/proc/{entry}/setgroups").write_text("deny", encoding="ascii")
        inside = f"{NOBODY} {mine} 1\n"
        if job["demote"] and mine != NOBODY:
            inside = f"{mine} {mine} 1\n{NOBODY} {NOBODY} 1\n"
        Path(f"/proc/{entry}/{name}").write_text(inside, encoding="ascii")


def _has_nobody() -> bool:
    """Whether nobody exists here; a rootless container may know root alone."""
    maps = (Path(f"/proc/self/{name}").read_text().splitlines() for name in ("uid_map", "gid_map"))
    ranges = ([tuple(map(int, line.split())) for line in lines] for lines in maps)
    return all(any(first <= NOBODY < first + n for first, _, n in known) for known in ranges)


def _end(entry: int) -> None:
    """Kill entry's group and every descendant that left it, and wait until all are gone."""
    with contextlib.suppress(OSError):
        os.killpg(entry, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)


def _children() -> Iterator[int]:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    with contextlib.suppress(OSError):
        yield from map(int, listing.read_text(encoding="ascii").split())


def _tasks_of(user: int) -> int:
    """How many processes and threads `user` has now, as RLIMIT_NPROC counts them."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == user:
                count += sum(1 for _ in (process / "task").iterdir())
    return count


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split(".")[:2] if part.isdigit())


def _fork(job: Job, run: Callable[[], None]) -> int:
    """The pid of a new process that does `run`, dies with this one, and never returns."""
    pid = os.fork()
    if pid:
        return pid
    status = ERROR_STATUS
    try:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        run()
        status = 0
    except (OSError, ValueError) as exc:
        _report(job, error=f"{type(exc).__name__}: {getattr(exc, 'strerror', None) or exc}")
    finally:
        os._exit(status)


def _report(job: Job, **facts: object) -> None:
    os.write(job["report_fd"], json.dumps(facts).encode() + b"\n")


def _mount(source: str, target: str, kind: str, options: str = "") -> None:
    flags = MS_NOSUID | MS_NODEV | (MS_NOEXEC if kind == "proc" else 0)
    _call(
        "mount",
        source.encode(),
        os.fsencode(target),
        kind.encode(),
        flags,
        options.encode() or None,
    )


def _prctl(option: int, value: int) -> None:
    _call("prctl", option, value, 0, 0, 0)


def _call(name: str, *arguments: int | bytes | None) -> None:
    """Call a function of the C library; OSError where it fails."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    if getattr(_libc, name)(*wide) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
