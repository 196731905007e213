"""How many examples the tests of random requests and replies take."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from hypothesis import HealthCheck, settings

__all__ = ["FUZZ", "examples"]

FUZZ: Final = int(os.environ.get("SLUICE_FUZZ", "1"))
"""How many times as many as in the usual run; beyond 1, others each time."""


def examples(count: int) -> Callable[[Any], Any]:
    """So many examples, or a multiple of them."""
    return settings(
        max_examples=count * FUZZ,
        derandomize=FUZZ == 1,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
