"""The whole configuration of a gateway: what `sluice.yaml` and the environment say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pydantic import Field, model_validator

from router.config import ModelConfig, StrictConfig, nearest

from .cascade_settings import CascadeSettings
from .sections import (
    AuthConfig,
    GatewayBudget,
    LimitsConfig,
    MetricsConfig,
    RedisConfig,
    ServerConfig,
    StoreConfig,
    TracingConfig,
)

__all__ = ["AUTO", "ENCODER_MODEL", "GatewayConfig"]

AUTO: Final = "auto"
"""The name that leaves the choice of a model to the gateway."""

ENCODER_MODEL: Final = "sluice-encoder"
"""The name of the artifact's own encoder among the models for embeddings."""


class GatewayConfig(StrictConfig):
    """Every section may be left out.

    models: the pool. Each can be asked by its name, and cascades name theirs.
    cascades: by the name that a request gives as its model.
    embeddings: upstream models for embeddings, passed through.

    No two of all these names may be the same, and what clients cannot name is refused.
    """

    server: ServerConfig = ServerConfig()
    store: StoreConfig = StoreConfig()
    redis: RedisConfig | None = None
    auth: AuthConfig = AuthConfig()
    models: tuple[ModelConfig, ...] = ()
    cascades: Mapping[str, CascadeSettings] = Field(default_factory=dict)
    budget: GatewayBudget = GatewayBudget()
    embeddings: tuple[ModelConfig, ...] = ()
    limits: LimitsConfig = LimitsConfig()
    metrics: MetricsConfig = MetricsConfig()
    tracing: TracingConfig | None = None

    @property
    def serving_cascades(self) -> Mapping[str, CascadeSettings]:
        """The cascades on offer: those configured, else, where there are models, AUTO over all of
        them in their order."""
        if self.cascades or not self.models:
            return self.cascades
        names = tuple(model.name for model in self.models)
        return MappingProxyType({AUTO: CascadeSettings(models=names)})

    @property
    def auto_cascade(self) -> str | None:
        """The name of the cascade that AUTO stands for: the one of that name, else the first; None
        when there is no model at all."""
        cascades = self.serving_cascades
        return AUTO if AUTO in cascades else next(iter(cascades), None)

    @model_validator(mode="after")
    def _names_fit_together(self) -> GatewayConfig:
        faults = [*self._names_taken(), *self._names_unknown()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _names_taken(self) -> Iterator[str]:
        seen: dict[str, str] = {ENCODER_MODEL: "the artifact's own encoder"}
        for path, name in self._named():
            if not (name.isascii() and name.isprintable()) or name != name.strip() or not name:
                yield f"'{path}': a name should be printable ASCII, as it goes in headers"
            elif name == AUTO and not path.startswith("cascades"):
                yield f"'{path}': {AUTO!r} stands for a cascade; give the model another name"
            elif name in seen:
                yield (
                    f"'{path}': {name!r} is the name of {seen[name]} already; give it another"
                    + (" and say with 'model' what it is called upstream" if "[" in path else "")
                )
            else:
                seen[name] = f"'{path.removesuffix('.name')}'"

    def _named(self) -> Iterator[tuple[str, str]]:
        """Every name that a request can ask for, under its path."""
        for section, models in (("models", self.models), ("embeddings", self.embeddings)):
            yield from ((f"{section}[{i}].name", one.name) for i, one in enumerate(models))
        yield from ((f"cascades.{name}", name) for name in self.cascades)

    def _names_unknown(self) -> Iterator[str]:
        pool = {model.name for model in self.models}
        for name, cascade in self.cascades.items():
            for path, chain in cascade.chains():
                for index, model in enumerate(chain):
                    if model not in pool:
                        yield _no_model(f"cascades.{name}.{path}[{index}]", model, pool)
        for index, config in enumerate(self.models):
            for place, other in enumerate(config.fallbacks):
                if other not in pool or other == config.name:
                    path = f"models[{index}].fallbacks[{place}]"
                    yield _no_model(path, other, pool - {config.name}, other="other ")
        for index, config in enumerate(self.embeddings):
            if config.fallbacks:
                yield f"'embeddings[{index}].fallbacks': vectors of two models do not compare"


def _no_model(path: str, name: str, known: Iterable[str], *, other: str = "") -> str:
    return f"'{path}': no {other}model is called {name!r}{nearest(name, known)}"
