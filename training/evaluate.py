"""`sluice evaluate`: recorded outcomes, replayed through the production cascade, as a report.

Either what `sluice train` left to be measured by judges every prompt with models that have not
seen it, or an artifact judges outcomes that it was not trained on. The parts are in evaluation/.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from router.artifact import load_artifact
from router.errors import ArtifactError, DataError, UsageError
from router.predictor import Predictor
from router.validation.validator import Validator

from .aliases import read_aliases
from .domain_texts import DomainTexts, read_domain_texts
from .evaluation.bench import ArtifactBench, Bench, CrossfitBench
from .evaluation.benchmarks import Line, Prices, benchmark_lines, find_lines, line_for_chain
from .evaluation.card_figures import card_figures
from .evaluation.crossfit import Crossfit, load_crossfit
from .evaluation.evidence import gather_evidence
from .evaluation.lookups import known_prices, prompt_groups
from .evaluation.reporting import Reporter, open_reporter
from .evaluation.sections import (
    Effort,
    Measured,
    domain_section,
    policy_sections,
    success_section,
    validation_section,
)
from .model_card import with_figures
from .outcomes import Outcomes, read_outcomes
from .report import Report, Section, write_report

__all__ = ["run"]

DEFAULT_WORK = Path(".sluice/train")


@dataclass(frozen=True, kw_only=True)
class _Judging:
    """Who judges, and how that reads in the report."""

    bench: Bench
    crossfit: Crossfit | None
    predictor: Predictor | None
    told: str
    work: Path | None = None  # where `sluice train` left what crossfit is made of


def run(
    *,
    data: Sequence[Path],
    artifact: str | None = None,
    models_root: Path | None = None,
    report: Path,
    work: Path | None = None,
    chain: Sequence[str] = (),
    sources: Sequence[str] = (),
    quick: bool = False,
    write_card: bool = False,
    seed: int = 0,
    as_json: bool = False,
) -> None:
    """Evaluate and write the report folder; figures for people or, with `as_json`, for programs.

    Raises UsageError for options that contradict each other, DataError when there is nothing to
    measure, ArtifactError when an artifact is asked for and cannot be used.
    """
    if work is not None and artifact is not None:
        raise UsageError(
            "--work and --artifact exclude each other: name who is to judge", param="work"
        )
    if len(chain) == 1:
        raise UsageError("--chain needs a drafter and a verifier: a,b", param="chain")
    with open_reporter() as reporter:
        reporter.say("reading outcomes")
        outcomes = read_outcomes(list(data), revised_prompts="rename")
        if sources:
            outcomes = _only(outcomes, sources)
        judging = _judging(outcomes, work, artifact, models_root, chain)
        reporter.say(
            f"{len(outcomes):,} outcomes of {outcomes.n_prompts:,} prompts; {judging.told}"
        )
        done = Measured(
            folder=report,
            seed=seed,
            effort=Effort.quick() if quick else Effort(),
            reporter=reporter,
        )
        (report / "figures").mkdir(parents=True, exist_ok=True)
        _measure(done, outcomes, judging, chain, sources, _domain_texts(data), _aliases(data))
        index = write_report(_report(done, outcomes, judging), report)
        (report / "headline.json").write_text(
            json.dumps(done.headline, indent=1) + "\n", encoding="utf-8"
        )
        if write_card:
            _write_card(done.headline, models_root)
        _summarise(done, reporter)
        reporter.say(f"report: {index}")
    if as_json:
        typer.echo(json.dumps(done.headline))


def _measure(
    done: Measured,
    outcomes: Outcomes,
    judging: _Judging,
    chain: Sequence[str],
    sources: Sequence[str],
    texts: DomainTexts | None,
    aliases: dict[str, str],
) -> None:
    lines = _lines(outcomes, judging.predictor, chain, sources)
    evidence = []
    for line in lines:
        bar = done.reporter.bar(f"replay: {line.name}")
        try:
            evidence.append(gather_evidence(line, outcomes, judging.bench, progress=bar))
        except DataError as exc:
            if len(lines) == 1:
                raise
            done.reporter.say(f"left out {line.name}: {exc}")
    if not evidence:
        raise DataError("no line has prompts that all its models answered; name a --chain that has")
    policy_sections(done, evidence, judging.bench, judging.predictor)
    validation_section(done, outcomes, judging.bench, evidence, judging.crossfit)
    if judging.crossfit is not None:
        success_section(done, outcomes, judging.crossfit, aliases=aliases, cache=judging.work)
    if judging.predictor is not None:
        domain_section(done, outcomes, judging.predictor, texts)


def _judging(
    outcomes: Outcomes,
    work: Path | None,
    artifact: str | None,
    models_root: Path | None,
    chain: Sequence[str],
) -> _Judging:
    """Cross-fitted where that is asked for or at hand, else by the artifact."""
    at_hand = (DEFAULT_WORK / "crossfit").is_dir() and artifact is None and not chain
    if work is not None or at_hand:
        folder = work or DEFAULT_WORK
        crossfit = load_crossfit(folder, outcomes)
        return _Judging(
            bench=CrossfitBench(crossfit, outcomes),
            crossfit=crossfit,
            predictor=_predictor(models_root),
            told=f"judged out of fold by {folder / 'crossfit'}",
            work=folder,
        )
    loaded = load_artifact(models_root, artifact)
    predictor = Predictor(loaded)
    bench = ArtifactBench(predictor, Validator(loaded), outcomes, prompt_groups(outcomes))
    told = f"judged by artifact {loaded.version}; only fair on prompts it was not trained on"
    return _Judging(bench=bench, crossfit=None, predictor=predictor, told=told)


def _predictor(models_root: Path | None) -> Predictor | None:
    """The current artifact's predictor, for domains and nearest neighbours; None without one."""
    try:
        return Predictor(load_artifact(models_root))
    except ArtifactError:
        return None


