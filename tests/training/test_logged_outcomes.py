"""What a gateway's log exports is an outcome file that training takes."""

from __future__ import annotations

import json
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from router.errors import DataError
from router.profiles import PolicyFile
from router.records.database import Database
from router.records.export import export_outcomes
from router.records.export_rows import Choice
from router.records.outcome import CallRecord
from router.records.scope import Scope
from tests.made_up_log import NOW, Logged, outcome, write_log
from tests.made_up_outcomes import COST_USD, MODELS, made_up
from tests.tiny_predictor import tiny_fitted
from tests.tiny_validator import CREATED, tiny_validator_fit
from training.calibrate import run
from training.columns import OUTCOME_COLUMNS, misspelt
from training.errors import OutcomeFileError
from training.export_artifact import promote_version, write_artifact
from training.export_predictor import pack_arrays, predictor_files
from training.export_validator import validator_files, validator_golden
from training.outcomes import read_outcomes

SUMS = made_up(200).to_pylist()


def logged(index: int) -> Logged:
    """One sum as a gateway logs it: asked of one model by its name, labelled by its client."""
    row = SUMS[index]
    prompt = {"messages": [{"role": "user", "content": row["prompt"]}], "params": {}}
    cost_nano = round(COST_USD[row["model"]] * 1e9)
    asked = CallRecord(
        at=NOW, model=row["model"], provider="vllm", cost_nano=cost_nano, charged_nano=cost_nano
    )
    label = {"score": 0.5} if index % 10 == 9 else {"correct": row["correct"]}
    kept = outcome(
        f"req-{index}",
        cascade="",
        action="bypass",
        model=row["model"],
        domain=None,
        cost_nano=cost_nano,
        prompt=json.dumps(prompt),
        answer=row["response"],
    )
    return Logged(outcome=kept, calls=[asked], labels=[label] if index % 7 else [])


@pytest.fixture(params=["parquet", "jsonl"])
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return export(tmp_path / f"log.{request.param}")


def export(path: Path, *, unlabelled: bool = False) -> Path:
    database = Database.open(f"sqlite:///{path.parent}/sluice.db")
    database.run_sync(partial(write_log, log=map(logged, range(len(SUMS)))))
    scope = Scope(from_at=0.0, to_at=NOW)
    export_outcomes(database, path, Choice(scope=scope, unlabelled=unlabelled, features=True))
    database.close()
    return path


def test_the_file_is_read_as_it_is(exported: Path) -> None:
    outcomes = read_outcomes([exported])
    chosen = [index for index in range(len(SUMS)) if index % 7]
    assert len(outcomes) == outcomes.n_prompts == len(chosen)
    assert outcomes.sources == ("sluice-log", "sluice-log-scores")
    assert outcomes.models == tuple(sorted(MODELS))
    by_id = dict(zip(outcomes.column("prompt_id"), range(len(outcomes)), strict=True))
    for index in chosen:
        row, place = SUMS[index], by_id[f"req-{index}"]
        for name in ("prompt", "model", "response"):
            assert outcomes.column(name)[place] == row[name]
        assert outcomes.column("cost_usd")[place] == pytest.approx(COST_USD[row["model"]])
        assert outcomes.labels[place] == (0.5 if index % 10 == 9 else float(row["correct"]))


def test_no_column_looks_like_a_misspelt_one(tmp_path: Path) -> None:
    names = pq.read_schema(export(tmp_path / "log.parquet")).names
    assert misspelt(names, OUTCOME_COLUMNS) == []


def test_rows_without_a_label_are_refused_by_training(tmp_path: Path) -> None:
    with pytest.raises(OutcomeFileError, match="neither correct nor score"):
        read_outcomes([export(tmp_path / "log.parquet", unlabelled=True)])


@pytest.fixture(scope="module")
def models_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tiny artifact."""
    root = tmp_path_factory.mktemp("models")
    files = predictor_files(tiny_fitted(), {})
    fit = tiny_validator_fit()
    files |= validator_files(fit, accept_thresholds={"single": 0.7, "pair": 0.6})
    golden = dict(np.load(BytesIO(files["golden.npz"]), allow_pickle=False))
    files["golden.npz"] = pack_arrays({**golden, **validator_golden(fit, seed=0)})
    promote_version(root, write_artifact(root, files, {}, CREATED))
    return root


def test_calibration_takes_it_beside_other_files(models_root: Path, tmp_path: Path) -> None:
    pq.write_table(made_up(600), tmp_path / "sums.parquet")
    files = [export(tmp_path / "log.parquet"), tmp_path / "sums.parquet"]
    report = tmp_path / "report"
    run(
        data=files,
        chain=MODELS,
        target_quality=0.8,
        delta=0.2,
        models_root=models_root,
        report=report,
    )
    stored = json.loads((report / "policy.json").read_text(encoding="utf-8"))
    policy = PolicyFile.from_json(stored, where="policy.json")
    assert set(policy.chain) == set(MODELS)


def test_a_log_in_which_each_model_was_asked_something_else_calibrates_nothing(
    models_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="was answered by all of"):
        run(
            data=[export(tmp_path / "log.parquet")],
            chain=MODELS,
            models_root=models_root,
            report=tmp_path / "report",
        )
