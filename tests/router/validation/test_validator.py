"""The validator's contracts, with a tiny artifact and, where a complete one is there, the shipped.

What a trained artifact is worth is measured by `sluice evaluate`; here it must keep its promises.
"""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from router.artifact import Artifact, load_artifact
from router.errors import ArtifactError, ArtifactForeignError, ArtifactMissingError
from router.types import Draft, Prediction, Query
from router.validation.checks import Limits
from router.validation.features import query_evidence
from router.validation.recalibration import UNCHANGED, Recalibration
from router.validation.validator import Validator
from tests.tiny_validator import CREATED, tiny_validator_files, write_tiny_validator
from training.export_artifact import write_artifact

FILES = ("validator.json", "validator_single.onnx", "validator_pair.onnx")
QUERY = Query.from_prompt("Janet has 3 apples and buys 4 more. How many has she?")
RIGHT = Draft(text="3 + 4 = 7, so the answer is 7.", model="small")
SAME = Draft(text="She has 7 in the end.\n#### 7", model="middle")
OTHER = Draft(text="She has 12 in the end.\n#### 12", model="middle")

# (question, one answer, another way to say it, another answer)
CASES = [
    ("What is 3 + 4?", "The answer is 7.", "3 + 4 = 7\n#### 7", "It is 8.\n#### 8"),
    ("What is 12 * 12?", "#### 144", "The answer is 144.", "The answer is 124."),
    ("What is half of 90?", "\\boxed{45}", "Half of it is 45.\n#### 45", "\\boxed{40}"),
    ("Which?\nA) oxygen\nB) helium", "(B)", "The answer is B) helium.", "The answer is (A)."),
    ("Which?\nA) Rome\nB) Paris\nC) Oslo", "The answer is (C).", "C", "B"),
    ("sorted([2, 1])?", "The answer is [1, 2]", "[1,2]", "The answer is [2, 1]"),
]


def shipped() -> Artifact | None:
    """The default artifact, if there is one that holds a whole validator."""
    try:
        artifact = load_artifact(verify=False)
        for name in (*FILES, "validator_escalation.onnx"):
            artifact.path(name)
    except ArtifactError:
        return None
    return artifact


@pytest.fixture(scope="module", params=["tiny", "shipped"])
def validator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Validator:
    if request.param == "tiny":
        root = tmp_path_factory.mktemp("models")
        return Validator(load_artifact(root, write_tiny_validator(root)))
    artifact = shipped()
    if artifact is None:
        pytest.skip("no complete artifact has been promoted in this checkout")
    return Validator(artifact)


def prediction(p: float = 0.8) -> Prediction:
    names = ("small", "middle", "large")
    return Prediction(
        domain="MATH",
        domain_confidence=0.9,
        domains={"MATH": 1.0},
        p_success=dict(zip(names, (p - 0.1, p, p + 0.1), strict=True)),
        p_typical=p,
        output_tokens=dict.fromkeys(names, 50.0),
        input_tokens=20.0,
        embedding=np.zeros(4, dtype=np.float32),
        artifact="made-up",
    )


def p_pair(validator: Validator, question: str, one: str, peer: str) -> float:
    asked = query_evidence(Query.from_prompt(question))
    drafts = (Draft(text=one, model="small"), Draft(text=peer, model="middle"))
    return validator.judge(asked, drafts, prediction()).p_drafts[0]


def test_a_verdict_is_a_probability_with_checks_against_a_threshold(validator: Validator) -> None:
    verdict = validator.validate(QUERY, RIGHT, prediction=prediction())
    assert 0.0 < verdict.p_acceptable < 1.0
    assert verdict.threshold == validator.thresholds["single"]
    assert verdict.accept == (verdict.p_acceptable >= verdict.threshold)
    assert "agreement" not in [check.name for check in verdict.checks]


@pytest.mark.parametrize(("peer", "agrees"), [(SAME, True), (OTHER, False)])
def test_a_peer_is_compared_and_said_so(validator: Validator, peer: Draft, agrees: bool) -> None:
    verdict = validator.validate(QUERY, RIGHT, prediction=prediction(), peers=[peer])
    assert verdict.threshold == validator.thresholds["pair"]
    (check,) = [one for one in verdict.checks if one.name == "agreement"]
    assert check.passed is agrees


def test_agreement_counts_for_a_draft_on_average(validator: Validator) -> None:
    agreed = [p_pair(validator, question, one, same) for question, one, same, _ in CASES]
    differ = [p_pair(validator, question, one, other) for question, one, _, other in CASES]
    assert np.mean(agreed) > np.mean(differ) + 0.05


@pytest.mark.parametrize("text", ["", "   \n\t"])
def test_an_empty_draft_is_never_accepted(validator: Validator, text: str) -> None:
    for peers in ((), (SAME,)):
        verdict = validator.validate(QUERY, Draft(text=text), prediction=prediction(), peers=peers)
        assert not verdict.accept
        assert verdict.p_acceptable == 0.0
        assert not next(check for check in verdict.checks if check.name == "empty").passed


def test_hard_limits_overrule_the_probability(validator: Validator) -> None:
    limits = Limits(min_chars=500)
    verdict = validator.validate(QUERY, RIGHT, prediction=prediction(), limits=limits)
    assert not verdict.accept
    assert verdict.p_acceptable == 0.0
    wanted = Query.from_prompt("as JSON", response_format={"type": "json_object"})
    broken = validator.validate(wanted, Draft(text='{"a": '), prediction=prediction())
    assert not broken.accept


