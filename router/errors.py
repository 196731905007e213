"""Every error Sluice raises, in one tree.

SluiceError
├── UsageError            the caller asked for something that cannot be done; names the field
│   ├── ConfigError       a configuration is wrong; names the key
│   ├── InputError        a query, draft or parameter is malformed
│   └── UnknownModelError a model name that no configuration or artifact knows
├── BudgetExceededError   a call might cost more than a budget has left; says which and until when
├── StoreError            what has to be kept cannot be read or written
├── SandboxError          code cannot be run under the limits asked for
├── DataError             an outcome file or label set is wrong; names file, row and column
│   └── NotEnoughLabelsError  too few labelled outcomes for the statement asked for
├── ArtifactError         a model artifact cannot be used
│   ├── ArtifactMissingError   nothing where it should be
│   ├── ArtifactDamagedError   hashes or golden inputs do not match
│   └── ArtifactForeignError   written by another program or an unsupported format version
└── UpstreamError         a provider failed; says which model, which provider and why
    └── CascadeExhaustedError  every model failed; carries each attempt

Messages say what was found, what was expected and what to do. They never hold a prompt, a draft
or a secret.
"""

from __future__ import annotations

from typing import Any, Final, Literal

__all__ = [
    "RETRYABLE_CAUSES",
    "ArtifactDamagedError",
    "ArtifactError",
    "ArtifactForeignError",
    "ArtifactMissingError",
    "BudgetExceededError",
    "CascadeExhaustedError",
    "ConfigError",
    "DataError",
    "InputError",
    "NotEnoughLabelsError",
    "SandboxError",
    "SluiceError",
    "StoreError",
    "UnknownModelError",
    "UpstreamCause",
    "UpstreamError",
    "UsageError",
]

UpstreamCause = Literal[
    "auth",  # 401, 403
    "bad_request",  # 400, 413, 422: the provider refuses this very request
    "circuit_open",  # not asked: it failed too often just now
    "connect",  # refused, unreachable, no such host
    "content_filter",  # the provider stopped the answer
    "disconnected",  # the connection broke before the answer was whole
    "empty",  # a reply without an answer in it
    "not_found",  # 404: no such model or path
    "protocol",  # a reply that is not what the wire format says
    "rate_limit",  # 429
    "server",  # 5xx
    "timeout",  # no connection, no first token or no end in time
    "tls",  # certificate or handshake
    "too_large",  # a reply beyond the limit
    "unknown",
]
RETRYABLE_CAUSES: Final[frozenset[str]] = frozenset(
    {"connect", "disconnected", "rate_limit", "server", "timeout"}
)


class SluiceError(Exception):
    """Base of every error Sluice raises on purpose."""


class UsageError(SluiceError):
    """The caller asked for something that cannot be done.

    `param` names the offending field in the caller's own words ("messages[2].content"), or is
    None when no single field is to blame.
    """

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class ConfigError(UsageError):
    """A configuration is wrong; `param` is the key ("models[1].provider")."""


class InputError(UsageError):
    """A query, draft or parameter is malformed."""


class UnknownModelError(UsageError):
    """A model name that no configuration or artifact knows."""


class DataError(SluiceError):
    """An outcome file or label set is wrong."""


class NotEnoughLabelsError(DataError):
    """Too few labelled outcomes to make the statement asked for with the confidence asked for."""


class ArtifactError(SluiceError):
    """A model artifact cannot be used."""


class ArtifactMissingError(ArtifactError):
    """No artifact where one was expected."""


class ArtifactDamagedError(ArtifactError):
    """An artifact's files do not match its manifest, or its golden inputs do not replay."""


class ArtifactForeignError(ArtifactError):
    """An artifact written by another program or in an unsupported format version."""


class BudgetExceededError(SluiceError):
    """A call might cost more than `scope` has left of its limit; it was not made.

    `scope`: "daily", "monthly", "user_daily", "user_monthly", in a gateway also "key_daily" and
    "key_monthly". Amounts are in USD; `spent_usd` counts what is reserved for calls under way.
    `resets_in_s`: until the window begins anew.
    """

    def __init__(
        self, message: str, *, scope: str, limit_usd: float, spent_usd: float, resets_in_s: float
    ) -> None:
        super().__init__(message)
        self.scope = scope
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd
        self.resets_in_s = resets_in_s


class StoreError(SluiceError):
    """What has to be kept cannot be read or written."""


class SandboxError(SluiceError):
    """Code cannot be run under the limits asked for."""


class UpstreamError(SluiceError):
    """A provider failed to answer; `model` and `provider` say which, `cause` why.

    `status` is the HTTP status where there was one, `retry_after_s` what the provider asked for,
    `calls` every HTTP call that was made for the answer (`chat.Attempt`), in order.
    `provider_message` is what the provider wrote about it, which is in no message of ours, as it
    may quote the request; empty where there was nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str,
        provider: str,
        cause: UpstreamCause = "unknown",
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.model = model
        self.provider = provider
        self.cause: UpstreamCause = cause
        self.status = status
        self.retry_after_s = retry_after_s
        self.calls: tuple[Any, ...] = ()
        self.provider_message = ""

    @property
    def retryable(self) -> bool:
        """Whether the same call may well succeed a moment later."""
        return self.cause in RETRYABLE_CAUSES


class CascadeExhaustedError(UpstreamError):
    """Every model of a plan failed; `attempts` holds one UpstreamError per failed model, in order,
    and `cause`, `status` and `retry_after_s` are those of the last."""

    def __init__(self, message: str, *, attempts: tuple[UpstreamError, ...]) -> None:
        last = attempts[-1]
        super().__init__(
            message,
            model=last.model,
            provider=last.provider,
            cause=last.cause,
            status=last.status,
            retry_after_s=last.retry_after_s,
        )
        self.attempts = attempts
        self.provider_message = last.provider_message
