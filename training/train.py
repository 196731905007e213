"""`sluice train`: from outcome files to a promoted artifact; resumable, and the same twice.

Order: encoder and predictor (cross-fitted first), the validator on out-of-fold predictions, the
pooled policy on cross-fitted evidence, the export. What was cross-fitted stays in the work folder,
where `sluice evaluate` measures it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import typer

from router.errors import DataError
from router.profiles import PolicyFile

from .accept_thresholds import accept_threshold
from .aliases import read_aliases
from .checkpoints import Checkpoints, data_key
from .domain_data import training_texts
from .domain_texts import DomainTexts, read_domain_texts
from .draft_rows import DraftRows, has_drafts, read_drafts, sample_drafts
from .embedder import Embedder, save_table
from .evaluation.bench import CrossfitBench
from .evaluation.benchmarks import benchmark_lines
from .evaluation.crossfit import load_crossfit
from .evaluation.evidence import Evidence, gather_evidence
from .evaluation.reporting import Reporter, open_reporter
from .export_artifact import promote_version, write_artifact
from .export_predictor import all_aliases, pack_arrays, predictor_files
from .export_validator import validator_files, validator_golden
from .fit_policy import fit_policy, pool_stages
from .fit_predictor import calibrate_models, fit, fold_logits
from .fit_validator import ValidatorFit, fit_validator, fit_validators
from .model_card import model_card
from .outcomes import Outcomes, read_outcomes
from .predictor_data import PredictorData, collect
from .vocabulary import StaticTable, distil_vocabulary

__all__ = ["DEFAULT_CHAIN", "run"]

DEFAULT_CHAIN: Final = ("gpt-4o-mini", "gemini-1.5-flash", "gpt-4o")
_FOLDS: Final = 5
_FOLD_SEED: Final = 20
_ROWS_PER_SOURCE: Final = 50_000
_PRECISION: Final = 0.9  # of drafts that the default thresholds accept
_STAND_IN: Final = {"single": 0.8, "pair": 0.8}
_CREATED: Final = "2026-11-23T00:00:00Z"  # of the artifact, unless told: two runs are identical

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Data:
    outcomes: Outcomes
    texts: DomainTexts
    aliases: dict[str, str]
    table: StaticTable
    predictor: PredictorData


@dataclass(frozen=True, kw_only=True)
class _OutOfFold:
    """Per outcome row: fold, group and out-of-fold probabilities."""

    fold: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    p_success: Floats
    p_typical: Floats
    logits: npt.NDArray[np.float32]


def run(
    *,
    data: Sequence[Path],
    models_root: Path,
    work: Path,
    resume: bool = True,
    teacher: str | None = None,
    created: str | None = None,
    seed: int = 0,
    as_json: bool = False,
) -> None:
    """Train, export and promote an artifact; DataError when the data cannot carry it."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with open_reporter() as reporter:
        version = _train(data, models_root, work, resume, teacher, created, seed, reporter)
    if as_json:
        typer.echo(json.dumps({"version": version, "models_root": str(models_root)}))


def _train(
    data: Sequence[Path],
    models_root: Path,
    work: Path,
    resume: bool,
    teacher: str | None,
    created: str | None,
    seed: int,
    reporter: Reporter,
) -> str:
    kept = Checkpoints(work, data_key(data, seed=seed), resume=resume)
    given = _read(data, teacher, work, reporter)
    predicted = kept.keep("predictions", lambda: _out_of_fold(given, work, reporter))
    reporter.say("predictor")
    files = kept.keep("predictor", lambda: _predictor(given, predicted, work, reporter))
    rows = kept.keep("drafts", lambda: _drafts(given, predicted, seed, reporter))
    final, folds, thresholds = kept.keep("validators", lambda: _validators(rows, seed, reporter))
    _write_crossfit(work, given, predicted, folds, {})
    evidence = kept.keep("evidence", lambda: _evidence(given.outcomes, work, reporter))
    policy = _policy(evidence, given.outcomes)
    files |= validator_files(final, accept_thresholds=thresholds)
    files["policy.json"] = (json.dumps(policy.to_json(), indent=1) + "\n").encode()
    golden = dict(np.load(BytesIO(files["golden.npz"]), allow_pickle=False))
    files["golden.npz"] = pack_arrays({**golden, **validator_golden(final, seed=seed)})
    files["MODEL_CARD.md"] = model_card(given.outcomes, given.texts, policy).encode()
    version = write_artifact(models_root, files, {}, created or _CREATED)
    promote_version(models_root, version)
    size = sum(map(len, files.values())) / 1e6
    reporter.say(f"artifact {version}, {size:.1f} MB, is current in {models_root}")
    without = _unseen(rows, kept, seed, reporter)
    _write_crossfit(work, given, predicted, folds, without)
    return version


def _read(data: Sequence[Path], teacher: str | None, work: Path, reporter: Reporter) -> _Data:
    reporter.say("reading outcomes")
    outcomes = read_outcomes(list(data), revised_prompts="rename")
    labelled = outcomes.labels
    outcomes = outcomes.filter((labelled == 0.0) | (labelled == 1.0))
    folders = [path if path.is_dir() else path.parent for path in data]
    texts = next((f / "domain.parquet" for f in folders if (f / "domain.parquet").is_file()), None)
    if texts is None:
        raise DataError(
            "no domain.parquet beside the outcome files: the domain classifier needs texts with "
            "domains (columns source, text, domain, split); put one there"
        )
    known = [f / "model_aliases.json" for f in folders]
    names = next((file for file in known if file.is_file()), None)
    aliases = dict(read_aliases(names)) if names else {}
    reporter.say("distilling the vocabulary")
    table = distil_vocabulary(Path(teacher) if teacher else None, cache=work)
    predictor = collect(outcomes, table, aliases=aliases, cache=work)
    return _Data(
        outcomes=outcomes,
        texts=read_domain_texts(texts),
        aliases=aliases,
        table=table,
        predictor=predictor,
    )


