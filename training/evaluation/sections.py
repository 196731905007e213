"""The report's sections, each from what was measured; and the headline figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from router.predictor import Predictor

from ..bootstrap import Interval
from ..domain_texts import DomainTexts
from ..outcomes import Outcomes
from ..report import Section, Table
from .bench import Bench, CrossfitBench
from .calibration_tables import calibration_tables
from .choosing import half_masks
from .crossfit import Crossfit
from .domain_tables import domain_tables
from .evidence import Evidence
from .figures import draw_curve, draw_guarantee, draw_reliability
from .line_results import LineResult, measure_line
from .policy_tables import choice_table, policy_table, pooled_table, rival_table
from .reporting import Reporter
from .risk import choose_certified, half_level
from .success_experiments import new_model_tables, run_experiments
from .success_tables import pair_router_table, success_table
from .validator_tables import judge_pairs, logprob_table, pair_table, validation_table

__all__ = [
    "Effort",
    "Measured",
    "domain_section",
    "policy_sections",
    "success_section",
    "validation_section",
]

GUARANTEES = ((0.98, 0.05), (0.95, 0.10))


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is sampled."""

    n_splits: int = 100
    n_refits: int = 50
    n_guarantee: int = 500
    steps: int = 12
    pairs: int = 4_000
    experiments: bool = True  # those that take fits of the success head

    @classmethod
    def quick(cls) -> Effort:
        """Enough to see whether it works."""
        return cls(n_splits=20, n_refits=0, n_guarantee=60, steps=6, pairs=400, experiments=False)


@dataclass
class Measured:
    """Sections so far and the headline figures, by name."""

    folder: Path
    seed: int
    effort: Effort
    reporter: Reporter
    sections: list[Section] = field(default_factory=list)
    headline: dict[str, Any] = field(default_factory=dict)


def policy_sections(
    done: Measured, lines: Sequence[Evidence], bench: Bench, predictor: Predictor | None
) -> None:
    """Policies, pooled policy and guarantee."""
    effort, seed = done.effort, done.seed
    results = []
    for evidence in done.reporter.bar("policies")(lines):
        embedding = None
        if predictor is not None:
            embedding = predictor.embed([q.text for q in evidence.candidates[0].data.queries])
        results.append(
            measure_line(
                evidence,
                n_splits=effort.n_splits,
                n_refits=effort.n_refits,
                steps=effort.steps,
                seed=seed,
                embedding=embedding,
                weights=bench.weights,
            )
        )
    figures = [
        draw_curve(done.folder, one, half_masks(one.evidence.group, effort.n_splits, seed))
        for one in results
    ]
    policy = policy_table(results)
    tables = [policy, rival_table(results), choice_table(results)]
    done.sections.append(Section(heading="Policies", tables=tables, figures=figures))
    done.headline["policy"] = as_records(policy)
    if sum(len(one.line.chains[0]) == 3 for one in lines) > 1:
        pooled, alone = (
            pooled_table(
                results,
                n_splits=effort.n_splits // 2,
                steps=effort.steps,
                seed=seed,
                alone=alone,
            )
            for alone in (False, True)
        )
        done.sections.append(Section(heading="One policy for all sets", tables=[pooled, alone]))
        done.headline["pooled"] = as_records(pooled)
        done.headline["pooled-one-drafter"] = as_records(alone)
    _guarantee(done, results)


def _guarantee(done: Measured, results: Sequence[LineResult]) -> None:
    rows: list[list[Any]] = []
    realised: dict[tuple[float, float], list[Any]] = {pair: [] for pair in GUARANTEES}
    bar = done.reporter.bar("guarantee")
    for target, delta in GUARANTEES:
        for promise, level in (("as many more", half_level(delta)), ("all there are", delta)):
            for line in results:
                masks = half_masks(line.evidence.group, done.effort.n_guarantee, done.seed + 1)
                chosen, without = choose_certified(
                    line.evidence, line.ladder, masks, target=target, delta=level, progress=bar
                )
                below = float((chosen.retention < target).mean())
                row: list[Any] = [line.evidence.line.name, target, delta, promise]
                row += [len(chosen.retention), below, below <= delta, without]
                rows.append([*row, float(chosen.retention.mean()), float(chosen.saving.mean())])
                if level != delta:
                    realised[target, delta].append(chosen.retention)
    columns = ["line", "target", "delta", "certified for", "splits", "below target", "kept"]
    table = Table(
        name="guarantee",
        columns=[*columns, "without certificate", "retention", "saving"],
        rows=rows,
        percent=frozenset({"below target", "without certificate", "saving"}),
        note="Share of random half/half splits in which the certified policy's retention on the "
        "other side is below the target. A bound on what holds for all prompts there are says "
        "less about the few of the other side, which have luck of their own; 'as many more' is "
        "certified at the level that covers both (risk.py). Splits without a certificate ask the "
        "verifier and count.",
    )
    found = {pair: np.concatenate(values) for pair, values in realised.items()}
    figures = draw_guarantee(done.folder, found)
    done.sections.append(Section(heading="Guarantee", tables=[table], figures=figures))
    done.headline["guarantee"] = as_records(table)


