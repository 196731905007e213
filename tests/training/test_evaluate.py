"""`sluice evaluate` on outcomes made here: what it writes, what it counts, how it refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from router.cascade import Judge
from router.errors import DataError, UsageError
from router.policy import Assessment
from router.types import Draft, Embedding, Prediction, Query
from router.validation.escalation import ESCALATION_FEATURES, TARGETS
from router.validation.features import PAIR_FEATURES, SINGLE_FEATURES
from router.validation.phrases import PhraseWeights
from router.validation.recalibration import UNCHANGED, Recalibration
from router.validation.validator import Validator
from tests.made_up_outcomes import ACCURACY, COST_USD, MODELS, N, made_up
from tests.tiny_predictor import tiny_table
from training.embedder import Embedder, save_table
from training.evaluate import run
from training.evaluation.bench import CrossfitBench
from training.evaluation.benchmarks import find_lines, line_for_chain
from training.evaluation.choosing import choose_point, frontier, half_masks, sum_by_split
from training.evaluation.crossfit import RecordedPredictor, load_crossfit
from training.evaluation.evidence import Evidence, gather_evidence, head_data, with_weights
from training.evaluation.risk import build_ladder, choose_certified
from training.evaluation.rivals import AgreementJudge, figures, fixed_rules
from training.evaluation.success_tables import official_labels
from training.export_artifact import write_artifact
from training.export_validator import validator_files
from training.fit_validator import ValidatorFit
from training.outcomes import Outcomes, outcomes_from_table
from training.recalibrate import HeadData, fit_recalibration


def tiny_fit(seed: int) -> ValidatorFit:
    """Boosters of a few leaves on noise, which is enough to run every graph."""
    generator = np.random.default_rng(seed)
    found = {}
    for name, columns in (
        ("single", SINGLE_FEATURES),
        ("pair", PAIR_FEATURES),
        ("escalation", ESCALATION_FEATURES),
    ):
        x = generator.normal(size=(300, len(columns)))
        y = (x[:, 5] + generator.normal(size=300) > 0).astype(float)
        settings = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1}
        found[name] = lgb.train(settings, lgb.Dataset(x, y), num_boost_round=3)
    return ValidatorFit(
        phrases=PhraseWeights({"answer is": 0.3}),
        single=found["single"],
        pair=found["pair"],
        escalation=(found["escalation"],) * len(TARGETS),
    )


def write_crossfit(work: Path, table: pa.Table) -> None:
    folder = work / "crossfit"
    thresholds = {"single": 0.5, "pair": 0.5}
    versions = [
        write_artifact(
            folder, validator_files(tiny_fit(seed), accept_thresholds=thresholds), {}, "2026-01-01"
        )
        for seed in (0, 1)
    ]
    index = {"folds": versions, "without": {"sums": versions[0]}, "models_root": "."}
    (folder / "folds.json").write_text(json.dumps(index))
    save_table(tiny_table(), folder / "embedder.npz")
    prompts = [int(name[1:]) for name in table.column("prompt_id").to_pylist()]
    columns = {name: table.column(name) for name in ("source", "prompt_id", "model")}
    columns["p_success"] = pa.array([ACCURACY[m] for m in table.column("model").to_pylist()])
    columns["p_typical"] = pa.array([0.8] * len(table))
    columns["fold"] = pa.array([i % 2 for i in prompts])
    columns["group"] = pa.array(prompts)
    pq.write_table(pa.table(columns), folder / "predictions.parquet")


class KnowingJudge:
    """Knows which of one prompt's models are right."""

    def __init__(self, right: dict[str, float]) -> None:
        self._right = right

    def start(self, query: Query, chain: Sequence[str]) -> Assessment:
        return Assessment(p_first=self._right[chain[0]], p_verifier=self._right[chain[-1]])

    def assess(self, query: Query, chain: Sequence[str], drafts: Sequence[Draft]) -> Assessment:
        p_drafts = tuple(self._right[str(draft.model)] for draft in drafts)
        return Assessment(
            p_first=self._right[chain[0]], p_verifier=self._right[chain[-1]], p_drafts=p_drafts
        )


class KnowingBench:
    """A bench of knowing judges."""

    weights = UNCHANGED

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self._models = outcomes.column("model")
        self.group = outcomes.prompt_codes
        self.usable = np.ones(len(outcomes), dtype=bool)

    def prediction(self, query: Query, rows: Sequence[int]) -> Prediction:
        return self.prediction_beside(query, rows, ())[0]

    def prediction_beside(
        self, query: Query, rows: Sequence[int], texts: Sequence[str]
    ) -> tuple[Prediction, list[Embedding | None]]:
        known = RecordedPredictor(self._right(rows), 0.5, Embedder(tiny_table()))
        return known.predict(query), known.embed_texts(texts)

    def validator(self, row: int) -> Validator:
        raise NotImplementedError

    def judge(self, rows: Sequence[int], weights: Recalibration | None) -> Judge:
        return KnowingJudge(self._right(rows))

    def _right(self, rows: Sequence[int]) -> dict[str, float]:
        return {str(self._models[row]): float(self._outcomes.labels[row]) for row in rows}


