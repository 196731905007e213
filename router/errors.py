"""Every error Sluice raises, in one tree.

SluiceError
├── UsageError            the caller asked for something that cannot be done; names the field
│   ├── InputError        a query, draft or parameter is malformed
│   └── UnknownModelError a model name that no configuration or artifact knows
├── DataError             an outcome file or label set is wrong; names file, row and column
│   └── NotEnoughLabelsError  too few labelled outcomes for the statement asked for
├── ArtifactError         a model artifact cannot be used
│   ├── ArtifactMissingError   nothing where it should be
│   ├── ArtifactDamagedError   hashes or golden inputs do not match
│   └── ArtifactForeignError   written by another program or an unsupported format version
└── UpstreamError         a provider failed
    └── CascadeExhaustedError  every model failed; carries each attempt

Messages say what was found, what was expected and what to do. They never hold a prompt, a draft
or a secret.
"""

from __future__ import annotations

__all__ = [
    "ArtifactDamagedError",
    "ArtifactError",
    "ArtifactForeignError",
    "ArtifactMissingError",
    "CascadeExhaustedError",
    "DataError",
    "InputError",
    "NotEnoughLabelsError",
    "SluiceError",
    "UnknownModelError",
    "UpstreamError",
    "UsageError",
]


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


class UpstreamError(SluiceError):
    """A provider failed to answer; `model` and `provider` say which."""

    def __init__(self, message: str, *, model: str, provider: str) -> None:
        super().__init__(message)
        self.model = model
        self.provider = provider


class CascadeExhaustedError(UpstreamError):
    """Every model of a plan failed; `attempts` holds one UpstreamError per attempt, in order."""

    def __init__(self, message: str, *, attempts: tuple[UpstreamError, ...]) -> None:
        last = attempts[-1]
        super().__init__(message, model=last.model, provider=last.provider)
        self.attempts = attempts
