"""The sections of a gateway's configuration but models and cascades: what each key means."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator

from router.config import StrictConfig

__all__ = [
    "AuthConfig",
    "GatewayBudget",
    "LimitsConfig",
    "MetricsConfig",
    "RedisConfig",
    "ServerConfig",
    "StoreConfig",
    "TracingConfig",
]

_MIN_KEY_CHARS: Final = 8
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_DATABASE = re.compile(r"(sqlite:///|postgresql://)")

_Limit = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(gt=0.0, le=86_400.0)]


class ServerConfig(StrictConfig):
    """The process: where it listens, and what it takes from a client.

    models_root: the folder of artifacts; by default the one that came with Sluice.
    workers: processes that share the port.
    max_body_bytes, max_header_bytes: of one request; images come as text within the body.
    body_timeout_s: how long a body may take to arrive.
    shutdown_timeout_s: how long open requests and streams may take to finish; below the 30 s that
        Kubernetes gives a pod.
    max_batch: prompts in one batch of /v1/route. max_peers: peer drafts in one /v1/validate.
    log_requests: one line a request, without its text.
    """

    host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: any free one
    models_root: Path | None = None
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 20 * 1024 * 1024
    max_header_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 32 * 1024
    body_timeout_s: Annotated[int, Field(ge=1, le=600)] = 30
    shutdown_timeout_s: Annotated[int, Field(ge=1, le=600)] = 25
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 256
    max_peers: Annotated[int, Field(ge=1, le=64)] = 8
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_requests: bool = True

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


class StoreConfig(StrictConfig):
    """Where outcomes, ledger, keys and feedback are kept.

    url: "sqlite:///path" (from the working directory), "sqlite:////absolute/path" or
        "postgresql://user:password@host/database".
    retention_days: outcomes older than this are deleted; None keeps them.
    store_text: whether prompts and answers are kept beside the figures.
    """

    # In no repr: it may hold a password.
    url: Annotated[str, Field(repr=False)] = "sqlite:///.sluice/sluice.db"
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    store_text: bool = False

    @field_validator("url")
    @classmethod
    def _url_is_of_a_known_database(cls, url: str) -> str:
        if not _DATABASE.match(url):
            raise ValueError(
                "should begin with sqlite:/// (three slashes, then a path) or postgresql://"
            )
        return url


class RedisConfig(StrictConfig):
    """What several replicas share beside the store: rate limits and the response cache.

    url: "redis://host:6379/0", "rediss://..." or "unix://...". prefix: begins every key.
    """

    url: SecretStr
    prefix: Annotated[str, Field(min_length=1, max_length=64)] = "sluice"

    @field_validator("url")
    @classmethod
    def _url_is_of_redis(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("should begin with redis://, rediss:// or unix://")
        return url


class AuthConfig(StrictConfig):
    """Who may ask.

    mode: "open" lets everybody in, which only a loopback address may; "keys" wants a key made with
        `sluice keys create` or the admin routes.
    admin_key: opens the admin routes; None closes them to all.
    allow_open_network: lets open mode listen beyond this machine.
    user_header: the header that names the user of a request.
    """

    mode: Literal["open", "keys"] = "open"
    admin_key: SecretStr | None = None
    allow_open_network: bool = False
    user_header: str = "x-sluice-user"

    @field_validator("admin_key")
    @classmethod
    def _admin_key_can_be_sent(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            secret = key.get_secret_value()
            if len(secret) < _MIN_KEY_CHARS:
                raise ValueError(f"is too short, expected {_MIN_KEY_CHARS} characters or more")
            if not (secret.isascii() and secret.isprintable()) or " " in secret:
                raise ValueError("should be printable ASCII without spaces, as it goes in a header")
        return key

    @field_validator("user_header")
    @classmethod
    def _user_header_is_one(cls, name: str) -> str:
        if not _HEADER_NAME.fullmatch(name.lower()):
            raise ValueError("should be the name of a header, such as x-sluice-user")
        if name.lower() in _SECRET_HEADERS:
            raise ValueError("names a header that holds a secret, which would end up in the store")
        return name.lower()


class GatewayBudget(StrictConfig):
    """Limits in USD for the whole gateway, and for each user; days and months are UTC's. A key may
    have others of its own.

    action: what happens when the verifier's call does not fit any more: "refuse" answers 429,
        "drafters_only" goes on with drafters while theirs fit.
    """

    daily_limit: _Limit | None = None
    monthly_limit: _Limit | None = None
    user_daily_limit: _Limit | None = None
    user_monthly_limit: _Limit | None = None
    action: Literal["refuse", "drafters_only"] = "refuse"

    @property
    def limited(self) -> bool:
        """Whether any limit is set."""
        limits = (
            *(self.daily_limit, self.monthly_limit),
            *(self.user_daily_limit, self.user_monthly_limit),
        )
        return any(limit is not None for limit in limits)


class LimitsConfig(StrictConfig):
    """How much one worker does at once.

    max_concurrency: requests under way. max_queue: requests that wait for their turn, each for
        queue_timeout_s at most; more get 429 with Retry-After.
    request_timeout_s: until a request that has no answer fails, streams included.
    """

    max_concurrency: Annotated[int, Field(ge=1, le=100_000)] = 2048
    max_queue: Annotated[int, Field(ge=0, le=100_000)] = 1024
    queue_timeout_s: _Seconds = 10.0
    request_timeout_s: _Seconds = 600.0


class MetricsConfig(StrictConfig):
    """public: whether /metrics answers without the admin key where keys are wanted."""

    public: bool = False


class TracingConfig(StrictConfig):
    """OpenTelemetry spans (extra `otel`).

    endpoint: of an OTLP collector, over HTTP ("http://127.0.0.1:4318"); headers for it come from
        the environment, as OpenTelemetry has it (OTEL_EXPORTER_OTLP_HEADERS).
    """

    endpoint: Annotated[str, Field(repr=False)]
    service_name: Annotated[str, Field(min_length=1)] = "sluice"

    @field_validator("endpoint")
    @classmethod
    def _endpoint_is_a_url(cls, endpoint: str) -> str:
        if not endpoint.startswith(("http://", "https://")):
            raise ValueError("should begin with http:// or https://")
        return endpoint
