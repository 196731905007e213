"""How sure held-out outcomes make us that a policy keeps the quality asked for.

A policy keeps a share `target` of the verifier's quality when E[r] >= target * E[v], r being the
quality of its answer to a prompt and v that of the verifier's, both in 0..1. Per prompt that is
the margin X = r - target * v in [-target, 1], and the question E[X] >= 0. Each function gives a
p-value for "E[X] < 0", for many policies at once: margins float64 [n_policies, n_prompts] ->
float64 [n_policies]. Prompts must be independent: average repeats first (`group_margins`).

Valid at any sample size: hoeffding_bentkus, exact_binomial, empirical_bernstein, hedged_capital.
clt is approximate and marked so. policy_choice.py turns p-values into a choice.

Which is tightest where answers differ on 1-3% of prompts (simulated power at n = 500, level .05;
tests/training/test_bounds.py keeps the order): exact_binomial where the policy only loses,
hedged_capital as soon as it also wins; the Bernstein and Bentkus bounds certify almost nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, t

from router.errors import UsageError

__all__ = [
    "APPROXIMATE",
    "METHODS",
    "clt",
    "empirical_bernstein",
    "exact_binomial",
    "group_margins",
    "hedged_capital",
    "hoeffding_bentkus",
    "margins",
    "p_values",
]

Floats = npt.NDArray[np.float64]
PValues = Callable[[Floats, float], Floats]  # (margins, target) -> p-values

_SHUFFLE_SEED = 20_211_031


def margins(quality: npt.ArrayLike, verifier_quality: npt.ArrayLike, target: float) -> Floats:
    """X = r - target * v; quality [n_policies, n_prompts], verifier_quality [n_prompts]."""
    _check_target(target)
    routed = np.atleast_2d(np.asarray(quality, dtype=np.float64))
    verifier = np.asarray(verifier_quality, dtype=np.float64)
    return np.asarray(routed - target * verifier, dtype=np.float64)


def group_margins(X: Floats, groups: npt.ArrayLike) -> Floats:
    """Mean margin of each group (repeats, rewordings); float64 [n_policies, n_groups].

    Groups then count alike, so the statement is about the mean over groups, not over rows.
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    if codes.shape != X.shape[1:]:
        found = f"{len(codes)} groups for {X.shape[1]} prompts"
        raise UsageError(f"{found}, expected one each", param="groups")
    sums = np.stack([np.bincount(codes, weights=row) for row in X])
    return np.asarray(sums / np.bincount(codes), dtype=np.float64)


