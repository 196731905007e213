"""The one thing that requests share: settings, metrics and the engine, once it is loaded."""

from __future__ import annotations

from fastapi import Request

from router.engine import Engine
from router.errors import SluiceError
from router.types import Draft, Query

from .errors import ApiError
from .metrics import Metrics
from .settings import Settings

__all__ = ["Service", "service_of"]


class Service:
    """What the handlers work with. Without an `engine` it is not ready until `load` has run."""

    def __init__(self, settings: Settings, *, engine: Engine | None = None) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.failure: SluiceError | None = None
        self._engine: Engine | None = None
        if engine is not None:
            self._use(engine)

    @property
    def engine(self) -> Engine:
        """The engine; raises ApiError (503) while there is none."""
        if self._engine is None:
            message = "no artifact is loaded" if self.failure else "the artifact is being loaded"
            headers = {} if self.failure else {"retry-after": "1"}
            raise ApiError(503, message, code="not_ready", kind="server_error", headers=headers)
        return self._engine

    @property
    def is_loaded(self) -> bool:
        return self._engine is not None

    def load(self) -> None:
        """Load the artifact; a refusal is kept in `failure`. Meant for a worker thread."""
        try:
            engine = Engine.load(self.settings.models_root)
            _warm_up(engine)
        except SluiceError as exc:
            self.failure = exc
        else:
            self._use(engine)

    def _use(self, engine: Engine) -> None:
        self._engine = engine
        self.metrics.set_artifact(engine.version)


def _warm_up(engine: Engine) -> None:
    """Ask once for everything, so that the first request does not pay for what is made lazily."""
    query = Query.from_prompt("What is 17 + 25?")
    engine.route(query)
    engine.validate(query, Draft(text="17 + 25 = 42"), peers=[Draft(text="It is 42.")])


def service_of(request: Request) -> Service:
    """The service that a request was made to."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service
