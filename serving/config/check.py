"""`sluice serve --check`: everything that a start would need, looked at without listening.

Nothing is written, made or migrated, and no provider is asked. Whatever is wrong is in the report;
no error is raised for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from router.config import ModelConfig
from router.engine import Engine
from router.errors import SluiceError
from router.extras import require_extra
from router.model_limits import max_output_tokens
from router.prices import price_of
from router.profiles import PolicyFile
from router.providers.endpoint import resolve_endpoints

from .backends import check_redis, check_store
from .exposure import check_exposure, is_loopback
from .gateway_config import GatewayConfig

__all__ = ["CheckPoint", "CheckReport", "Level", "check_config"]

Level = Literal["ok", "warning", "error"]

_WIDTH: Final = len("warning")


@dataclass(frozen=True, kw_only=True)
class CheckPoint:
    """One thing that was looked at: `name` is a section or a part of one."""

    name: str
    level: Level
    message: str


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """All points, in the order in which a start would come to them."""

    points: tuple[CheckPoint, ...]

    @property
    def status(self) -> int:
        """The exit status: 0, or 1 when something would keep the gateway from working."""
        return int(any(point.level == "error" for point in self.points))

    def lines(self) -> Iterator[str]:
        """One line a point."""
        for point in self.points:
            yield f"{point.level:<{_WIDTH}}  {point.name}: {point.message}"

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "ok": self.status == 0,
            "points": [
                {"name": point.name, "level": point.level, "message": point.message}
                for point in self.points
            ],
        }


def check_config(
    config: GatewayConfig,
    *,
    host: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> CheckReport:
    """Look at everything; `host` is where it would listen, if not where the configuration says."""
    environ = os.environ if environ is None else environ
    host = config.server.host if host is None else host
    return CheckReport(
        points=(
            *_access_points(config, host),
            *_artifact_points(config),
            *_model_points(config, environ),
            *_cascade_points(config),
            *_backend_points(config),
        )
    )


def _point(name: str, level: Level, message: str) -> CheckPoint:
    return CheckPoint(name=name, level=level, message=" ".join(message.split()))


def _attempt(name: str, work: Callable[[], str]) -> CheckPoint:
    """A point that is an error when `work` fails, else what it says."""
    try:
        return _point(name, "ok", work())
    except SluiceError as exc:
        return _point(name, "error", str(exc))


def _access_points(config: GatewayConfig, host: str) -> Iterator[CheckPoint]:
    def exposure() -> str:
        check_exposure(config, host)
        return f"{config.auth.mode} on {host}"

    found = _attempt("auth", exposure)
    yield found
    if found.level == "ok" and config.auth.mode == "open" and not is_loopback(host):
        yield _point("auth", "warning", "everybody who reaches this address can spend your money")
    if config.auth.mode == "keys" and config.auth.admin_key is None:
        yield _point(
            "auth",
            "warning",
            "no admin_key, so the admin routes are closed; keys are made with 'sluice keys create'",
        )


def _artifact_points(config: GatewayConfig) -> Iterator[CheckPoint]:
    yield _attempt("artifact", lambda: Engine.load(config.server.models_root).version)


def _model_points(config: GatewayConfig, environ: Mapping[str, str]) -> Iterator[CheckPoint]:
    if not config.models:
        yield _point("models", "warning", "none; only /v1/route and /v1/validate will answer")
    for section, models in (("models", config.models), ("embeddings", config.embeddings)):
        for model in models:
            name = f"{section} {model.name}"
            yield _attempt(name, partial(_places, model, environ))
            yield from _price_points(name, model, config, writes=section == "models")


def _places(model: ModelConfig, environ: Mapping[str, str]) -> str:
    """Where a model will be asked, and at what price; raises ConfigError when a key or an address
    is missing."""
    endpoints = resolve_endpoints(model, environ)
    said = ", ".join(f"{one.provider} at {one.origin}" for one in endpoints)
    price = price_of(model)
    if price is None:
        return said
    return f"{said}; USD {price.input_cost:g} in, {price.output_cost:g} out per 1,000,000 tokens"


def _price_points(
    name: str, model: ModelConfig, config: GatewayConfig, *, writes: bool
) -> Iterator[CheckPoint]:
    limited = config.budget.limited
    if price_of(model) is None:
        needed = (
            "and a budget is set, so it will not be asked"
            if limited
            else "so what it costs is not counted, and under a budget it will not be asked"
        )
        yield _point(name, "warning", f"no price is known, {needed}; give it a 'cost'")
    elif writes and limited and max_output_tokens(model) is None:
        yield _point(
            name,
            "warning",
            "how much it can write is not known, and a budget needs a bound; give it 'max_tokens', "
            "or every request",
        )


def _cascade_points(config: GatewayConfig) -> Iterator[CheckPoint]:
    for name, cascade in config.serving_cascades.items():
        said = " -> ".join(cascade.models or cascade.domains["DEFAULT"])
        if config.auto_cascade == name and name != "auto":
            said += " (auto)"
        yield _point(f"cascade {name}", "ok", said)
        if cascade.policy is None:
            continue
        try:
            policy = PolicyFile.read(cascade.policy)
        except SluiceError as exc:
            yield _point(f"cascade {name}", "error", str(exc))
            continue
        if policy.chain and policy.chain != cascade.models:
            yield _point(
                f"cascade {name}",
                "warning",
                f"its policy was calibrated for {' -> '.join(policy.chain)}; what it guarantees "
                "holds for that chain",
            )


def _backend_points(config: GatewayConfig) -> Iterator[CheckPoint]:
    yield _attempt("store", lambda: check_store(config.store.url))
    if config.redis is not None:
        url = config.redis.url.get_secret_value()
        yield _attempt("redis", lambda: check_redis(url))
    if config.tracing is not None:
        yield _attempt("tracing", _check_tracing)


def _check_tracing() -> str:
    require_extra("tracing", "otel")
    return "spans will be sent; whether the collector answers was not tried"
