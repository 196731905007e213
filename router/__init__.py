"""Sluice's inference-time library: predict, plan, draft, validate, escalate. No torch.

    from router import Draft, Engine, Query

    engine = Engine.load()
    result = engine.route(Query.from_prompt("What is the capital of France?"))
    result.prediction.domain, result.plan.models

Names are loaded when they are first asked for, so importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .artifact import load_artifact
    from .cascade import ArtifactJudge, CascadeResult, run_cascade
    from .engine import Engine
    from .errors import SluiceError
    from .predictor import Predictor
    from .types import Check, Draft, Message, Plan, Prediction, Query, Verdict
    from .validation.validator import Validator

__all__ = [
    "ArtifactJudge",
    "CascadeResult",
    "Check",
    "Draft",
    "Engine",
    "Message",
    "Plan",
    "Prediction",
    "Predictor",
    "Query",
    "SluiceError",
    "Validator",
    "Verdict",
    "load_artifact",
    "run_cascade",
]

_HOMES = {
    "ArtifactJudge": "cascade",
    "CascadeResult": "cascade",
    "Engine": "engine",
    "Predictor": "predictor",
    "SluiceError": "errors",
    "Validator": "validation.validator",
    "load_artifact": "artifact",
    "run_cascade": "cascade",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'router' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES.get(name, 'types')}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
