"""Outcomes made here: sums that three models answer, each wrong in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

MODELS = ("tiny", "small", "big")
ACCURACY = {"tiny": 0.8, "small": 0.82, "big": 0.95}
COST_USD = {"tiny": 0.001, "small": 0.002, "big": 0.03}
N = 240


def made_up(n: int = N, *, source: str = "sums", models: Sequence[str] = MODELS) -> pa.Table:
    """Sums: models are right at random, and wrong each in its own way."""
    generator = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for i in range(n):
        a, b = (int(x) for x in generator.integers(10, 99, 2))
        for j, model in enumerate(models):
            correct = bool(generator.random() < ACCURACY.get(model, 0.5))
            found = a + b if correct else a + b + 1 + j
            rows.append(
                {
                    "source": source,
                    "prompt_id": f"q{i}",
                    "prompt": f"Case {i}: what is {a} + {b}?",
                    "model": model,
                    "response": f"{a} + {b} = {found}. The answer is {found}.",
                    "correct": correct,
                    "cost_usd": COST_USD.get(model, 0.01),
                }
            )
    return pa.Table.from_pylist(rows)
