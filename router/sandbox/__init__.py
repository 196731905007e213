"""Running code under limits, and what it says about a draft."""

from __future__ import annotations

from .daytona_sandbox import DaytonaSandbox
from .evidence import execution_check
from .local_sandbox import LocalSandbox, SandboxLimits
from .sandbox import Execution, Sandbox

__all__ = [
    "DaytonaSandbox",
    "Execution",
    "LocalSandbox",
    "Sandbox",
    "SandboxLimits",
    "execution_check",
]