def validation_section(
    done: Measured,
    outcomes: Outcomes,
    bench: Bench,
    lines: Sequence[Evidence],
    crossfit: Crossfit | None,
) -> None:
    """AUC, Brier and calibration of the validator, set by set; log-probabilities."""
    judged = []
    for source in outcomes.sources:
        unseen = None
        if crossfit is not None and source in crossfit.without:
            unseen = CrossfitBench(crossfit, outcomes, unseen_sources=True)
        found = judge_pairs(
            source,
            outcomes,
            bench,
            unseen=unseen,
            most=done.effort.pairs,
            seed=done.seed,
            progress=done.reporter.bar(f"validation: {source}"),
        )
        if found is not None and 0 < found.correct.sum() < len(found.correct):
            judged.append(found)
    if not judged:
        return
    tables = [validation_table(judged, seed=done.seed)]
    pairs = pair_table(lines, seed=done.seed)
    if pairs.rows:
        tables.append(pairs)
    bar = done.reporter.bar("validation: log-probabilities")
    logprobs = logprob_table(outcomes, bench, model="gpt-4o-mini", seed=done.seed, progress=bar)
    if logprobs.rows:
        tables.append(logprobs)
    figures = draw_reliability(done.folder, judged)
    done.sections.append(Section(heading="Validation", tables=tables, figures=figures))
    done.headline.update({table.name: as_records(table) for table in tables})


def success_section(
    done: Measured,
    outcomes: Outcomes,
    crossfit: Crossfit,
    *,
    aliases: Mapping[str, str] | None = None,
    cache: Path | None = None,
) -> None:
    """What the prompt alone tells of each model's chance.

    `aliases`: any name of a model to its canonical one, so that a model left out is left out by
    all its names. `cache`: the work folder of `sluice train`.
    """
    p, group, seed = crossfit.p_success, crossfit.group, done.seed
    calibration, summary = calibration_tables(outcomes, p, seed=seed)
    tables = [success_table(outcomes, p, group, seed=seed), *calibration]
    judges = {"repaired labels, as ships": p}
    if done.effort.experiments:
        found = run_experiments(
            outcomes, p, crossfit.fold, aliases=aliases or {}, cache=cache, say=done.reporter.say
        )
        if found.p_authors is not None:
            judges["the authors' labels"] = found.p_authors
        for table in new_model_tables(found.new_models):
            tables.append(table)
            done.headline[table.name] = as_records(table)
    routed = pair_router_table(outcomes, judges, group, seed=seed)
    if routed is not None:
        tables.append(routed)
        done.headline["routellm"] = as_records(routed)
    done.headline["success_calibration"] = summary
    done.sections.append(Section(heading="Success from the prompt alone", tables=tables))


def domain_section(
    done: Measured, outcomes: Outcomes, predictor: Predictor, texts: DomainTexts | None
) -> None:
    """The domain classifier beside keyword rules."""
    tables, figures = domain_tables(predictor, texts, outcomes, folder=done.folder, seed=done.seed)
    if tables:
        done.sections.append(Section(heading="Domains", tables=tables, figures=figures))
        done.headline["domains"] = as_records(tables[0])


def as_records(table: Table) -> list[dict[str, Any]]:
    """Rows as JSON objects; an interval as [estimate, low, high]."""
    return [
        {column: _plain(cell) for column, cell in zip(table.columns, row, strict=True)}
        for row in table.rows
    ]


def _plain(cell: Any) -> Any:
    if isinstance(cell, Interval):
        return [_plain(cell.estimate), _plain(cell.low), _plain(cell.high)]
    if isinstance(cell, float):
        return round(cell, 5) if np.isfinite(cell) else None
    return cell
