"""Bounds: they err no more often than they say, and are as strong as documented."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from router.errors import UsageError
from training.bounds import (
    APPROXIMATE,
    METHODS,
    Floats,
    exact_binomial,
    group_margins,
    margins,
    p_values,
)


def simulate(
    *, n: int, right: float, lost: float, won: float, target: float, reps: int, seed: int = 0
) -> Floats:
    """Margins of `reps` calibrations: the verifier is right with probability `right`, the policy
    loses and wins with these (joint) probabilities; float64 [reps, n]."""
    u = np.random.default_rng(seed).random((reps, n))
    verifier = u < right
    routed = (verifier & (u >= lost)) | (~verifier & (u < right + won))
    return np.asarray(routed - target * verifier, dtype=np.float64)


def power(method: str, **setting: float) -> float:
    target = setting.get("target", 0.98)
    x = simulate(n=500, reps=1000, **{"right": 0.95, "target": target, **setting})  # type: ignore[arg-type]
    return float((p_values(x, target, method=method, delta=0.05) <= 0.05).mean())


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize(
    ("target", "delta", "right", "won"),
    [(0.98, 0.05, 0.95, 0.0), (0.98, 0.05, 0.75, 0.02), (0.95, 0.1, 0.9, 0.01)],
)
def test_a_policy_at_the_very_edge_is_rarely_certified(
    method: str, target: float, delta: float, right: float, won: float
) -> None:
    lost = (1 - target) * right + won  # retention is exactly the target
    x = simulate(n=400, right=right, lost=lost, won=won, target=target, reps=2000)
    share = float((p_values(x, target, method=method, delta=delta) <= delta).mean())
    noise = 3 * np.sqrt(delta * (1 - delta) / 2000)
    assert share <= delta + (noise if method not in APPROXIMATE else 0.02)


def test_order_of_strength_with_rare_disagreements() -> None:
    only_losses = {method: power(method, lost=0.005, won=0.0) for method in METHODS}
    assert only_losses["exact_binomial"] > only_losses["hedged_capital"] > 0.6
    both = {method: power(method, lost=0.015, won=0.015) for method in METHODS}
    assert both["hedged_capital"] > 0.4 > both["exact_binomial"]
    for weak in ("empirical_bernstein", "hoeffding_bentkus"):
        assert both[weak] < 0.05


def test_exact_binomial_counts_losses_among_what_the_verifier_gets_right() -> None:
    verifier = np.array([1.0] * 100 + [0.0] * 20)
    routed = verifier.copy()
    routed[:3] = 0
    routed[110] = 1
    found = exact_binomial(margins(routed, verifier, 0.95), 0.95)
    assert found[0] == pytest.approx(binom.cdf(3, 100, 0.05))


def test_exact_binomial_refuses_scores() -> None:
    with pytest.raises(UsageError, match="right/wrong"):
        exact_binomial(margins([0.5, 1.0], [1.0, 1.0], 0.9), 0.9)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"exact_binomial"}))
def test_scores_between_0_and_1_are_fine(method: str) -> None:
    rng = np.random.default_rng(1)
    verifier = rng.random(4000)
    good = np.minimum(1.0, verifier + 0.2 * rng.random(4000))
    bad = 0.8 * verifier
    p = p_values(margins([good, bad], verifier, 0.95), 0.95, method=method, delta=0.05)
    assert p[0] < 0.05 < p[1]


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("n", [1, 2, 20])
def test_a_handful_of_prompts_certifies_nothing(method: str, n: int) -> None:
    p = p_values(margins(np.ones(n), np.ones(n), 0.98), 0.98, method=method, delta=0.05)
    assert 0.05 < p[0] <= 1.0


@pytest.mark.parametrize("method", sorted(METHODS))
def test_always_losing_has_p_of_one(method: str) -> None:
    p = p_values(margins(np.zeros(50), np.ones(50), 0.98), 0.98, method=method, delta=0.05)
    assert p[0] == pytest.approx(1.0, abs=1e-3)


def test_repeats_are_averaged_within_their_group() -> None:
    x = np.array([[0.0, 1.0, 0.5, 0.5]])
    assert group_margins(x, ["a", "a", "b", "c"]).tolist() == [[0.5, 0.5, 0.5]]
    with pytest.raises(UsageError, match="groups"):
        group_margins(x, ["a"])


@pytest.mark.parametrize(
    ("x", "target"), [([[2.0]], 0.9), ([[np.nan]], 0.9), ([[0.1]], 98.0), ([0.1], 0.9)]
)
def test_margins_out_of_range_are_refused(x: list[list[float]], target: float) -> None:
    with pytest.raises(UsageError):
        p_values(np.array(x), target, method="hedged_capital", delta=0.05)
