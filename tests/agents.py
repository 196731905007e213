"""What tests of agents share: policies that decide one way, and a server's part for each model."""

from __future__ import annotations

import math
import time
from typing import Any

from router.budget import resets_in_s
from router.config import ModelConfig
from router.policy import Thresholds
from router.profiles import Expectation, PolicyFile, Profile
from tests.behaviours import Behaviour, Received, Script

__all__ = [
    "ACCEPT_ALL",
    "ALWAYS_PAIRS",
    "COSTS",
    "DIRECT",
    "REJECT_ALL",
    "by_model",
    "model",
    "policy",
    "usd",
    "wait_past_midnight",
]

COSTS = {"small": (1.0, 2.0), "other": (1.5, 3.0), "large": (10.0, 20.0)}
"""USD per 1M tokens of input and of output."""


def policy(*, direct: float, first: float, later: float, accepted: float = 0.9) -> PolicyFile:
    """A policy of one profile; `accepted` is the share that it expects to accept at first."""
    expected = Expectation(
        gain=1.0, accepted_first=accepted, accepted_later=0.5, accepted_pair=0.5, retention=1.0
    )
    thresholds = Thresholds(
        direct=direct, accept_first=first, escalate_first=math.inf, accept_later=later
    )
    profile = Profile(
        target=1.0,
        thresholds=thresholds,
        expectations=(expected,),
        certified=False,
        delta=None,
        n_labels=0,
    )
    return PolicyFile(chain=("small", "large"), profiles=(profile,))


ACCEPT_ALL = policy(direct=math.inf, first=math.inf, later=math.inf)
REJECT_ALL = policy(direct=math.inf, first=-math.inf, later=-math.inf)
DIRECT = policy(direct=-math.inf, first=-math.inf, later=-math.inf)
ALWAYS_PAIRS = policy(direct=math.inf, first=-math.inf, later=math.inf, accepted=0.1)


def model(name: str, api_base: str, **more: Any) -> ModelConfig:
    """A model at `api_base` that is asked once, at a price of COSTS unless told otherwise."""
    given: dict[str, Any] = {"provider": "custom", "max_tokens": 1000, "max_retries": 0}
    if "cost" not in more:
        given["input_cost"], given["output_cost"] = COSTS.get(name, (1.0, 2.0))
    return ModelConfig(**{"name": name, "api_base": api_base, **given, **more})


def usd(name: str, *, prompt_tokens: int = 12, answer_tokens: int = 5) -> float:
    """What a call of a model of COSTS costs; by default with the usage that behaviours.py gives."""
    per_input, per_output = COSTS[name]
    return (prompt_tokens * per_input + answer_tokens * per_output) / 1e6


def wait_past_midnight(*, margin_s: float = 5.0) -> None:
    """Where a test counts by day: wait until (UTC's) is not about to end."""
    left_s = resets_in_s("daily", time.time())
    if left_s < margin_s:
        time.sleep(left_s)


def by_model(**behaviours: Behaviour) -> Behaviour:
    """Behaves as the model that is asked; names as in Python ("gpt_4o")."""

    def behave(request: Received) -> Script:
        return behaviours[str(request.body["model"]).replace("-", "_")](request)

    return behave
