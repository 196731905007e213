"""What can be set about the service, and from where: SLUICE_* variables, then command line options.

A value that is wrong is refused with the variable's name; nothing is silently replaced.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from router.errors import UsageError

__all__ = ["Settings", "load_settings"]

_PREFIX = "SLUICE_"


class Settings(BaseSettings):
    """The service's settings. Environment: SLUICE_HOST, SLUICE_PORT, ... ; SLUICE_MODELS for
    `models_root`, the name that the command line and the library know it by."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: any free one
    models_root: Annotated[
        Path | None,
        Field(validation_alias=AliasChoices("models_root", "SLUICE_MODELS")),
    ] = None
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 4 * 1024 * 1024
    body_timeout_s: Annotated[int, Field(ge=1, le=600)] = 30
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 256
    max_peers: Annotated[int, Field(ge=1, le=64)] = 8
    shutdown_timeout_s: Annotated[int, Field(ge=1, le=600)] = 10

    @field_validator("host")
    @classmethod
    def _host_is_bare(cls, host: str) -> str:
        """A host, not an address with scheme or port: "::1" is one, "localhost:80" is not."""
        if "/" in host or host.strip() != host:
            raise ValueError("should be a host name or address, without scheme and port")
        if ":" in host:
            try:
                ip_address(host.partition("%")[0])
            except ValueError:
                raise ValueError(
                    "should be a host name or address; the port has a setting of its own"
                ) from None
        return host


def load_settings(**given: Any) -> Settings:
    """Settings from the environment, overridden by what is `given` and not None.

    Raises UsageError naming the variable or option, what is wrong and nothing of its value.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**chosen)
    except ValidationError as exc:
        faults = [_describe(fault["loc"], fault["msg"], chosen) for fault in exc.errors()]
        raise UsageError("; ".join(faults)) from exc


def _describe(loc: tuple[int | str, ...], message: str, given: dict[str, Any]) -> str:
    name = str(loc[0]) if loc else "settings"
    said = message.removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    if name in given:
        return f"--{name.replace('_', '-')}: {said}"
    variable = "SLUICE_MODELS" if name in ("models_root", "SLUICE_MODELS") else name.upper()
    return f"{variable if variable.startswith(_PREFIX) else _PREFIX + variable}: {said}"
