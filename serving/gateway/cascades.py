"""What a request's `model` may name: "auto", a cascade, or a model, which bypasses routing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from router.affinity import Affinities
from router.agent.decisions import Decider
from router.agent.roster import ModelPool, Roster
from router.agent.runs import Runner
from router.config import QualityConfig, StreamPolicy
from router.engine import Engine
from router.gathering import Gatherer
from router.profiles import PolicyFile
from router.providers.transport import Transport
from router.types import Prediction, Query

from ..config import AUTO, CascadeSettings, GatewayConfig

__all__ = ["Cascades", "Route"]


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a request goes: to the cascade of that name, or, with `cascade` '', to one model."""

    cascade: str
    runner: Runner
    settings: CascadeSettings | None
    predictions: Gatherer[Query, Prediction]

    @property
    def is_bypass(self) -> bool:
        return self.settings is None

    @property
    def engine(self) -> Engine:
        return self.runner.decider.engine

    @property
    def quality(self) -> QualityConfig:
        return self.runner.decider.quality


class Cascades:
    """The cascades of a configuration and its pool of models, ready to be asked.

    A model that several cascades share has one client, so one circuit breaker. Raises ConfigError
    naming what is wrong.
    """

    def __init__(
        self,
        config: GatewayConfig,
        engine: Engine,
        transport: Transport,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.pool = ModelPool(config.models, transport, environ=environ)
        self.pool.introduce_to(engine)
        self._engine = engine
        self._drafters_only = config.budget.action == "drafters_only"
        self._affinities = Affinities()
        self._cascades = {
            name: self._cascade(name, settings)
            for name, settings in config.serving_cascades.items()
        }
        self._models = {name: self._bypass(name) for name in self.pool.names}
        self._auto = config.auto_cascade

    @property
    def names(self) -> tuple[str, ...]:
        """The cascades' names."""
        return tuple(self._cascades)

    def find(self, name: str) -> Route | None:
        """Where `name` leads; None: nowhere."""
        if name == AUTO and self._auto is not None:
            name = self._auto
        return self._cascades.get(name) or self._models.get(name)

    def _cascade(self, name: str, settings: CascadeSettings) -> Route:
        roster = Roster(self.pool, settings.models, settings.domains)
        policy = (
            self._engine.policy if settings.policy is None else PolicyFile.read(settings.policy)
        )
        runner = self._runner(
            roster, policy, quality=settings.quality, stream_policy=settings.stream_policy
        )
        return _route(name, runner, settings)

    def _bypass(self, name: str) -> Route:
        roster = Roster(self.pool, (name,), {})
        runner = self._runner(
            roster, self._engine.policy, quality=QualityConfig(), stream_policy="buffered"
        )
        return _route("", runner, None)

    def _runner(
        self,
        roster: Roster,
        policy: PolicyFile,
        *,
        quality: QualityConfig,
        stream_policy: StreamPolicy,
    ) -> Runner:
        return Runner(
            decider=Decider(
                engine=self._engine,
                policy=policy,
                roster=roster,
                quality=quality,
                stream_policy=stream_policy,
                affinities=self._affinities,
            ),
            drafters_only=self._drafters_only,
        )


def _route(cascade: str, runner: Runner, settings: CascadeSettings | None) -> Route:
    engine, names = runner.decider.engine, runner.decider.roster.names
    predictions = Gatherer(partial(engine.predict_many, models=names))
    return Route(cascade=cascade, runner=runner, settings=settings, predictions=predictions)
