"""Choosing by certificate: cheapest that holds, rarely one that does not, honest when unsure."""

from __future__ import annotations

import numpy as np
import pytest

from router.errors import NotEnoughLabelsError, UsageError
from training.bounds import Floats, margins
from training.policy_choice import Choice, choose_policy, labels_needed

N_POLICIES = 8
COST = np.linspace(0.9, 0.1, N_POLICIES)  # policy 0 is the most conservative


def ladder(rng: np.random.Generator, n: int, *, steepness: float) -> tuple[Floats, Floats]:
    """Margins of nested policies [N_POLICIES, n] at target .95, and each one's true retention.

    Policy k loses k * steepness of what the verifier (right 90% of the time) gets right.
    """
    right = rng.random(n) < 0.9
    difficulty = rng.random(n)
    lost = steepness * np.arange(N_POLICIES)
    routed = right & (difficulty >= lost[:, None])
    return margins(routed, right, 0.95), 1 - lost


def choose(x: Floats, **changes: object) -> Choice | None:
    given = {"target": 0.95, "delta": 0.1, "order": range(N_POLICIES), **changes}
    return choose_policy(x, COST, **given)  # type: ignore[arg-type]


def test_the_cheapest_certified_policy_is_chosen() -> None:
    x, retention = ladder(np.random.default_rng(0), 4000, steepness=0.012)
    choice = choose(x)
    assert choice is not None
    assert choice.index == max(choice.certified)
    assert retention[choice.index] >= 0.95 > retention[choice.index + 2]
    assert choice.n == 4000
    assert choice.p_value <= 0.1
    assert not choice.approximate


@pytest.mark.parametrize("method", ["hedged_capital", "exact_binomial"])
def test_false_certificates_are_as_rare_as_promised(method: str) -> None:
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(2000):
        x, retention = ladder(rng, 300, steepness=0.0251)  # policy 2 is just below the target
        try:
            choice = choose(x, method=method)
        except NotEnoughLabelsError:
            continue
        wrong += choice is not None and any(retention[p] < 0.95 for p in choice.certified)
    assert wrong / 2000 <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 2000)


def test_several_chains_share_the_error_and_the_best_wins() -> None:
    x, _ = ladder(np.random.default_rng(0), 4000, steepness=0.012)
    chains = [[7, 6], [0, 1, 2]]
    choice = choose(x, order=chains)
    assert choice is not None
    assert set(choice.certified) == {0, 1, 2}
    assert choice.index == 2


def test_a_chain_stops_at_its_first_failure() -> None:
    x, _ = ladder(np.random.default_rng(0), 4000, steepness=0.012)
    choice = choose(x, order=[0, 7, 1])
    assert choice is not None
    assert choice.certified == (0,)


def test_too_few_labels_says_how_many_would_do() -> None:
    x = np.tile(margins(np.ones(20), np.ones(20), 0.95), (N_POLICIES, 1))
    with pytest.raises(NotEnoughLabelsError, match=r"20 labelled prompts .* about \d+ would"):
        choose(x)


def test_the_number_of_labels_asked_for_is_enough() -> None:
    verifier = np.ones(40)
    for method in ("hedged_capital", "exact_binomial"):
        row = margins(verifier, verifier, 0.95)[0]
        need = labels_needed(row, target=0.95, delta=0.1, method=method)
        assert need is not None
        more = np.tile(row, 10)[:need][None, :]
        assert choose_policy(more, [1.0], target=0.95, delta=0.1, method=method, order=[0])


def test_no_policy_good_enough_is_none_not_a_plea_for_labels() -> None:
    x = np.tile(margins(np.zeros(500), np.ones(500), 0.95), (N_POLICIES, 1))
    assert choose(x) is None


def test_approximate_methods_are_marked() -> None:
    x, _ = ladder(np.random.default_rng(0), 4000, steepness=0.012)
    choice = choose(x, method="clt")
    assert choice is not None
    assert choice.approximate


@pytest.mark.parametrize(
    "changes",
    [
        {"order": []},
        {"order": [[0], []]},
        {"order": [0, 99]},
        {"method": "guess"},
        {"delta": 5},
        {"target": 95},
    ],
)
def test_bad_requests_are_refused(changes: dict[str, object]) -> None:
    x, _ = ladder(np.random.default_rng(0), 50, steepness=0.01)
    with pytest.raises(UsageError):
        choose(x, **changes)
