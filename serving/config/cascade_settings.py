"""One cascade of a gateway: which of the pool's models it asks, and what an answer has to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from router.config import (
    DEFAULT_DOMAIN,
    QualityConfig,
    StreamPolicy,
    StrictConfig,
    check_domain,
)

__all__ = ["CacheConfig", "CascadeSettings"]


class CacheConfig(StrictConfig):
    """When an answer is given again instead of asking a model.

    exact: for the same request. semantic: also for one with the same words in the same order but
        for courtesies, capitals, contractions; `threshold` is the least cosine of the two.
    ttl_s: for how long. max_entries: how many one node keeps.
    max_temperature: requests above it want variety and are never answered from the cache.
    """

    exact: bool = False
    semantic: bool = False
    threshold: Annotated[float, Field(ge=0.5, le=1.0)] = 0.8
    ttl_s: Annotated[float, Field(gt=0.0, le=31_536_000.0)] = 3600.0
    max_entries: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    max_temperature: Annotated[float, Field(ge=0.0, le=2.0)] = 0.3


class CascadeSettings(StrictConfig):
    """Chains of names of models, cheapest first, the verifier last.

    models: for every domain without a chain of its own; may be left out where `domains` has a
        DEFAULT.
    stream_policy: "buffered" streams a draft once it is accepted; "optimistic" streams what is
        likely to be right at once.
    policy: a file of `sluice calibrate`, in place of the artifact's own policy.
    preset: the name of the preset that it started from.
    """

    models: tuple[str, ...] = ()
    domains: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    quality: QualityConfig = QualityConfig()
    stream_policy: StreamPolicy = "buffered"
    policy: Path | None = None
    cache: CacheConfig = CacheConfig()
    preset: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every model that it may ask, once."""
        return tuple(dict.fromkeys(name for _, chain in self.chains() for name in chain))

    def chains(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Each chain under the path of its key: "models", "domains.CODE"."""
        if self.models:
            yield "models", self.models
        yield from ((f"domains.{domain}", chain) for domain, chain in self.domains.items())

    @field_validator("domains")
    @classmethod
    def _domains_are_known(
        cls, domains: Mapping[str, tuple[str, ...]]
    ) -> Mapping[str, tuple[str, ...]]:
        for name, chain in domains.items():
            check_domain(name, chain)
        return domains

    @model_validator(mode="after")
    def _chains_are_sound(self) -> CascadeSettings:
        if not self.models and DEFAULT_DOMAIN not in self.domains:
            raise ValueError("'models' is empty, expected at least one model")
        for path, chain in self.chains():
            for name in dict.fromkeys(chain):
                if chain.count(name) > 1:
                    raise ValueError(f"{name!r} is there twice in '{path}'")
        return self
