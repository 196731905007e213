"""The production judge over the shipped artifact: what it reads, vetoes and explains."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from router.artifact import Artifact, load_artifact
from router.judge import ArtifactJudge, Demands
from router.policy import Assessment
from router.predictor import Predictor
from router.types import Check, Draft, Embedding, Prediction, Query
from router.validation.checks import Limits
from router.validation.validator import Validator

QUERY = Query.from_prompt("Janet has 3 apples and buys 4 more. How many has she?")
OTHER = Query.from_prompt("What is the capital of France?")
CHAIN = ("gpt-4o-mini", "claude-3-haiku", "gpt-4o")
RIGHT = Draft(text="3 + 4 = 7, so the answer is 7.", model="gpt-4o-mini")
SAME = Draft(text="She has 7 in the end.\n#### 7", model="claude-3-haiku")
WRONG = Draft(text="She has 12 in the end.\n#### 12", model="claude-3-haiku")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
ASKED = Query.from_prompt("How warm is it in Rome?", tools=TOOLS)


class Counting:
    """The artifact's predictor; remembers what it was asked."""

    def __init__(self, predictor: Predictor) -> None:
        self.predicted: list[Query] = []
        self.embedded: list[str] = []
        self._predictor = predictor

    def predict(self, query: Query, models: Sequence[str] | None = None) -> Prediction:
        self.predicted.append(query)
        return self._predictor.predict(query, models)

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding | None]:
        self.embedded.extend(texts)
        return self._predictor.embed_texts(texts)


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact()


@pytest.fixture(scope="module")
def validator(artifact: Artifact) -> Validator:
    return Validator(artifact)


@pytest.fixture(scope="module")
def shipped(artifact: Artifact) -> Predictor:
    return Predictor(artifact)


@pytest.fixture
def predictor(shipped: Predictor) -> Counting:
    return Counting(shipped)


@pytest.fixture
def judge(predictor: Counting, validator: Validator) -> ArtifactJudge:
    return ArtifactJudge(predictor, validator)


def demanding(predictor: Counting, validator: Validator, **demands: Any) -> ArtifactJudge:
    return ArtifactJudge(predictor, validator, demands=Demands(**demands))


def calling(arguments: Any, *, model: str = CHAIN[0], name: str = "weather") -> Draft:
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": model, "type": "function", "function": function}
    return Draft(text="", model=model, finish_reason="tool_calls", tool_calls=(call,))


def with_check(draft: Draft, passed: bool | None) -> Draft:
    return Draft(
        text=draft.text, model=draft.model, checks=(Check(name="execution", passed=passed),)
    )


# -- what is read, and how often --------------------------------------------------------------


def test_each_draft_is_read_once_however_many_stages_there_are(
    predictor: Counting, validator: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Draft] = []
    real = validator.read

    def reading(asked: Any, draft: Draft, *rest: Any, **more: Any) -> Any:
        read.append(draft)
        return real(asked, draft, *rest, **more)

    monkeypatch.setattr(validator, "read", reading)
    judge = ArtifactJudge(predictor, validator)
    judge.start(QUERY, CHAIN)
    drafts = [RIGHT, SAME, WRONG]
    for made in (1, 2, 3):
        judge.assess(QUERY, CHAIN, drafts[:made])
    assert read == drafts
    assert len(predictor.embedded) == 3
    assert predictor.predicted == [QUERY]


def test_stages_come_to_what_one_look_at_all_drafts_comes_to(
    predictor: Counting, validator: Validator
) -> None:
    by_stages = ArtifactJudge(predictor, validator)
    by_stages.start(QUERY, CHAIN)
    by_stages.assess(QUERY, CHAIN, [RIGHT])
    found = by_stages.assess(QUERY, CHAIN, [RIGHT, WRONG])
    at_once = ArtifactJudge(predictor, validator).assess(QUERY, CHAIN, [RIGHT, WRONG])
    assert found == at_once


def test_a_prediction_that_is_given_is_not_made_again(
    predictor: Counting, validator: Validator, shipped: Predictor
) -> None:
    prediction = shipped.predict(QUERY, (*CHAIN, "gpt-4"))
    judge = ArtifactJudge(predictor, validator, prediction=prediction)
    begun = judge.start(QUERY, CHAIN)
    judge.assess(QUERY, CHAIN, [RIGHT])
    assert predictor.predicted == []
    assert begun == Assessment(
        p_first=prediction.p_success[CHAIN[0]], p_verifier=prediction.p_success[CHAIN[-1]]
    )


