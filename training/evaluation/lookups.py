"""What evaluation and calibration look up of outcomes: prices, and prompts that belong together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from router.predictor import Predictor

from ..outcomes import Outcomes
from ..splits import group_prompts
from .benchmarks import Prices

__all__ = ["known_prices", "prompt_groups"]


def known_prices(outcomes: Outcomes, predictor: Predictor | None) -> Prices:
    """USD per 1M tokens of the models whose price the artifact knows."""
    if predictor is None:
        return {}
    known = {name: predictor.abilities.get(name) for name in outcomes.models}
    return {
        name: (one.input_cost, one.output_cost)
        for name, one in known.items()
        if one.input_cost is not None and one.output_cost is not None
    }


def prompt_groups(outcomes: Outcomes) -> npt.NDArray[np.int64]:
    """The group of each row: rewordings and repeats of one question together."""
    prompts, keys = outcomes.column("prompt"), outcomes.column("group_key")
    origins = outcomes.column("source")
    first: dict[str, int] = {}
    for index, prompt in enumerate(prompts):
        first.setdefault(str(prompt), index)
    rows = list(first.values())
    found = group_prompts(
        list(first), [keys[i] for i in rows], sources=[str(origins[i]) for i in rows]
    )
    group = dict(zip(first, found.tolist(), strict=True))
    return np.array([group[str(prompt)] for prompt in prompts], dtype=np.int64)
