"""The process around the application: a socket, its workers, the line that says it is ready."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

from router.errors import SluiceError

from .config import GatewayConfig, check_exposure
from .config.discovery import no_models_hint
from .operations.logs import Level, configure_logging
from .operations.shared_metrics import forget_worker, keep_metrics_private, share_metrics
from .operations.supervisor import Supervisor
from .operations.worker_process import Orders, WorkerProcess, leave_signals_to_parent
from .version import installed_version

if TYPE_CHECKING:  # all that is heavy is loaded by the process that serves
    from .operations.draining_server import DrainingServer

__all__ = ["listen", "ready_lines", "run"]

_LOG = logging.getLogger("sluice.server")

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where a client on this machine reaches "anywhere"
_BACKLOG = 2048
_MAX_OPEN_FILES = 65_536
# A client that neither reads nor answers is given up after this, whatever waits to be sent to it.
_UNREACHABLE_S = 120
_PROBE_AFTER_S = 60
_STOP_MARGIN_S = 20  # beyond what requests may take: to record, and to close what is open


def run(load: Callable[[], GatewayConfig]) -> NoReturn:
    """Serve what `load` says until interrupted, then leave with status 0; a second interrupt does
    not wait and leaves with 128 and its number.

    With several workers `load` is asked by each of them, so that those that replace others on
    SIGHUP read the configuration anew; it has to be picklable then. Raises SluiceError when the
    configuration is wrong, the address cannot be listened on or the service cannot be made ready.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    _log_at("info")  # what is odd about the configuration is told while it is read
    config = load()
    _log_at(config.server.log_level)
    check_exposure(config)
    _raise_open_files()
    with listen(config.server.host, config.server.port) as listener:
        if config.server.workers == 1:
            status = _serve(config, listener)
        else:
            status = _supervise(load, config, listener)
    sys.exit(status)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; raises SluiceError in one line when the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise SluiceError(f"cannot listen on {host!r}: {exc.strerror or exc}") from exc
    try:
        _set_options(listener)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            raise SluiceError(
                f"port {port} of {host} is in use; stop what listens there or choose another "
                "with --port"
            ) from exc
        raise SluiceError(f"cannot listen on {host} port {port}: {exc.strerror or exc}") from exc
    return listener


def _set_options(listener: socket.socket) -> None:
    """Options that the connections inherit: a client whose machine is gone is noticed, and one
    that reads nothing does not hold its connection for ever."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER_S)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREACHABLE_S * 1000)


def ready_lines(listener: socket.socket, artifact: str, hint: str | None = None) -> str:
    """What is said once requests are answered: where, with which artifact, how to try it, and, as
    a `hint`, what there would be more."""
    host, port = listener.getsockname()[:2]
    host = _ANY.get(host, host)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return (
        f"Sluice {installed_version()} ready on {url} (artifact {artifact})\n"
        f"Try it:\n"
        f"  curl -s {url}/v1/route -H 'content-type: application/json' "
        '-d \'{"prompt": "What is the capital of France?"}\'' + (f"\n{hint}" if hint else "")
    )


# -- one process ----------------------------------------------------------------------------------


def _serve(config: GatewayConfig, listener: socket.socket) -> int:
    """Serve in this process; returns the exit status."""
    keep_metrics_private()
    server = _assemble(config, listener, _announce)
    server.run(sockets=[listener])
    server.raise_failure()
    return server.exit_status


def _assemble(
    config: GatewayConfig,
    listener: socket.socket,
    announce: Callable[[str], None],
    orders: Orders | None = None,
) -> DrainingServer:
    """A server of a new service; `announce` is given the lines once it is ready."""
    from .app import create_app
    from .operations.draining_server import DrainingServer
    from .operations.http_protocol import HttpLimits
    from .service import Service

    service = Service(config)
    app = create_app(service)

    async def settle() -> None:
        loading: asyncio.Task[None] | None = app.state.loading
        if loading is not None:
            await asyncio.wait({loading})
            loading.result()
        if service.failure is not None:
            raise service.failure
        _settle_memory()
        hint = None if config.models else no_models_hint(os.environ)
        announce(ready_lines(listener, service.engine.version, hint))
        await service.metrics.keep_shared()

    def drain() -> None:
        app.state.draining = True

    limits = HttpLimits(
        max_header_bytes=config.server.max_header_bytes,
        head_timeout_s=config.server.body_timeout_s,
        on_refusal=service.metrics.count_refusal,
    )
    return DrainingServer(
        app,
        limits=limits,
        drain_timeout_s=config.server.shutdown_timeout_s,
        on_drain=drain,
        after_start=settle,
        orders=orders,
    )


def _settle_memory() -> None:
    """Keep the garbage collector from looking at all that stays for good, again and again: that
    stops every request for some 50 ms, and the end of the process for longer.

    Nor is it to look at all open streams whenever there are a quarter more of them, which, with
    nothing else left to look at, is all the time: with a thousand streams that took 40 ms each.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 25)  # all of it once there are 500,000 objects more


def _announce(lines: str) -> None:
    typer.echo(lines)
    sys.stdout.flush()


# -- several --------------------------------------------------------------------------------------


def _supervise(
    load: Callable[[], GatewayConfig], config: GatewayConfig, listener: socket.socket
) -> int:
    """Serve in several processes that share the socket; returns the exit status."""
    stop_limit_s = config.server.shutdown_timeout_s + _STOP_MARGIN_S
    with tempfile.TemporaryDirectory(prefix="sluice-metrics-") as folder:

        def start() -> WorkerProcess:
            arguments = (load, listener, folder)
            return WorkerProcess(_work, arguments, stop_limit_s=stop_limit_s)

        supervisor = Supervisor(
            start,
            config.server.workers,
            announce=_announce,
            on_stop=listener.close,
            stop_limit_s=stop_limit_s,
            on_exit=partial(forget_worker, folder),
        )
        return supervisor.run()


def _work(
    load: Callable[[], GatewayConfig], listener: socket.socket, folder: str, orders: Orders
) -> None:
    """What each of several processes does."""
    leave_signals_to_parent()
    share_metrics(folder)
    _log_at("warning")
    try:
        config = load()
        _log_at(config.server.log_level)
        server = _assemble(config, listener, orders.say_ready, orders)
        server.run(sockets=[listener])
        server.raise_failure()
    except SluiceError as exc:
        orders.say_failed(str(exc))
        sys.exit(1)
    except Exception:  # noqa: BLE001 - multiprocessing would print it, texts and all
        _LOG.critical("a worker failed", exc_info=True)
        sys.exit(1)


# -- both -----------------------------------------------------------------------------------------


def _log_at(level: Level) -> None:
    """JSON for programs, plain lines for who watches."""
    configure_logging(level, json=not sys.stderr.isatty())


def _raise_open_files() -> None:
    """Use as many open files as this process may have: two a request, and 1,024 is a usual limit
    for programs that do not ask."""
    try:
        import resource
    except ModuleNotFoundError:  # not here, so there is no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """An interrupt or a request to end is how a service stops: nothing failed."""
    sys.exit(0)
