"""Runs programs in Daytona's cloud sandboxes, through its official client (extra `sandbox`)."""

from __future__ import annotations

import asyncio
import math
import time
from importlib import import_module
from types import TracebackType
from typing import Any, Final, Literal, Protocol

from ..errors import SandboxError, UsageError
from ..extras import require_extra
from .sandbox import Execution

__all__ = ["DaytonaClient", "DaytonaSandbox"]

_OUTPUT_CHARS: Final = 65_536
_CREATE_TIMEOUT_S: Final = 60.0
# The service removes a sandbox by itself after this many minutes, should we not come to it.
_TTL_MINUTES: Final = 10
_PROGRAM_TIMED_OUT: Final = 408


class DaytonaClient(Protocol):
    """What is used of `daytona.AsyncDaytona`."""

    async def create(self, params: Any, *, timeout: float) -> Any: ...

    async def delete(self, sandbox: Any, timeout: float) -> None: ...

    async def close(self) -> None: ...


class DaytonaSandbox:
    """A Sandbox that makes a Daytona sandbox for each program and deletes it afterwards.

    `client` is an AsyncDaytona; by default one is made from DAYTONA_API_KEY (and DAYTONA_API_URL,
    DAYTONA_TARGET) at the first run, and closed by `aclose`. Raises UsageError without the extra
    `sandbox`. The service gives stdout and stderr as one, which is `stdout` here.
    """

    def __init__(
        self,
        client: DaytonaClient | None = None,
        *,
        timeout_s: float = 10.0,
        network: Literal["off", "allowed"] = "off",
    ) -> None:
        require_extra("DaytonaSandbox", "sandbox")
        self._client = client
        self._owns_client = client is None
        self._timeout_s = timeout_s
        self._network = network
        self._deleting: set[asyncio.Task[None]] = set()

    async def run(self, program: str) -> Execution:
        """Run a Python program; see Sandbox. `duration_ms` includes the making of the sandbox."""
        began = time.perf_counter()
        daytona = import_module("daytona")  # takes a second, so not before it is needed
        errors = _client_errors(daytona)
        client = self._connected(daytona)
        params = daytona.CreateSandboxFromSnapshotParams(
            language="python",
            network_block_all=self._network == "off",
            ephemeral=True,
            ttl_minutes=_TTL_MINUTES,
        )
        try:
            box = await client.create(params, timeout=_CREATE_TIMEOUT_S)
        except errors as exc:
            raise _failure("made no sandbox", exc) from exc
        try:
            result = await box.process.code_run(program, timeout=math.ceil(self._timeout_s))
        except errors as exc:
            if _status(exc) == _PROGRAM_TIMED_OUT:
                return _execution(None, "", began, timed_out=True)
            raise _failure("did not run the program", exc) from None
        finally:
            # A task of its own, so that a cancelled caller still leaves nothing behind.
            deleting = asyncio.create_task(_delete(client, box, errors))
            self._deleting.add(deleting)
            deleting.add_done_callback(self._deleting.discard)
        return _execution(result.exit_code, result.result or "", began)

    async def aclose(self) -> None:
        """Wait for what is being deleted, and close a client that was made here."""
        if self._deleting:
            await asyncio.wait(self._deleting)
        if self._owns_client and self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def __aenter__(self) -> DaytonaSandbox:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _connected(self, daytona: Any) -> DaytonaClient:
        if self._client is None:
            try:
                self._client = daytona.AsyncDaytona()
            except daytona.DaytonaError as exc:
                raise UsageError(
                    "Daytona's client refused its settings; set DAYTONA_API_KEY",
                    param="DAYTONA_API_KEY",
                ) from exc
        return self._client


def _client_errors(daytona: Any) -> tuple[type[Exception], ...]:
    """What the client raises: its own errors, and from running code those of the layers below."""
    toolbox = import_module("daytona_toolbox_api_client_async.exceptions")
    transport = import_module("aiohttp")
    return daytona.DaytonaError, toolbox.OpenApiException, transport.ClientError, TimeoutError


async def _delete(client: DaytonaClient, box: Any, errors: tuple[type[Exception], ...]) -> None:
    try:
        await client.delete(box, timeout=_CREATE_TIMEOUT_S)
    except errors:
        return  # it is ephemeral: the service removes it when its time is up


def _execution(
    exit_code: int | None, output: str, began: float, *, timed_out: bool = False
) -> Execution:
    return Execution(
        exit_code=exit_code,
        stdout=output[:_OUTPUT_CHARS],
        stderr="",
        timed_out=timed_out,
        output_exceeded=len(output) > _OUTPUT_CHARS,
        duration_ms=(time.perf_counter() - began) * 1e3,
    )


def _status(error: Exception) -> int | None:
    """The HTTP status in one of the client's errors."""
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    return status if isinstance(status, int) else None


def _failure(what: str, error: Exception) -> SandboxError:
    """What failed, without the service's own words, which may repeat the program."""
    status = _status(error)
    where = f" (HTTP {status})" if status else ""
    return SandboxError(f"Daytona {what}: {type(error).__name__}{where}")