def known_evidence() -> Evidence:
    outcomes = outcomes_from_table(made_up(), name="made up")
    line = line_for_chain(MODELS, outcomes, {}, sources=("sums",))
    return gather_evidence(line, outcomes, KnowingBench(outcomes))


def test_a_report_is_written_with_every_table_and_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = made_up()
    pq.write_table(table, tmp_path / "sums.parquet")
    write_crossfit(tmp_path / "work", table)
    report = tmp_path / "report"
    run(
        data=[tmp_path / "sums.parquet"],
        report=report,
        work=tmp_path / "work",
        models_root=tmp_path / "no models",
        quick=True,
        as_json=True,
    )
    headline = json.loads(capsys.readouterr().out)
    assert {row["target"] for row in headline["policy"]} == {0.96, 0.98, 0.99, 1.0}
    assert headline["policy"][0]["n"] == N
    assert len(headline["guarantee"]) == 4  # two promises, two targets
    assert headline["validation"][0]["AUC pair, set left out"] is not None
    text = (report / "report.md").read_text(encoding="utf-8")
    for heading in ("Policies", "Guarantee", "Validation", "Success from the prompt alone"):
        assert f"## {heading}" in text
    assert (report / "index.html").is_file()
    assert (report / "tables" / "policy.csv").is_file()
    assert list((report / "figures").glob("curve-*.png"))


def test_a_judge_that_knows_costs_little_and_loses_little() -> None:
    evidence = known_evidence()
    assert len(evidence.candidates) == 2  # both orders of the drafters
    masks = half_masks(evidence.group, 20, seed=0)
    sums = sum_by_split([one.stages for one in evidence.candidates], masks, steps=6)
    chosen = choose_point(sums, 1.0)
    assert chosen.retention.mean() > 0.98  # wins elsewhere may pay for losses
    assert chosen.saving.mean() > 0.6
    best = {rule.name: figures(rule, evidence) for rule in fixed_rules(evidence)}
    assert best["oracle"][1] >= chosen.saving.mean() - 0.02
    assert best["always big"] == (1.0, 0.0)


def test_certified_choices_hold_what_they_promise() -> None:
    evidence = known_evidence()
    masks = half_masks(evidence.group, 40, seed=1)
    sums = sum_by_split([one.stages for one in evidence.candidates], masks, steps=6)
    ladder = build_ladder(evidence, sums)
    assert np.all(np.diff(ladder.cost_usd.mean(axis=1)) <= 1e-12)  # from dear to cheap
    chosen, without = choose_certified(evidence, ladder, masks, target=0.9, delta=0.1)
    assert without < 1.0
    assert (chosen.retention < 0.9).mean() <= 0.1


def test_the_ladder_does_not_depend_on_labels() -> None:
    evidence = known_evidence()
    stages = [one.stages for one in evidence.candidates]
    masks = half_masks(evidence.group, 4, seed=0)
    before = frontier(sum_by_split(stages, masks, steps=6))
    for one in stages:
        one.accepted[:] = 1.0 - one.accepted
    after = frontier(sum_by_split(stages, masks, steps=6))
    np.testing.assert_array_equal(before, after)


def test_both_halves_hold_whole_groups_and_every_prompt_once() -> None:
    groups = np.repeat(np.arange(30), 3)
    masks = half_masks(groups, 10, seed=0)
    for split in range(10):
        assert all(len(set(masks[groups == g, split].tolist())) == 1 for g in range(30))
        assert masks[:, split].sum() == 45


def test_sums_over_both_sides_add_up() -> None:
    stages = known_evidence().candidates[0].stages
    masks = half_masks(stages.group, 5, seed=0)
    sums = sum_by_split([stages], masks, steps=5)
    np.testing.assert_allclose(sums.verifier.sum(axis=0), stages.verifier.sum())
    np.testing.assert_allclose(sums.cost.sum(axis=0).std(axis=1), 0.0, atol=1e-6)


def test_agreement_escalates_where_answers_differ() -> None:
    query = Query.from_prompt("What is 2 + 2?")
    judge = AgreementJudge()
    one, two = Draft(text="The answer is 4.", model="a"), Draft(text="So it is 4.", model="b")
    other = Draft(text="The answer is 5.", model="b")
    chain = ("a", "b", "c")
    assert judge.assess(query, chain, [one, two]).gain == 0.0
    assert judge.assess(query, chain, [one, other]).gain == 1.0
    assert judge.assess(query, chain, [one]).gain == 1.0


