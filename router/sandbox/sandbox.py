"""The seam to whatever runs code: a program goes in, what it did comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Execution", "Sandbox"]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What one program did.

    `exit_code` is minus the signal's number when one ended it, and None when it was stopped:
    because its time was up (`timed_out`) or because it wrote more than is kept
    (`output_exceeded`; `stdout` and `stderr` are then cut). `duration_ms` includes the making of
    the sandbox.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    timed_out: bool = False
    output_exceeded: bool = False
    duration_ms: float


class Sandbox(Protocol):
    """Runs Python programs, each from a clean start and without input."""

    async def run(self, program: str) -> Execution:
        """Run `program`, the source of one Python module, as `__main__`.

        Whatever the program does is an Execution; SandboxError is raised only when it could not
        be run at all. A caller that is cancelled leaves nothing running.
        """
        ...
