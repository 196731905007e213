"""The decision core: every branch, exact ties, and thresholds that are infinite or no numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import InputError
from router.policy import CONSERVATIVE, Assessment, Step, Thresholds, next_step


def limits(**changes: float) -> Thresholds:
    given = {"direct": 0.5, "accept_first": 0.1, "escalate_first": 0.6, "accept_later": 0.2}
    return Thresholds(**{**given, **changes})


def known(p_verifier: float, *p_drafts: float, p_first: float = 0.5) -> Assessment:
    return Assessment(p_first=p_first, p_verifier=p_verifier, p_drafts=p_drafts)


DRAFT, ESCALATE = Step(kind="draft"), Step(kind="escalate")


@pytest.mark.parametrize(
    ("assessment", "n_drafters", "step"),
    [
        # Before any draft: the predicted gain decides, and a tie drafts.
        (known(0.9, p_first=0.3), 2, ESCALATE),
        (known(0.75, p_first=0.25), 2, DRAFT),
        (known(0.9, p_first=0.9), 0, ESCALATE),
        # After one draft: accept, escalate at once, or ask the next.
        (known(0.9, 0.85), 2, Step(kind="accept", draft=0)),
        (known(0.9, 0.2), 2, ESCALATE),
        (known(0.9, 0.5), 2, DRAFT),
        (known(0.9, 0.5), 1, ESCALATE),
        # Later: the best draft, the earliest of equals.
        (known(0.9, 0.3, 0.75), 2, Step(kind="accept", draft=1)),
        (known(0.9, 0.8, 0.8), 2, Step(kind="accept", draft=0)),
        (known(0.9, 0.3, 0.4), 2, ESCALATE),
        (known(0.9, 0.1, 0.2), 3, DRAFT),
        (known(0.9, 0.1, 0.2, 0.85), 3, Step(kind="accept", draft=2)),
        (known(0.9, 0.1, 0.2, 0.3), 3, ESCALATE),
        # Where both would fail, escalation buys nothing.
        (known(0.05, 0.01), 1, Step(kind="accept", draft=0)),
    ],
)
def test_every_branch(assessment: Assessment, n_drafters: int, step: Step) -> None:
    assert next_step(assessment, limits(), n_drafters=n_drafters) == step


def test_gain_is_what_escalating_buys_over_the_best_draft() -> None:
    assert known(0.9, p_first=0.4).gain == pytest.approx(0.5)
    assert known(0.9, 0.2, 0.7, 0.1, p_first=0.95).gain == pytest.approx(0.2)
    assert known(0.2, 0.7).gain == pytest.approx(-0.5)


def test_the_best_draft_is_the_earliest_of_equals() -> None:
    assert known(0.5, 0.1, 0.9, 0.9).best == 1


def test_a_vetoed_draft_is_never_accepted_and_escalating_is_worth_everything_then() -> None:
    always = limits(direct=math.inf, accept_first=math.inf, accept_later=math.inf)
    alone = Assessment(p_first=0.5, p_verifier=0.1, p_drafts=(0.9,), vetoed=frozenset({0}))
    assert alone.best is None
    assert alone.gain == math.inf
    assert next_step(alone, always, n_drafters=1) == ESCALATE
    beside = Assessment(p_first=0.5, p_verifier=0.1, p_drafts=(0.9, 0.2), vetoed=frozenset({0}))
    assert next_step(beside, always, n_drafters=2) == Step(kind="accept", draft=1)
    assert beside.gain == pytest.approx(-0.1)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 3))
def test_the_conservative_policy_goes_straight_to_the_verifier(
    first: float, verifier: float, n_drafters: int
) -> None:
    found = Assessment(p_first=first, p_verifier=verifier)
    assert next_step(found, CONSERVATIVE, n_drafters=n_drafters) == ESCALATE


@given(st.floats(0, 1), st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=3))
def test_infinite_limits_mean_always_and_never(
    first: float, verifier: float, drafts: list[float]
) -> None:
    found = Assessment(p_first=first, p_verifier=verifier, p_drafts=tuple(drafts))
    eager = Thresholds(
        direct=math.inf, accept_first=math.inf, escalate_first=math.inf, accept_later=math.inf
    )
    assert next_step(found, eager, n_drafters=3).kind == "accept"
    patient = limits(accept_first=-math.inf, accept_later=-math.inf, escalate_first=math.inf)
    wanted = "draft" if len(drafts) < 3 else "escalate"
    assert next_step(found, patient, n_drafters=3).kind == wanted


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.lists(st.floats(0, 1), max_size=3),
    st.lists(st.floats(allow_nan=False), min_size=4, max_size=4),
    st.integers(0, 3),
)
def test_no_drafter_is_asked_beyond_the_last(
    first: float, verifier: float, drafts: list[float], chosen: list[float], n_drafters: int
) -> None:
    thresholds = Thresholds(
        direct=chosen[0],
        accept_first=chosen[1],
        escalate_first=chosen[2],
        accept_later=chosen[3],
    )
    made = tuple(drafts[:n_drafters])
    found = Assessment(p_first=first, p_verifier=verifier, p_drafts=made)
    step = next_step(found, thresholds, n_drafters=n_drafters)
    if step.kind == "draft":
        assert len(made) < n_drafters
    if step.kind == "accept":
        assert made
        assert step.draft is not None
        assert made[step.draft] == max(made)


@pytest.mark.parametrize("name", ["direct", "accept_first", "escalate_first", "accept_later"])
def test_nan_is_no_threshold(name: str) -> None:
    with pytest.raises(InputError, match=name) as caught:
        limits(**{name: math.nan})
    assert caught.value.param == name