def hoeffding_bentkus(X: Floats, target: float) -> Floats:
    """min(Hoeffding-Chernoff, Bentkus) on the loss (1 - X) / (1 + target).

    Bates et al. 2101.02703, sec. 3.1. It does not see that the variance is small
    where answers rarely differ: very loose here, kept to compare with.
    """
    loss = (1.0 - _check(X, target)) / (1.0 + target)
    n = X.shape[1]
    alpha = 1.0 / (1.0 + target)
    risk = np.clip(loss.mean(axis=1), 0.0, 1.0)
    below = np.minimum(risk, alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        zero_part = np.where(below > 0, below * np.log(below / alpha), 0.0)
        one_part = np.where(below < 1, (1 - below) * np.log((1 - below) / (1 - alpha)), 0.0)
    chernoff = np.exp(-n * (zero_part + one_part))
    bentkus = np.e * binom.cdf(np.ceil(n * risk - 1e-9), n, alpha)
    return np.asarray(np.minimum(1.0, np.minimum(chernoff, bentkus)), dtype=np.float64)


def exact_binomial(X: Floats, target: float) -> Floats:
    """P(Bin(n right, 1 - target) <= n lost), exact when the policy can only lose; binary outcomes.

    Of the prompts the verifier gets right, the policy loses some; retention is 1 - P(lost | right)
    plus what it wins elsewhere. Wins are ignored, which is valid and costs power. Read off the
    four values X can take; averaged groups and scores are refused (UsageError).
    """
    margin = _check(X, target)
    kept = np.isclose(margin, 1.0 - target, atol=1e-9)
    lost = np.isclose(margin, -target, atol=1e-9)
    other = np.isclose(margin, 0.0, atol=1e-9) | np.isclose(margin, 1.0, atol=1e-9)
    if target == 1.0 or not (kept | lost | other).all():
        raise UsageError(
            "exact_binomial needs right/wrong outcomes, one prompt a group and a target below 1;"
            " use hedged_capital for anything else",
            param="method",
        )
    n_lost = lost.sum(axis=1)
    p = binom.cdf(n_lost, n_lost + kept.sum(axis=1), 1.0 - target)
    return np.asarray(p, dtype=np.float64)


def empirical_bernstein(X: Floats, target: float) -> Floats:
    """Inverse of Maurer & Pontil 2009, theorem 4: mean - sqrt(2 V u / n) - 7 R u / (3 (n - 1)).

    R = 1 + target is the range, V the sample variance, p = 2 exp(-u) at the u that makes it 0.
    """
    margin = _check(X, target)
    n = margin.shape[1]
    if n < 2:
        return np.ones(len(margin))
    mean, variance = margin.mean(axis=1), margin.var(axis=1, ddof=1)
    linear = 7 * (1.0 + target) / (3 * (n - 1))
    root = np.sqrt(2 * variance / n)
    u = ((np.sqrt(root**2 + 4 * linear * np.maximum(mean, 0.0)) - root) / (2 * linear)) ** 2
    return np.asarray(np.minimum(1.0, 2 * np.exp(-u)), dtype=np.float64)


def hedged_capital(X: Floats, target: float, delta: float = 0.05) -> Floats:
    """1 / the largest capital of a predictable bettor (Waudby-Smith & Ramdas 2010.09686).

    Capital prod(1 + b_i X_i) is a supermartingale when E[X] <= 0, so Ville's inequality bounds its
    maximum. b_i = sqrt(2 log(1/delta) / (n V_{i-1})), cut to 0.9 of the largest allowed, where
    V_{i-1} is the variance of what came before, started with one imagined 1/4 of range^2. `delta`
    only tunes the bets. Prompts are taken in one fixed shuffled order, the same for all policies,
    so that an order in the file (by set, by difficulty) does not matter.
    """
    margin = _check(X, target)
    n = margin.shape[1]
    order = np.random.default_rng(_SHUFFLE_SEED).permutation(n)
    shuffled = margin[:, order]
    counts = np.arange(1, n + 1)
    seen_mean = np.cumsum(shuffled, axis=1) / (counts + 1)
    spread = 0.25 * (1.0 + target) ** 2
    variance = (spread + np.cumsum((shuffled - seen_mean) ** 2, axis=1)) / (counts + 1)
    before = np.concatenate([np.full((len(margin), 1), spread), variance[:, :-1]], axis=1)
    bets = np.minimum(np.sqrt(2 * np.log(1 / delta) / (n * before)), 0.9 / target)
    capital = np.cumsum(np.log1p(bets * shuffled), axis=1)
    return np.asarray(np.exp(-np.maximum(capital.max(axis=1), 0.0)), dtype=np.float64)


def clt(X: Floats, target: float) -> Floats:
    """Student's t test. APPROXIMATE: with few disagreements it errs more often than it says.

    One imagined loss (X = -target) is added, in the spirit of Agresti & Coull 1998, since without
    any disagreement the plain test would be certain after two prompts.
    """
    margin = _check(X, target)
    padded = np.concatenate([margin, np.full((len(margin), 1), -target)], axis=1)
    n = padded.shape[1]
    error = padded.std(axis=1, ddof=1) / np.sqrt(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = padded.mean(axis=1) / error
    return np.where(error > 0, t.sf(statistic, n - 1), 1.0)


def p_values(X: Floats, target: float, *, method: str, delta: float) -> Floats:
    """The p-values of one of `METHODS`; `delta`, the level they will meet, tunes hedged_capital."""
    if method not in METHODS:
        raise UsageError(f"method is {method!r}, expected {sorted(METHODS)}", param="method")
    if not 0 < delta < 1:
        raise UsageError(f"delta is {delta}, expected between 0 and 1", param="delta")
    if method == "hedged_capital":
        return hedged_capital(X, target, delta)
    return METHODS[method](X, target)


METHODS: dict[str, PValues] = {
    "clt": clt,
    "empirical_bernstein": empirical_bernstein,
    "exact_binomial": exact_binomial,
    "hedged_capital": hedged_capital,
    "hoeffding_bentkus": hoeffding_bentkus,
}
APPROXIMATE = frozenset({"clt"})


def _check_target(target: float) -> None:
    if not 0 < target <= 1:
        raise UsageError(f"target is {target}, expected in 0..1 (0.98 keeps 98%)", param="target")


def _check(X: Floats, target: float) -> Floats:
    """The margins, if they are float [n_policies, n_prompts > 0] within [-target, 1]."""
    _check_target(target)
    margin = np.asarray(X, dtype=np.float64)
    if margin.ndim != 2 or not margin.size:
        raise UsageError(f"margins of shape {margin.shape}, expected [n_policies, n_prompts]")
    low, high = float(margin.min()), float(margin.max())
    if not (low >= -target - 1e-9 and high <= 1 + 1e-9):
        found = f"margins from {low:.4g} to {high:.4g}"
        raise UsageError(f"{found}, expected {-target} to 1 and no NaN; are qualities in 0..1?")
    return margin
