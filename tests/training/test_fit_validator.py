"""Training the validator on a small made-up set: it learns what is there, twice the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest

from router.artifact import load_artifact
from router.validation.features import PAIR_FEATURES, SINGLE_FEATURES
from router.validation.validator import Validator
from tests.tiny_predictor import tiny_table
from training import fit_validator as module
from training.draft_rows import DraftRows, group_by_prompt, has_drafts, read_drafts, sample_drafts
from training.embedder import Embedder
from training.export_artifact import write_artifact
from training.export_predictor import pack_arrays
from training.export_validator import validator_files, validator_golden
from training.fit_validator import OutOfFold, ValidatorFit, fit_validators
from training.fit_validator import fit_validator as fit_without
from training.outcomes import Outcomes, outcomes_from_table

CREATED = "2026-11-01T00:00:00Z"
MODELS = {"small": 0.6, "middle": 0.7, "large": 0.92}


def made_up(n: int, source: str, *, seed: int = 0) -> list[dict[str, Any]]:
    """Sums; a wrong model errs in its own way, so that drafts that agree are right."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        a, b = (int(x) for x in rng.integers(10, 99, 2))
        for j, (model, accuracy) in enumerate(MODELS.items()):
            right = bool(rng.random() < accuracy)
            found = a + b if right else a + b + 1 + j
            rows.append(
                {
                    "source": source,
                    "prompt_id": f"q{i}",
                    "prompt": f"{source} {i}: what is {a} + {b}?",
                    "model": model,
                    "response": f"We add {a} and {b} to get {found}.\n#### {found}",
                    "correct": right,
                }
            )
    return rows


def read(outcomes: Outcomes) -> DraftRows:
    codes = outcomes.prompt_codes
    p = np.array([MODELS[model] for model in outcomes.column("model")])
    return read_drafts(
        outcomes,
        groups=codes,
        folds=codes % 2,
        p_success=p,
        p_typical=np.full(len(p), 0.7),
        embed=Embedder(tiny_table()),
    )


@pytest.fixture(scope="module")
def rows() -> DraftRows:
    table = pa.Table.from_pylist([*made_up(120, "sums"), *made_up(60, "more", seed=1)])
    return read(outcomes_from_table(table, name="made up"))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROUNDS", {"single": 12, "pair": 12, "escalation": 8})
    monkeypatch.setattr(module, "_PAIRS_PER_SOURCE", 400)


def fit(rows: DraftRows) -> tuple[ValidatorFit, list[ValidatorFit], OutOfFold]:
    return fit_validators(rows, n_folds=2, seed=0, report=lambda _: None)


def files_of(fitted: ValidatorFit) -> dict[str, bytes]:
    files = validator_files(fitted, accept_thresholds={"single": 0.8, "pair": 0.8})
    return {**files, "golden.npz": pack_arrays(validator_golden(fitted, seed=0))}


def test_drafts_are_read_into_rows_of_evidence(rows: DraftRows) -> None:
    assert len(rows) == 180 * 3
    assert rows.single.shape == (len(rows), len(SINGLE_FEATURES))
    assert all(one.answer.kind == "number" for one in rows.evidence)
    assert rows.correct.mean() == pytest.approx(np.mean(list(MODELS.values())), abs=0.05)
    groups = list(group_by_prompt(rows, np.arange(len(rows))))
    assert len(groups) == 180
    assert all(len(set(rows.prompt[one].tolist())) == 1 and len(one) == 3 for one in groups)


def test_only_answers_with_a_plain_label_teach() -> None:
    graded = {"source": "graded", "correct": None, "score": 0.4}
    table = pa.Table.from_pylist(
        [
            {**row, **changes, "prompt_id": f"p{i}"}
            for i, (row, changes) in enumerate(
                zip(
                    made_up(2, "sums"),
                    ({"score": None}, {"response": ""}, {"response": None}, graded, {}, {}),
                    strict=True,
                )
            )
        ]
    )
    usable = has_drafts(outcomes_from_table(table, name="made up"))
    assert usable.tolist() == [True, False, False, False, True, True]


def test_a_sample_keeps_several_models_on_each_prompt() -> None:
    outcomes = outcomes_from_table(pa.Table.from_pylist(made_up(200, "sums")), name="made up")
    kept = sample_drafts(outcomes, most=400, seed=0)
    assert 0 < kept.sum() <= 600
    assert len(set(outcomes.column("model")[kept])) >= 2
    np.testing.assert_array_equal(kept, sample_drafts(outcomes, most=400, seed=0))


def test_agreement_is_learned_and_never_counts_against_a_draft(rows: DraftRows) -> None:
    final, folds, said = fit(rows)
    assert len(folds) == 2
    assert len(said.single) == len(rows)
    assert len(said.pair) == len(said.pair_right)
    assert ((said.pair > 0) & (said.pair < 1)).all()
    right = said.pair_right == 1
    assert said.pair[right].mean() > said.pair[~right].mean() + 0.1
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, len(PAIR_FEATURES)))
    x[:, PAIR_FEATURES.index("same_answer")] = 0.0
    differ = final.pair.predict(x, raw_score=True)
    x[:, PAIR_FEATURES.index("same_answer")] = 1.0
    assert (final.pair.predict(x, raw_score=True) >= differ - 1e-9).all()


def test_two_runs_give_the_same_artifact_to_the_byte(rows: DraftRows, tmp_path: Path) -> None:
    versions = []
    for name in ("one", "two"):
        files = files_of(fit(rows)[0])
        versions.append(write_artifact(tmp_path / name, files, {}, CREATED))
    assert versions[0] == versions[1]
    names = sorted(path.name for path in (tmp_path / "one" / versions[0]).iterdir())
    assert "manifest.json" in names
    for file in names:
        contents = [(tmp_path / name / versions[0] / file).read_bytes() for name in ("one", "two")]
        assert contents[0] == contents[1], file
    other = write_artifact(tmp_path / "one", files_of(fit(rows)[1][0]), {}, CREATED)
    assert other != versions[0]


def test_the_exported_graphs_load_and_say_what_the_boosters_say(
    rows: DraftRows, tmp_path: Path
) -> None:
    final = fit(rows)[0]
    files = files_of(final)
    artifact = load_artifact(tmp_path, write_artifact(tmp_path, files, {}, CREATED))
    validator = Validator(artifact)
    assert validator.thresholds == {"single": 0.8, "pair": 0.8}
    session = ort.InferenceSession(
        files["validator_single.onnx"], providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {"features": rows.single})[0].ravel()
    wanted = final.single.predict(rows.single, raw_score=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    about = json.loads(files["validator.json"])
    assert about["single_features"] == list(SINGLE_FEATURES)


def test_a_source_may_be_left_out_whole(rows: DraftRows) -> None:
    without: Sequence[ValidatorFit] = [
        fit_without(rows, without_source=name, n_folds=2, seed=0) for name in ("sums", "more")
    ]
    p = [one.single.predict(rows.single, raw_score=True) for one in without]
    assert not np.allclose(p[0], p[1])
