"""`sluice calibrate` end to end: a policy file that the router reads, a report, and refusals."""

from __future__ import annotations

import asyncio
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from router.artifact import load_artifact
from router.cascade import ArtifactJudge, run_cascade
from router.errors import DataError, NotEnoughLabelsError, UsageError
from router.predictor import Predictor
from router.profiles import PolicyFile
from router.types import Draft, Query
from router.validation.validator import Validator
from tests.made_up_outcomes import MODELS, made_up
from tests.tiny_predictor import tiny_fitted
from tests.tiny_validator import CREATED, tiny_validator_fit
from training.calibrate import run
from training.export_artifact import promote_version, write_artifact
from training.export_predictor import pack_arrays, predictor_files
from training.export_validator import validator_files, validator_golden
from training.replay import RecordedProvider


@pytest.fixture(scope="module")
def models_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tiny artifact: predictor and validator."""
    root = tmp_path_factory.mktemp("models")
    files = predictor_files(tiny_fitted(), {})
    fit = tiny_validator_fit()
    files |= validator_files(fit, accept_thresholds={"single": 0.7, "pair": 0.6})
    golden = dict(np.load(BytesIO(files["golden.npz"]), allow_pickle=False))
    files["golden.npz"] = pack_arrays({**golden, **validator_golden(fit, seed=0)})
    promote_version(root, write_artifact(root, files, {}, CREATED))
    return root


def calibrate(models_root: Path, folder: Path, n: int = 600, **options: Any) -> Path:
    pq.write_table(made_up(n), folder / "sums.parquet")
    report = folder / "report"
    chosen: dict[str, Any] = {"chain": MODELS, "target_quality": 0.8, "delta": 0.2, **options}
    run(data=[folder / "sums.parquet"], models_root=models_root, report=report, **chosen)
    return report


def test_a_policy_is_written_that_the_cascade_follows(
    models_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = calibrate(models_root, tmp_path, as_json=True)
    stored = json.loads((report / "policy.json").read_text(encoding="utf-8"))
    policy = PolicyFile.from_json(stored, where="policy.json")
    assert set(policy.chain) == set(MODELS)
    (profile,) = policy.profiles
    assert profile.certified
    assert profile.delta == 0.2
    assert policy.recalibration is not None
    said = json.loads(capsys.readouterr().out)
    assert said["policy"] == stored
    assert said["held_out"]["retention"] >= 0.8
    assert said["held_out"]["saving"] > 0.0
    assert (report / "index.html").is_file()
    artifact = load_artifact(models_root)
    judge = ArtifactJudge(
        Predictor(artifact), Validator(artifact), recalibration=policy.recalibration
    )
    drafts = [Draft(text="2 + 2 = 4. The answer is 4.", model=name) for name in policy.chain]
    result = asyncio.run(
        run_cascade(
            Query.from_prompt("What is 2 + 2?"),
            chain=policy.chain,
            thresholds=profile.thresholds,
            judge=judge,
            provider=RecordedProvider(policy.chain, drafts),
        )
    )
    assert result.answer.text == drafts[0].text


def test_too_few_prompts_are_said_and_nothing_is_written(models_root: Path, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughLabelsError, match="at least 60"):
        calibrate(models_root, tmp_path, n=40)
    assert not (tmp_path / "report").exists()


def test_a_promise_that_the_labels_cannot_carry_is_not_made(
    models_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotEnoughLabelsError, match="not enough labels"):
        calibrate(models_root, tmp_path, n=120, target_quality=0.9, delta=1e-6)
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"chain": ("big",)}, UsageError, "a drafter and a verifier"),
        ({"delta": 0.0}, UsageError, "between 0 and 1"),
        ({"chain": ("tiny", "unheard-of")}, DataError, "unheard-of"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(
    models_root: Path, tmp_path: Path, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        calibrate(models_root, tmp_path, **options)


def test_a_model_without_a_price_is_named(models_root: Path, tmp_path: Path) -> None:
    table = made_up(80).drop_columns(["cost_usd"])
    pq.write_table(table, tmp_path / "sums.parquet")
    with pytest.raises(UsageError, match="no price is known for tiny, small, big"):
        run(
            data=[tmp_path / "sums.parquet"],
            chain=MODELS,
            models_root=models_root,
            report=tmp_path / "report",
        )