def _out_of_fold(given: _Data, work: Path, reporter: Reporter) -> _OutOfFold:
    data = given.predictor
    logits, typical = fold_logits(data, given.table, folds=_FOLDS, work=work, say=reporter.say)
    slopes, shifts = calibrate_models(data, logits, data.trainable)
    calibrated = logits * slopes[data.row_model] + shifts[data.row_model]
    typical = typical * slopes.mean() + shifts.mean()
    calibrated = np.where(np.isfinite(calibrated), calibrated, typical)
    _, group = np.unique(data.groups.astype(str), return_inverse=True)
    return _OutOfFold(
        fold=data.folds(_FOLDS, _FOLD_SEED)[data.row_prompt],
        group=group[data.row_prompt].astype(np.int64),
        p_success=_sigmoid(calibrated),
        p_typical=_sigmoid(typical),
        logits=logits,
    )


def _sigmoid(x: npt.NDArray[np.float32]) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x.astype(np.float64))))


def _predictor(
    given: _Data, predicted: _OutOfFold, work: Path, reporter: Reporter
) -> dict[str, bytes]:
    domains = training_texts(given.texts, given.table, cache=work)
    fitted = fit(
        given.predictor, given.table, domains, calibration=predicted.logits, say=reporter.say
    )
    raw_names = sorted(set(given.outcomes.column("model").astype(str).tolist()))
    return predictor_files(fitted, all_aliases(raw_names, given.aliases))


def _drafts(given: _Data, predicted: _OutOfFold, seed: int, reporter: Reporter) -> DraftRows:
    """The drafts the validator learns from, read."""
    usable = has_drafts(given.outcomes)
    usable &= given.outcomes.column("train_ok").astype(bool)
    chosen = np.flatnonzero(usable)
    part = given.outcomes.filter(usable)
    kept = sample_drafts(part, most=_ROWS_PER_SOURCE, seed=seed)
    chosen = chosen[kept]
    return read_drafts(
        part.filter(kept),
        groups=predicted.group[chosen],
        folds=predicted.fold[chosen],
        p_success=predicted.p_success[chosen],
        p_typical=predicted.p_typical[chosen],
        embed=Embedder(given.table),
        progress=reporter.bar("reading drafts"),
    )


def _validators(
    rows: DraftRows, seed: int, reporter: Reporter
) -> tuple[ValidatorFit, list[ValidatorFit], dict[str, float]]:
    """The fit that ships, the fits that each leave a fold out, and the default thresholds."""
    final, folds, said = fit_validators(rows, n_folds=_FOLDS, seed=seed, report=reporter.say)
    right = rows.correct.astype(float)
    thresholds = {
        "single": accept_threshold(said.single, right, precision=_PRECISION),
        "pair": accept_threshold(said.pair, said.pair_right, precision=_PRECISION),
    }
    return final, folds, thresholds


def _unseen(
    rows: DraftRows, kept: Checkpoints, seed: int, reporter: Reporter
) -> dict[str, ValidatorFit]:
    """For each source a validator that has not seen it, to measure what ships on new sets."""
    found = {}
    for source in sorted(set(rows.source.tolist())):
        reporter.say(f"validator without {source}")
        found[str(source)] = kept.keep(
            f"without-{source}",
            partial(fit_validator, rows, without_source=str(source), n_folds=_FOLDS, seed=seed),
        )
    return found


def _write_crossfit(
    work: Path,
    given: _Data,
    predicted: _OutOfFold,
    folds: Sequence[ValidatorFit],
    without: dict[str, ValidatorFit],
) -> None:
    folder = work / "crossfit"
    folder.mkdir(parents=True, exist_ok=True)
    save_table(given.table, folder / "embedder.npz")

    def write(fitted: ValidatorFit) -> str:
        files = validator_files(fitted, accept_thresholds=_STAND_IN)
        return write_artifact(folder, files, {}, _CREATED)

    pd.DataFrame(
        {
            **{n: given.outcomes.column(n).astype(str) for n in ("source", "prompt_id", "model")},
            "p_success": predicted.p_success,
            "p_typical": predicted.p_typical,
            "fold": predicted.fold,
            "group": predicted.group,
        }
    ).to_parquet(folder / "predictions.parquet")
    index = {
        "folds": [write(one) for one in folds],
        "without": {source: write(one) for source, one in without.items()},
        "models_root": ".",
    }
    (folder / "folds.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _evidence(outcomes: Outcomes, work: Path, reporter: Reporter) -> list[Evidence]:
    bench = CrossfitBench(load_crossfit(work, outcomes), outcomes)
    found = []
    for line in benchmark_lines(outcomes):
        bar = reporter.bar(f"replay: {line.name}")
        found.append(gather_evidence(line, outcomes, bench, progress=bar))
    if not found:
        raise DataError(
            "the outcomes hold none of the chains of training/benchmarks.json, so no policy can "
            "be calibrated; add outcomes of two drafters and a verifier on the same prompts"
        )
    return found


def _policy(evidence: Sequence[Evidence], outcomes: Outcomes) -> PolicyFile:
    """The pooled policy: one set of thresholds for every kind of prompt, from free sources only."""
    free = outcomes.column("train_ok").astype(bool)
    allowed = set(outcomes.column("source")[free].astype(str).tolist())
    stages = [one.candidates[0].stages for one in evidence if allowed.issuperset(one.line.sources)]
    return fit_policy(pool_stages(stages), chain=DEFAULT_CHAIN)
