"""Choose the cheapest policy that held-out outcomes certify (Learn-then-Test, 2110.01052)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.errors import NotEnoughLabelsError, UsageError

from .bounds import APPROXIMATE, Floats, p_values

__all__ = ["Choice", "choose_policy", "labels_needed"]

_MOST_LABELS = 200_000


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The policy chosen, and what it was chosen from.

    certified: numbers of all policies certified together with error <= delta, cheapest first.
    p_value: that of the chosen one. n: independent prompts (groups) it rests on.
    """

    index: int
    certified: tuple[int, ...]
    p_value: float
    n: int
    method: str
    approximate: bool


def choose_policy(
    X: Floats,
    cost: npt.ArrayLike,
    *,
    target: float,
    delta: float,
    method: str = "hedged_capital",
    order: Sequence[Sequence[int]] | Sequence[int],
    tell_need: bool = True,
) -> Choice | None:
    """The cheapest policy certified to keep `target` of the verifier's quality, or None.

    X: margins [n_policies, n_prompts] of bounds.py, prompts independent; cost: [n_policies], any
    unit. `order` is one chain of policy numbers, or several, each from the most conservative
    policy to the cheapest. Fixed-sequence testing walks each chain while p <= delta / n_chains and
    stops at the first failure, so the chance that any certified policy falls short is <= delta.
    That holds only if the chains were fixed without looking at X: by thresholds, or on other
    prompts. Leave out the policy that always asks the verifier; it needs no certificate.

    None: no chain can begin, and no first policy keeps the target even as a point estimate, so
    the verifier it is. NotEnoughLabelsError: none can begin, though one seems to keep the target;
    the message says about how many labelled prompts would do, unless `tell_need` is off (it takes
    a while to find out).
    """
    prices = np.asarray(cost, dtype=np.float64)
    chains = _chains(order, len(X))
    if prices.shape != (len(X),):
        raise UsageError(f"{prices.shape} costs for {len(X)} policies, expected one each")
    level = delta / len(chains)
    p = p_values(X, target, method=method, delta=level)
    certified = {policy for chain in chains for policy in _walk(chain, p, level)}
    if not certified:
        starts = [chain[0] for chain in chains]
        _raise_if_hopeful(X, starts, target, level, method, tell_need=tell_need)
        return None
    ranked = tuple(sorted(certified, key=lambda policy: (float(prices[policy]), policy)))
    return Choice(
        index=ranked[0],
        certified=ranked,
        p_value=float(p[ranked[0]]),
        n=X.shape[1],
        method=method,
        approximate=method in APPROXIMATE,
    )


def labels_needed(margin: Floats, *, target: float, delta: float, method: str) -> int | None:
    """About how many prompts like these would certify this policy; None above 200,000.

    margin: [n_prompts]. The same spread of margins is stretched until the p-value reaches
    `delta`; luck aside, that is when a test succeeds half the time.
    """
    values = np.sort(np.asarray(margin, dtype=np.float64))
    n, size = len(values), float(len(values))
    while size <= _MOST_LABELS:
        count = int(size)
        stretched = values[((np.arange(count) + 0.5) * n / count).astype(np.int64)]
        if p_values(stretched[None, :], target, method=method, delta=delta)[0] <= delta:
            return count
        size *= 1.15
    return None


def _chains(order: Sequence[Sequence[int]] | Sequence[int], n: int) -> list[list[int]]:
    """`order` as non-empty lists of policy numbers in 0..n-1."""
    nested = [list(item) if isinstance(item, Sequence) else [int(item)] for item in order]
    single = all(not isinstance(item, Sequence) for item in order)
    chains = [[policy for item in nested for policy in item]] if single else nested
    policies = [policy for chain in chains for policy in chain]
    if not policies or not all(chains) or min(policies) < 0 or max(policies) >= n:
        expected = f"non-empty chains of numbers 0..{n - 1}"
        raise UsageError(
            f"order names {len(policies)} policies, expected {expected}", param="order"
        )
    return chains


def _walk(chain: Sequence[int], p: Floats, level: float) -> list[int]:
    """The policies of the chain before the first whose p-value is above `level`."""
    failed = p[list(chain)] > level
    return list(chain[: int(np.argmax(failed))] if failed.any() else chain)


def _raise_if_hopeful(
    X: Floats,
    starts: Sequence[int],
    target: float,
    level: float,
    method: str,
    *,
    tell_need: bool,
) -> None:
    """NotEnoughLabelsError if the first policy of a chain keeps the target as a point estimate."""
    hopeful = [policy for policy in starts if X[policy].mean() > 0]
    if not hopeful:
        return
    about = "more"
    if tell_need:
        needs = [labels_needed(X[p], target=target, delta=level, method=method) for p in hopeful]
        known = [need for need in needs if need is not None]
        about = f"about {_two_digits(min(known)):,}" if known else f"more than {_MOST_LABELS:,}"
    raise NotEnoughLabelsError(
        f"not enough labels: {X.shape[1]:,} labelled prompts cannot show that any routing keeps"
        f" {target:.1%} of the verifier's quality with confidence {1 - level:.1%};"
        f" {about} would be needed. Label more, lower the target or the confidence,"
        " or keep asking the verifier"
    )


def _two_digits(number: int) -> int:
    """Rounded up to two significant digits: an estimate should look like one."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return -(-number // unit) * unit