def test_weights_as_they_were_give_the_evidence_as_it_was(tmp_path: Path) -> None:
    table = made_up(60)
    write_crossfit(tmp_path, table)
    outcomes = outcomes_from_table(table, name="made up")
    bench = CrossfitBench(load_crossfit(tmp_path, outcomes), outcomes)
    line = line_for_chain(MODELS, outcomes, {}, sources=("sums",))
    for candidate in gather_evidence(line, outcomes, bench).candidates:
        again = with_weights(candidate, bench.weights)
        np.testing.assert_allclose(again.stages.gain, candidate.stages.gain, atol=1e-9)
        np.testing.assert_array_equal(again.stages.accepted, candidate.stages.accepted)
        data = head_data(candidate, np.ones(60, dtype=bool))
        assert {head: len(one.correct) for head, one in data.items()} == {
            "single": 60,
            "pair": 120,
            "verifier": 120,
        }


def test_refitting_follows_the_outcomes_or_the_prior() -> None:
    generator = np.random.default_rng(0)
    x = np.concatenate(
        [generator.normal(0, 2, (4000, 1)), np.zeros((4000, 3)), np.ones((4000, 1))], 1
    )
    p = 1 / (1 + np.exp(-(0.5 * x[:, 0] - 1.0)))
    data = {"single": HeadData(inputs=x, correct=(generator.random(4000) < p).astype(float))}
    free = fit_recalibration(data, prior=UNCHANGED, strength=0.1)
    assert free.single[0] == pytest.approx(0.5, abs=0.06)
    assert free.single[4] == pytest.approx(-1.0, abs=0.12)
    assert free.pair == UNCHANGED.pair
    held = fit_recalibration(data, prior=UNCHANGED, strength=1e9)
    np.testing.assert_allclose(held.single, UNCHANGED.single, atol=1e-3)
    with pytest.raises(UsageError, match="strength"):
        fit_recalibration(data, prior=UNCHANGED, strength=0.0)


def test_official_labels_follow_the_notes() -> None:
    table = made_up(3, source="routellm-gsm8k", models=("big",))
    table = table.append_column("note", pa.array([None, "repo_label=0 (why)", "repo_label=1"]))
    outcomes = outcomes_from_table(table, name="made up")
    assert official_labels(outcomes)[1:].tolist() == [0.0, 1.0]
    assert official_labels(outcomes)[0] == outcomes.labels[0]


def test_lines_are_found_from_cheap_to_dear() -> None:
    outcomes = outcomes_from_table(made_up(), name="made up")
    lines = find_lines(outcomes, COST_USD, {})
    assert lines[0].chains[0] == MODELS
    assert lines[0].verifier == "big"
    with pytest.raises(DataError, match="nothing to route between"):
        find_lines(outcomes, {}, {})


def test_models_that_share_no_prompt_are_refused(tmp_path: Path) -> None:
    table = made_up(40, models=("tiny", "small"))
    other = made_up(40, source="more", models=("big",))
    pq.write_table(pa.concat_tables([table, other]), tmp_path / "apart.parquet")
    write_crossfit(tmp_path / "work", table)
    with pytest.raises(DataError, match=r"no prompt of .* was answered by all of"):
        run(
            data=[tmp_path / "apart.parquet"],
            report=tmp_path / "report",
            work=tmp_path / "work",
            chain=MODELS,
            quick=True,
        )


def test_a_missing_crossfit_folder_says_what_to_run(tmp_path: Path) -> None:
    pq.write_table(made_up(5), tmp_path / "sums.parquet")
    with pytest.raises(DataError, match="run 'sluice train'"):
        run(data=[tmp_path / "sums.parquet"], report=tmp_path / "report", work=tmp_path / "none")


def test_a_crossfit_of_other_outcomes_is_refused(tmp_path: Path) -> None:
    pq.write_table(made_up(5, source="strange"), tmp_path / "strange.parquet")
    write_crossfit(tmp_path / "work", made_up(5))
    with pytest.raises(DataError, match="knows none of these outcomes"):
        run(
            data=[tmp_path / "strange.parquet"],
            report=tmp_path / "report",
            work=tmp_path / "work",
        )


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"work": Path("work"), "artifact": "one"}, "work"),
        ({"chain": ["tiny"]}, "chain"),
    ],
)
def test_contradicting_options_are_usage_errors(
    tmp_path: Path, options: dict[str, Any], param: str
) -> None:
    pq.write_table(made_up(5), tmp_path / "sums.parquet")
    with pytest.raises(UsageError) as caught:
        run(data=[tmp_path / "sums.parquet"], report=tmp_path / "report", **options)
    assert caught.value.param == param


def test_a_chain_of_unknown_models_is_refused(tmp_path: Path) -> None:
    table = made_up(5)
    pq.write_table(table, tmp_path / "sums.parquet")
    write_crossfit(tmp_path / "work", table)
    with pytest.raises(DataError, match="no outcomes of huge"):
        run(
            data=[tmp_path / "sums.parquet"],
            report=tmp_path / "report",
            work=tmp_path / "work",
            chain=["tiny", "huge"],
        )
