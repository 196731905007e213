"""`sluice calibrate`: a policy for one chain of models, from its own labelled outcomes.

The prompts are split by group: on one part the recalibration is fitted, on the other the
thresholds are chosen and certified, so that the certificate owes nothing to the fit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import typer

from router.artifact import load_artifact
from router.errors import NotEnoughLabelsError, UsageError
from router.policy import CONSERVATIVE, Thresholds
from router.predictor import Predictor
from router.profiles import PolicyFile, Profile
from router.validation.validator import Validator

from .evaluation.bench import ArtifactBench
from .evaluation.benchmarks import line_for_chain
from .evaluation.evidence import (
    Candidate,
    cross_recalibrated,
    gain_error,
    gather_evidence,
    recalibrated,
)
from .evaluation.lookups import known_prices, prompt_groups
from .evaluation.reporting import Reporter, open_reporter
from .fit_policy import certify, expectations
from .outcomes import Outcomes, read_outcomes
from .policy_search import pick_cheapest, propose, simulate
from .replay import Stages
from .report import Report, Section, Table, write_report
from .splits import split_groups

__all__ = ["run"]

_FIT_SHARE: Final = 0.4
_STRENGTH: Final = 40.0
_FEWEST: Final = 60


def run(
    *,
    data: Sequence[Path],
    chain: Sequence[str],
    target_quality: float = 0.98,
    delta: float = 0.05,
    sources: Sequence[str] = (),
    artifact: str | None = None,
    models_root: Path | None = None,
    report: Path,
    seed: int = 0,
    as_json: bool = False,
) -> None:
    """Calibrate `chain` and write `<report>/policy.json` beside a report of how it did.

    Raises UsageError for a chain of fewer than two models, DataError when the outcomes lack it,
    NotEnoughLabelsError when they cannot carry the statement; nothing is written then.
    """
    if len(chain) < 2:
        raise UsageError("--chain needs a drafter and a verifier: a,b", param="chain")
    if not 0.0 < delta < 1.0:
        raise UsageError(f"--delta is {delta}, expected between 0 and 1", param="delta")
    with open_reporter() as reporter:
        outcomes = read_outcomes(list(data), revised_prompts="rename")
        found, order = _evidence(outcomes, chain, sources, artifact, models_root, reporter)
        policy, rows = _choose(found, order, target_quality, delta, seed, reporter)
        report.mkdir(parents=True, exist_ok=True)
        pending = report / "policy.json.new"
        pending.write_text(json.dumps(policy.to_json(), indent=1) + "\n", encoding="utf-8")
        pending.replace(report / "policy.json")
        write_report(_report(policy, rows), report)
        reporter.say(f"policy: {report / 'policy.json'}")
    if as_json:
        typer.echo(json.dumps({"policy": policy.to_json(), "held_out": rows}))


def _evidence(
    outcomes: Outcomes,
    chain: Sequence[str],
    sources: Sequence[str],
    artifact: str | None,
    models_root: Path | None,
    reporter: Reporter,
) -> tuple[list[Candidate], Any]:
    loaded = load_artifact(models_root, artifact)
    predictor = Predictor(loaded)
    groups = prompt_groups(outcomes)
    bench = ArtifactBench(predictor, Validator(loaded), outcomes, groups)
    prices = known_prices(outcomes, predictor)
    line = line_for_chain(chain, outcomes, prices, sources=sources)
    costed = ~np.isnan(outcomes.column("cost_usd").astype(np.float64))
    named = outcomes.column("model").astype(str)
    unpriced = [name for name in chain if name not in prices and not costed[named == name].all()]
    if unpriced:
        raise UsageError(
            f"no price is known for {', '.join(unpriced)}; a policy minimises cost: add cost_usd "
            "to the outcomes or use names that 'sluice models list' knows",
            param="chain",
        )
    found = gather_evidence(line, outcomes, bench, progress=reporter.bar("replay"))
    return list(found.candidates), bench.weights


def _choose(
    candidates: list[Candidate],
    prior: Any,
    target: float,
    delta: float,
    seed: int,
    reporter: Reporter,
) -> tuple[PolicyFile, dict[str, Any]]:
    group = candidates[0].data.group
    n_groups = len(np.unique(group))
    if n_groups < _FEWEST:
        raise NotEnoughLabelsError(
            f"{n_groups} independent prompts were answered by the whole chain, at least {_FEWEST} "
            "are needed to calibrate anything; log more outcomes with labels"
        )
    side = split_groups(group, {"fit": _FIT_SHARE, "certify": 1.0 - _FIT_SHARE}, seed)
    fit_rows, certify_rows = side == "fit", np.flatnonzero(side == "certify")
    rows = np.flatnonzero(fit_rows)
    best: tuple[float, Candidate, Any] | None = None
    for candidate in candidates:
        cross = cross_recalibrated(candidate, fit_rows, prior=prior, strength=_STRENGTH, seed=seed)
        refit = gain_error(cross, fit_rows) < gain_error(candidate, fit_rows)
        cost = _point_cost(_rows((cross if refit else candidate).stages, rows), target)
        if best is None or cost < best[0]:
            fitted = (candidate, prior)
            if refit:
                fitted = recalibrated(candidate, fit_rows, prior=prior, strength=_STRENGTH)
            best = (cost, *fitted)
    assert best is not None
    _, chosen, weights = best
    stages = _rows(chosen.stages, certify_rows)
    thresholds = certify(stages, target=target, delta=delta)
    found = simulate(stages, [thresholds])
    kept = {
        "prompts": len(certify_rows),
        "retention": float(found.quality.sum() / max(stages.verifier.sum(), 1e-9)),
        "saving": float(1.0 - found.cost_usd.sum() / stages.verifier_cost.sum()),
        "always_verifier": thresholds is CONSERVATIVE,
    }
    reporter.say(
        f"target {target:g} at delta {delta:g}: saves {kept['saving']:.1%}, retention "
        f"{kept['retention']:.4f} on {kept['prompts']} prompts"
    )
    profile = _profile(stages, thresholds, target, delta)
    return (
        PolicyFile(chain=chosen.data.chain, profiles=(profile,), recalibration=weights),
        kept,
    )


def _profile(stages: Stages, thresholds: Thresholds, target: float, delta: float) -> Profile:
    return Profile(
        target=target,
        thresholds=thresholds,
        expectations=expectations(stages, thresholds),
        certified=thresholds is not CONSERVATIVE,
        delta=delta,
        n_labels=len(np.unique(stages.group)),
    )


def _point_cost(stages: Stages, target: float) -> float:
    """What the point-estimate choice costs on these prompts; orders the drafters' orders."""
    simulated = simulate(stages, propose(stages, steps=16))
    return float(simulated.cost_usd[pick_cheapest(simulated, stages, target=target)].sum())


def _rows(stages: Stages, rows: Any) -> Stages:
    return Stages(
        gain=stages.gain[rows],
        accepted=stages.accepted[rows],
        draft_cost=stages.draft_cost[rows],
        verifier=stages.verifier[rows],
        verifier_cost=stages.verifier_cost[rows],
        group=stages.group[rows],
        assessed=(),
    )


def _report(policy: PolicyFile, kept: dict[str, Any]) -> Report:
    profile = policy.profiles[0]
    table = Table(
        name="Calibrated policy",
        columns=("chain", "target", "delta", "prompts", "retention", "saving"),
        rows=(
            (
                " -> ".join(policy.chain),
                profile.target,
                profile.delta,
                kept["prompts"],
                kept["retention"],
                kept["saving"],
            ),
        ),
        note="On the prompts the thresholds were certified on; the bound holds for the retention "
        "of traffic like them.",
    )
    return Report(
        title="Calibration",
        summary=f"Learn-then-Test certificate: {profile.certified}.",
        sections=[Section(heading="Policy", text="", tables=[table], figures=[])],
    )
