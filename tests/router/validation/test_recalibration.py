"""The last layer: leaves well alone, follows log-probabilities, refuses weights that do not fit."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import InputError
from router.validation.recalibration import (
    HEADS,
    UNCHANGED,
    Recalibration,
    logprob_logit,
    pair_inputs,
    sigmoid,
    single_inputs,
    verifier_inputs,
)

LOGIT = st.floats(-30, 30)
LOGPROB = st.one_of(st.just(math.nan), st.floats(-60, 0))


@given(LOGIT, st.booleans())
def test_without_log_probabilities_nothing_changes(logit: float, same: bool) -> None:
    plain = sigmoid(logit)
    nan = math.nan
    assert UNCHANGED.apply("single", single_inputs(logit, nan)) == pytest.approx(plain)
    assert UNCHANGED.apply("pair", pair_inputs(logit, nan, nan, same=same)) == pytest.approx(plain)
    verifier = verifier_inputs(logit, nan, nan, same=same)
    assert UNCHANGED.apply("verifier", verifier) == pytest.approx(plain)


@given(LOGIT, LOGPROB, LOGPROB, st.booleans())
def test_every_head_takes_its_inputs_and_gives_a_probability(
    logit: float, logprob: float, peer: float, same: bool
) -> None:
    given_inputs = {
        "single": single_inputs(logit, logprob),
        "pair": pair_inputs(logit, logprob, peer, same=same),
        "verifier": verifier_inputs(logit, logprob, peer, same=same),
    }
    assert set(given_inputs) == {"single", "pair", "verifier"}
    for head, inputs in given_inputs.items():
        assert len(inputs) == len(HEADS[head])
        assert 0.0 <= UNCHANGED.apply(head, inputs) <= 1.0


def test_the_shipped_corrections_correct_nothing() -> None:
    for head in ("gain_first", "gain_later"):
        assert not UNCHANGED.corrects(head)
        assert UNCHANGED.weigh(head, (3.0,) * len(HEADS[head])) == 0.0


@pytest.mark.parametrize("same", [True, False])
def test_a_surer_draft_is_never_less_probable(same: bool) -> None:
    sureness = [-60.0, -5.0, -1.0, -0.5, -0.1, -0.01, -1e-4, 0.0]
    alone = [UNCHANGED.apply("single", single_inputs(0.3, one)) for one in sureness]
    paired = [UNCHANGED.apply("pair", pair_inputs(0.3, one, -0.2, same=same)) for one in sureness]
    for before, after in itertools.chain(itertools.pairwise(alone), itertools.pairwise(paired)):
        assert before <= after
    assert alone[0] < alone[-1]


def test_a_sure_peer_counts_for_agreement_and_against_disagreement() -> None:
    def p(peer: float, *, same: bool) -> float:
        return UNCHANGED.apply("pair", pair_inputs(0.0, -0.1, peer, same=same))

    assert p(-0.01, same=True) > p(-2.0, same=True)
    assert p(-0.01, same=False) < p(-2.0, same=False)


def test_the_log_odds_of_a_log_probability() -> None:
    assert logprob_logit(math.log(0.5)) == pytest.approx(0.0, abs=1e-9)
    assert math.isnan(logprob_logit(math.nan))
    assert logprob_logit(0.0) == 20.0
    assert logprob_logit(-math.inf) == -20.0
    assert logprob_logit(-1e-7) > logprob_logit(-1e-6) > logprob_logit(-1e-4)


def test_the_logistic_function_does_not_overflow() -> None:
    assert sigmoid(-1e6) == 0.0
    assert sigmoid(1e6) == 1.0


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("broken", ["short", "long", "nan", "inf"])
def test_weights_that_do_not_fit_are_refused_by_name(head: str, broken: str) -> None:
    weights = {name: getattr(UNCHANGED, name) for name in HEADS}
    own = weights[head]
    weights[head] = {
        "short": own[:-1],
        "long": (*own, 0.0),
        "nan": (*own[:-1], math.nan),
        "inf": (*own[:-1], math.inf),
    }[broken]
    with pytest.raises(InputError, match=head) as caught:
        Recalibration(**weights)
    assert caught.value.param == head


def test_inputs_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        UNCHANGED.apply("single", (1.0,))