def _lines(
    outcomes: Outcomes,
    predictor: Predictor | None,
    chain: Sequence[str],
    sources: Sequence[str],
) -> list[Line]:
    """The chain asked for, else the published lines, else what can be found in the data."""
    prices = known_prices(outcomes, predictor)
    if chain:
        return [line_for_chain(chain, outcomes, prices, sources=sources)]
    known = benchmark_lines(outcomes)
    return known or find_lines(outcomes, _mean_costs(outcomes, prices), prices)


def _mean_costs(outcomes: Outcomes, prices: Prices) -> dict[str, float]:
    """Mean recorded cost of an answer, else a price per token for comparison's sake."""
    cost, model = outcomes.column("cost_usd"), outcomes.column("model")
    found = {}
    for name in outcomes.models:
        own = cost[(model == name) & ~np.isnan(cost)]
        if len(own):
            found[name] = float(own.mean())
        elif name in prices:
            found[name] = sum(prices[name]) * 300 / 1e6
    return found


def _only(outcomes: Outcomes, sources: Sequence[str]) -> Outcomes:
    for name in sources:
        outcomes.by_source(name)  # says so where there is none such
    return outcomes.filter(np.isin(outcomes.column("source").astype(str), list(sources)))


def _domain_texts(data: Sequence[Path]) -> DomainTexts | None:
    for folder in data:
        path = folder / "domain.parquet"
        if folder.is_dir() and path.is_file():
            return read_domain_texts(path)
    return None


def _aliases(data: Sequence[Path]) -> dict[str, str]:
    for folder in data:
        path = folder / "model_aliases.json"
        if folder.is_dir() and path.is_file():
            return dict(read_aliases(path))
    return {}


def _report(done: Measured, outcomes: Outcomes, judging: _Judging) -> Report:
    n = f"{len(outcomes):,} outcomes of {outcomes.n_prompts:,} prompts"
    summary = (
        f"{n} from {len(outcomes.sources)} sources, {judging.told}. Seed {done.seed}, "
        f"{done.effort.n_splits} splits. Intervals are 95% bootstrap intervals over groups of "
        "prompts; n counts prompts or drafts."
    )
    sections: list[Section] = done.sections
    return Report(title="Evaluation", sections=sections, summary=summary)


def _write_card(headline: dict[str, Any], models_root: Path | None) -> None:
    """Put the figures into the current artifact's MODEL_CARD.md."""
    card = load_artifact(models_root, verify=False).root / "MODEL_CARD.md"
    text = card.read_text(encoding="utf-8")
    card.write_text(with_figures(text, card_figures(headline)), encoding="utf-8")


def _summarise(done: Measured, reporter: Reporter) -> None:
    """A line for each policy row, and what else is most asked for."""
    for row in done.headline.get("policy", []):
        kept, saved = row["retention"][0], row["saving"][0]
        verdict = "met" if row["met"] else "missed"
        bar = "" if row["bar"] is None else f", bar {row['bar']:.0%} {verdict}"
        name = f"{row['line']} at {row['target']:.2f}"
        reporter.say(f"{name}: saves {saved:.1%}, retention {kept:.4f}{bar}")
    for row in done.headline.get("routellm", []):
        told = f"{row['source']}, trained on {row['trained on']}"
        reporter.say(f"{told}: APGR {row['APGR'][0]:.3f} (bar {row['bar']:.2f})")
    for row in done.headline.get("domains", []):
        reporter.say(f"domains, {row['texts']}: macro-F1 {row['macro-F1'][0]:.3f}")