def test_a_prediction_without_a_model_of_the_chain_is_made_anew(
    predictor: Counting, validator: Validator, shipped: Predictor
) -> None:
    prediction = shipped.predict(QUERY, CHAIN[:1])
    ArtifactJudge(predictor, validator, prediction=prediction).start(QUERY, CHAIN)
    assert predictor.predicted == [QUERY]


def test_another_query_is_judged_as_if_it_were_the_first(
    predictor: Counting, validator: Validator, shipped: Predictor
) -> None:
    judge = ArtifactJudge(predictor, validator, prediction=shipped.predict(QUERY, CHAIN))
    judge.start(QUERY, CHAIN)
    judge.assess(QUERY, CHAIN, [RIGHT])
    paris = Draft(text="The capital of France is Paris.", model=CHAIN[0])
    found = judge.assess(OTHER, CHAIN, [paris])
    fresh = ArtifactJudge(Counting(shipped), validator)
    assert found == fresh.assess(OTHER, CHAIN, [paris])
    assert predictor.predicted == [OTHER]
    assert len(judge.verdicts([paris], threshold=0.0)) == 1


# -- what may not be the answer ---------------------------------------------------------------


def test_replay_demands_nothing_and_vetoes_nothing(judge: ArtifactJudge) -> None:
    found = judge.assess(QUERY, CHAIN, [Draft(text="", model=CHAIN[0]), RIGHT])
    assert found.vetoed == frozenset()


def test_lengths_that_are_demanded_veto_the_draft_that_breaks_them(
    predictor: Counting, validator: Validator
) -> None:
    judge = demanding(predictor, validator, limits=Limits(min_chars=5, max_chars=60))
    short, long = Draft(text="7", model=CHAIN[0]), Draft(text="It is 7. " * 20, model=CHAIN[1])
    found = judge.assess(QUERY, CHAIN, [short, RIGHT, long])
    assert found.vetoed == {0, 2}
    assert found.best == 1
    verdicts = judge.verdicts([short, RIGHT, long], threshold=0.0)
    assert [one.accept for one in verdicts] == [False, True, False]
    assert "at least 5 wanted" in _check(verdicts[0], "length").detail


def test_a_probability_that_is_demanded_keeps_a_draft_from_being_accepted(
    predictor: Counting, validator: Validator
) -> None:
    free = demanding(predictor, validator)
    (p,) = free.assess(QUERY, CHAIN, [RIGHT]).p_drafts
    for demanded, doubted in ((p - 0.01, frozenset()), (p + 0.01, frozenset({0}))):
        judge = demanding(predictor, validator, p_acceptable=demanded)
        found = judge.assess(QUERY, CHAIN, [RIGHT])
        assert (found.doubted, found.vetoed) == (doubted, frozenset())
        assert found.stand_in == 0
        (verdict,) = judge.verdicts([RIGHT], threshold=0.0)
        assert verdict.threshold == pytest.approx(demanded)
        assert verdict.accept == (not doubted)


def test_an_answer_in_the_wrong_format_is_vetoed(predictor: Counting, validator: Validator) -> None:
    wanted = Query.from_prompt(QUERY.text, response_format={"type": "json_object"})
    judge = demanding(predictor, validator)
    json_draft = Draft(text='{"answer": 7}', model=CHAIN[1])
    assert judge.assess(wanted, CHAIN, [RIGHT, json_draft]).vetoed == {0}


def test_what_is_alike_is_for_the_caller_to_say(predictor: Counting, validator: Validator) -> None:
    query = Query.from_prompt("Describe the sea.")
    sea = (
        "The sea is wide and never still, its water is salty, and it covers most of the earth. In "
        "the deep it is dark and cold, and above it the winds drive the waves from coast to coast. "
    )
    one = Draft(text=f"{sea}Ships cross it by day and by night.", model=CHAIN[0])
    two = Draft(text=f"{sea}Whales sing to each other in it.", model=CHAIN[1])
    agreed = []
    for cosine in (0.5, 0.9999):
        judge = demanding(predictor, validator, same_meaning=cosine)
        judge.assess(query, CHAIN, [one, two])
        agreed.append(_check(judge.verdicts([one, two], threshold=0.0)[0], "agreement").passed)
    assert agreed == [True, False]


# -- what running a draft showed --------------------------------------------------------------


def test_code_that_fails_when_run_is_vetoed_and_worth_nothing(
    predictor: Counting, validator: Validator
) -> None:
    judge = demanding(predictor, validator)
    failed = with_check(RIGHT, False)
    assert judge.assess(QUERY, CHAIN, [failed]).vetoed == {0}
    (verdict,) = judge.verdicts([failed], threshold=0.0)
    assert (verdict.accept, verdict.p_acceptable) == (False, 0.0)
    assert _check(verdict, "execution").passed is False