def test_surer_tokens_never_count_against_a_draft_with_plain_weights(validator: Validator) -> None:
    asked = query_evidence(QUERY)

    def p(logprob: float) -> float:
        draft = Draft(text=RIGHT.text, model="small", logprobs=(logprob,) * 5)
        return validator.judge(asked, [draft], prediction(), recalibration=UNCHANGED).p_drafts[0]

    found = [p(one) for one in (-5.0, -1.0, -0.1, -0.001)]
    assert found == sorted(found)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_any_number_of_drafts_is_judged(validator: Validator, n: int) -> None:
    drafts = [RIGHT, SAME, OTHER, Draft(text="I do not know.", model="unheard-of")][:n]
    asked = query_evidence(QUERY)
    judged = validator.judge(asked, drafts, prediction())
    assert len(judged.p_drafts) == len(judged.agreements) == len(judged.evidence) == n
    assert all(0.0 <= p <= 1.0 for p in judged.p_drafts)
    assert all((one is None) == (n == 1) for one in judged.agreements)
    p_verifier, correction = validator.weigh_verifier(asked, judged, prediction(), "large")
    assert 0.0 <= p_verifier <= 1.0
    assert correction == 0.0  # the shipped weights correct nothing


def test_the_order_of_drafts_does_not_matter(validator: Validator) -> None:
    asked = query_evidence(QUERY)
    forth = validator.judge(asked, [RIGHT, SAME, OTHER], prediction())
    back = validator.judge(asked, [OTHER, SAME, RIGHT], prediction())
    assert forth.p_drafts == pytest.approx(back.p_drafts[::-1], abs=1e-6)
    verifier = [
        validator.weigh_verifier(asked, one, prediction(), "large")[0] for one in (forth, back)
    ]
    assert verifier[0] == pytest.approx(verifier[1], abs=1e-6)


def test_nothing_is_random(validator: Validator) -> None:
    one, two = (
        validator.validate(QUERY, RIGHT, prediction=prediction(), peers=[OTHER]) for _ in range(2)
    )
    assert one == two


def test_threads_do_not_see_each_others_judgements(validator: Validator) -> None:
    def judge_all(_: int) -> list[tuple[float, float]]:
        found = []
        for question, draft, _same, _other in CASES * 5:
            asked = query_evidence(Query.from_prompt(question))
            judged = validator.judge(asked, [Draft(text=draft, model="small")], prediction())
            found.append(validator.weigh_verifier(asked, judged, prediction(), "large"))
        return found

    alone = judge_all(0)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == alone for found in pool.map(judge_all, range(8)))


def test_other_weights_are_used_where_they_are_given(validator: Validator) -> None:
    zero = Recalibration(single=(0.0,) * 5, pair=(0.0,) * 8, verifier=(0.0,) * 6)
    asked = query_evidence(QUERY)
    judged = validator.judge(asked, [RIGHT, OTHER], prediction(), recalibration=zero)
    assert judged.p_drafts == (0.5, 0.5)
    p, _ = validator.weigh_verifier(asked, judged, prediction(), "large", recalibration=zero)
    assert p == 0.5


def test_hostile_drafts_get_a_probability_too(validator: Validator) -> None:
    for text in ("\ud800" * 1000, "9" * 100_000, '{"answer": "' + "\\" * 5000, "#### 1e999"):
        verdict = validator.validate(
            QUERY, Draft(text=text), prediction=prediction(), peers=[RIGHT]
        )
        assert math.isfinite(verdict.p_acceptable)


@pytest.mark.parametrize("stage", ["single", "pair", "escalation"])
def test_an_artifact_with_other_features_is_refused(tmp_path: Path, stage: str) -> None:
    files = tiny_validator_files()
    about = json.loads(files["validator.json"])
    about[f"{stage}_features"].reverse()
    files["validator.json"] = json.dumps(about).encode()
    version = write_artifact(tmp_path, files, {}, CREATED)
    with pytest.raises(ArtifactForeignError, match=stage):
        Validator(load_artifact(tmp_path, version))


def test_an_artifact_without_a_validator_says_what_is_missing(tmp_path: Path) -> None:
    files = tiny_validator_files()
    del files["validator.json"]
    version = write_artifact(tmp_path, files, {}, CREATED)
    with pytest.raises(ArtifactMissingError, match=r"validator\.json"):
        Validator(load_artifact(tmp_path, version))


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("I'm sorry, but I can't help with that.", 0.1),
        ("3 + 4 = 8, so the answer is 8.", 0.25),
    ],
)
def test_what_the_rules_do_not_believe_is_not_accepted(
    validator: Validator, text: str, most: float
) -> None:
    draft = Draft(text=text, model="small")
    verdict = validator.validate(QUERY, draft, prediction=prediction(0.99))
    assert verdict.p_acceptable <= most + 1e-6
    assert not verdict.accept
    sure = Draft(text=text, model="small", logprobs=(-1e-6,))
    assert validator.validate(QUERY, sure, prediction=prediction(0.99)).p_acceptable <= most + 1e-6
    asked = query_evidence(QUERY)
    assert validator.judge(asked, [draft], prediction(0.99)).p_drafts[0] <= most + 1e-6


def test_agreement_may_overrule_a_sum_that_seems_wrong(validator: Validator) -> None:
    odd = Draft(text="3 + 4 = 8, I mean 7.\n#### 7", model="small")
    alone = validator.validate(QUERY, odd, prediction=prediction())
    beside = validator.validate(QUERY, odd, prediction=prediction(), peers=[SAME])
    assert alone.p_acceptable <= 0.25 + 1e-6
    assert beside.p_acceptable >= alone.p_acceptable
