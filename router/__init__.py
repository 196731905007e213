"""Sluice's inference-time library: predict, plan, draft, validate, escalate. No torch.

    from router import CascadeAgent, ModelConfig

    agent = CascadeAgent(models=[ModelConfig(name="gpt-4o-mini"), ModelConfig(name="gpt-4o")])
    result = await agent.run("What is the capital of France?")
    result.content, result.model_used, result.total_cost

Names are loaded when they are first asked for, so importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent.agent import CascadeAgent
    from .agent.analytics import Analytics
    from .agent.batches import BatchError
    from .agent.decisions import RunOptions
    from .agent.events import (
        ChunkEvent,
        DoneEvent,
        ErrorEvent,
        EscalationEvent,
        RoutingEvent,
        StreamEvent,
        UsageEvent,
        VerdictEvent,
    )
    from .agent.results import RunResult
    from .artifact import load_artifact
    from .cascade import CascadeResult, run_cascade
    from .chat import Attempt, ChatRequest, Completion, Delta, Usage
    from .config import (
        BudgetConfig,
        BudgetStatus,
        DomainConfig,
        EndpointConfig,
        ModelConfig,
        QualityConfig,
        TimeoutConfig,
    )
    from .config_file import load_config
    from .engine import Engine
    from .errors import (
        BudgetExceededError,
        CascadeExhaustedError,
        ConfigError,
        InputError,
        SluiceError,
        UpstreamError,
        UsageError,
    )
    from .judge import ArtifactJudge
    from .predictor import Predictor
    from .presets import PRESET_BALANCED, PRESET_COST_OPTIMIZED, PRESET_ULTRA_FAST, Preset
    from .sandbox.daytona_sandbox import DaytonaSandbox
    from .sandbox.local_sandbox import LocalSandbox, SandboxLimits
    from .types import Check, Draft, Message, Plan, Prediction, Query, Verdict
    from .validation.validator import Validator

__all__ = [
    "PRESET_BALANCED",
    "PRESET_COST_OPTIMIZED",
    "PRESET_ULTRA_FAST",
    "Analytics",
    "ArtifactJudge",
    "Attempt",
    "BatchError",
    "BudgetConfig",
    "BudgetExceededError",
    "BudgetStatus",
    "CascadeAgent",
    "CascadeExhaustedError",
    "CascadeResult",
    "ChatRequest",
    "Check",
    "ChunkEvent",
    "Completion",
    "ConfigError",
    "DaytonaSandbox",
    "Delta",
    "DomainConfig",
    "DoneEvent",
    "Draft",
    "EndpointConfig",
    "Engine",
    "ErrorEvent",
    "EscalationEvent",
    "InputError",
    "LocalSandbox",
    "Message",
    "ModelConfig",
    "Plan",
    "Prediction",
    "Predictor",
    "Preset",
    "QualityConfig",
    "Query",
    "RoutingEvent",
    "RunOptions",
    "RunResult",
    "SandboxLimits",
    "SluiceError",
    "StreamEvent",
    "TimeoutConfig",
    "UpstreamError",
    "Usage",
    "UsageError",
    "UsageEvent",
    "Validator",
    "Verdict",
    "VerdictEvent",
    "load_artifact",
    "load_config",
    "run_cascade",
]

_HOMES = {
    "agent.agent": ("CascadeAgent",),
    "agent.analytics": ("Analytics",),
    "agent.batches": ("BatchError",),
    "agent.events": (
        "ChunkEvent",
        "DoneEvent",
        "ErrorEvent",
        "EscalationEvent",
        "RoutingEvent",
        "StreamEvent",
        "UsageEvent",
        "VerdictEvent",
    ),
    "agent.results": ("RunResult",),
    "agent.decisions": ("RunOptions",),
    "artifact": ("load_artifact",),
    "cascade": ("CascadeResult", "run_cascade"),
    "chat": ("Attempt", "ChatRequest", "Completion", "Delta", "Usage"),
    "config": (
        "BudgetConfig",
        "BudgetStatus",
        "DomainConfig",
        "EndpointConfig",
        "ModelConfig",
        "QualityConfig",
        "TimeoutConfig",
    ),
    "config_file": ("load_config",),
    "engine": ("Engine",),
    "errors": (
        "BudgetExceededError",
        "CascadeExhaustedError",
        "ConfigError",
        "InputError",
        "SluiceError",
        "UpstreamError",
        "UsageError",
    ),
    "judge": ("ArtifactJudge",),
    "predictor": ("Predictor",),
    "presets": ("PRESET_BALANCED", "PRESET_COST_OPTIMIZED", "PRESET_ULTRA_FAST", "Preset"),
    "sandbox.daytona_sandbox": ("DaytonaSandbox",),
    "sandbox.local_sandbox": ("LocalSandbox", "SandboxLimits"),
    "types": ("Check", "Draft", "Message", "Plan", "Prediction", "Query", "Verdict"),
    "validation.validator": ("Validator",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'router' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