def test_code_that_does_what_the_query_says_is_worth_much(judge: ArtifactJudge) -> None:
    odd = Draft(text="She might have 12, I am not sure.", model=CHAIN[0])
    (p,) = judge.assess(QUERY, CHAIN, [odd]).p_drafts
    (tried,) = judge.assess(QUERY, CHAIN, [with_check(odd, True)]).p_drafts
    assert p < 0.9 < tried
    pair = judge.assess(QUERY, CHAIN, [with_check(odd, True), SAME])
    assert pair.p_drafts[0] > 0.9
    assert pair.best == 0 or pair.p_drafts[1] > 0.9


def test_a_run_that_shows_nothing_changes_nothing(
    predictor: Counting, validator: Validator
) -> None:
    judge = demanding(predictor, validator)
    plain = judge.assess(QUERY, CHAIN, [RIGHT])
    assert judge.assess(QUERY, CHAIN, [with_check(RIGHT, None)]) == plain


# -- drafts that call tools -------------------------------------------------------------------


def test_a_lone_call_is_as_good_as_its_model_is_expected_to_be(
    predictor: Counting, validator: Validator, shipped: Predictor
) -> None:
    p_success = shipped.predict(ASKED, CHAIN).p_success
    found = demanding(predictor, validator).assess(ASKED, CHAIN, [calling({"city": "Rome"})])
    assert found.vetoed == frozenset()
    assert found.p_verifier == pytest.approx(p_success[CHAIN[-1]])
    assert found.correction == 0.0
    assert 0.0 < found.p_drafts[0] < 1.0


def test_calls_that_are_the_same_speak_for_each_other_and_others_against(
    judge: ArtifactJudge,
) -> None:
    one = calling({"city": "Rome"})
    (alone,) = judge.assess(ASKED, CHAIN, [one]).p_drafts
    same = judge.assess(ASKED, CHAIN, [one, calling({"city": "Rome"}, model=CHAIN[1])])
    differ = judge.assess(ASKED, CHAIN, [one, calling({"city": "Oslo"}, model=CHAIN[1])])
    says = judge.assess(ASKED, CHAIN, [one, Draft(text="It is warm.", model=CHAIN[1])])
    assert differ.p_drafts[0] < alone < same.p_drafts[0]
    assert says.p_drafts[0] < alone


def test_a_call_that_does_not_fit_its_schema_is_vetoed(
    predictor: Counting, validator: Validator
) -> None:
    judge = demanding(predictor, validator)
    drafts = [
        calling({"town": "Rome"}),
        calling({"city": "Rome"}, model=CHAIN[1]),
        calling({"city": "Rome"}, model="x", name="climate"),
    ]
    found = judge.assess(ASKED, CHAIN, drafts)
    assert (found.vetoed, found.best) == ({0, 2}, 1)
    verdicts = judge.verdicts(drafts, threshold=0.0)
    assert [_check(one, "tool_calls").passed for one in verdicts] == [False, True, False]
    assert "climate" in _check(verdicts[2], "tool_calls").detail


# -- verdicts ---------------------------------------------------------------------------------


def test_verdicts_are_in_the_order_of_the_drafts_and_against_the_threshold(
    judge: ArtifactJudge,
) -> None:
    drafts = [WRONG, RIGHT]
    found = judge.assess(QUERY, CHAIN, drafts)
    low, high = sorted(found.p_drafts)
    between = (low + high) / 2
    verdicts = judge.verdicts(drafts, threshold=between)
    assert [one.threshold for one in verdicts] == [between, between]
    assert [one.accept for one in verdicts] == [p >= between for p in found.p_drafts]
    assert [one.p_acceptable for one in verdicts] == pytest.approx(list(found.p_drafts))


@pytest.mark.parametrize(
    ("threshold", "told"), [(-0.4, 0.0), (float("-inf"), 0.0), (1.7, 1.0), (float("inf"), 1.0)]
)
def test_a_threshold_is_told_as_a_probability(
    judge: ArtifactJudge, threshold: float, told: float
) -> None:
    judge.assess(QUERY, CHAIN, [RIGHT])
    (verdict,) = judge.verdicts([RIGHT], threshold=threshold)
    assert verdict.threshold == told
    assert verdict.accept is (told == 0.0)


def test_before_any_assessment_there_is_no_verdict(judge: ArtifactJudge) -> None:
    judge.start(QUERY, CHAIN)
    assert judge.verdicts([], threshold=0.5) == ()


def _check(verdict: Any, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)
