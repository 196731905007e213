"""Fits the whole predictor, and predicts every outcome with a predictor that never saw it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router.abilities import Ability, fit_ability

from .ability_prior import fill_unseen
from .domain_calibration import calibrate_domains
from .domain_data import DomainSet
from .domain_head import DomainSettings
from .fit_domain import fit_domain
from .length_head import fit_lengths
from .outcomes import Outcomes
from .predictor_data import PredictorData, collect, pool
from .predictor_graph import PredictorWeights
from .success_head import FeatureMap, SuccessHead, SuccessSettings, fit_success
from .vocabulary import StaticTable, distil_vocabulary

__all__ = ["FittedPredictor", "calibrate_models", "fit", "out_of_fold", "widen"]

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Report = Callable[[str], None]
_SEED = 20
_SLOPE_PRECISION = 40.0  # of the prior on a model's calibration slope, around 1
_SHIFT_PRECISION = 4.0  # of the prior on its shift, around 0


@dataclass(frozen=True, kw_only=True)
class FittedPredictor:
    """What is exported: the graph's weights and, per model, theta, bias and verbosity.

    `theta` float32 [n_models, k + 1] and `bias` are guesses where no outcomes (`n_labels`) stand
    behind them.
    """

    weights: PredictorWeights
    models: tuple[str, ...]
    theta: Floats
    bias: Floats
    verbosity: Floats
    n_labels: npt.NDArray[np.int64]


def fit(
    data: PredictorData,
    table: StaticTable,
    domains: DomainSet,
    *,
    keep: Bools | None = None,
    success: SuccessSettings | None = None,
    domain: DomainSettings | None = None,
    calibration: Floats | None = None,
    say: Report = lambda _: None,
) -> FittedPredictor:
    """Fit on the trainable rows of `data` that `keep`, bool [rows], leaves.

    `calibration`, float32 [rows], are out-of-fold logits of the rows: where given, each model's
    slope and shift are set by them.
    """
    rows = data.trainable if keep is None else data.trainable & keep
    pooled = pool(data.texts, table)
    say(f"success head on {int(rows.sum())} outcomes")
    head = fit_success(data, pooled, rows, success)
    slopes, shifts = (
        np.ones(len(data.models), np.float32),
        np.zeros(len(data.models), np.float32),
    )
    if calibration is not None:
        slopes, shifts = calibrate_models(data, calibration, rows)
    middle = head.features.items(*pooled, data.texts.shape)[np.unique(data.row_prompt[rows])]
    counted = data.countable if keep is None else data.countable & keep
    head, compared = fill_unseen(head, data, middle.mean(axis=0), counted)
    items, theta, bias = widen(head, slopes, shifts)
    say(f"domain head on {len(domains.labels)} texts")
    domain_head = fit_domain(domains.views, domains.labels, domains.weights, table, domain)
    sure = calibrate_domains(domains, table, domain, say=say)
    say(
        f"domains: temperature {sure.temperature:.3f} (error of the confidence on unseen sources "
        f"{sure.ece_before:.3f} -> {sure.ece_after:.3f}), abstains below {sure.abstain_below:.2f}"
    )
    lengths = fit_lengths(data, pooled, rows)
    weights = PredictorWeights(
        table=table,
        domain=domain_head,
        temperature=sure.temperature,
        abstain_below=sure.abstain_below,
        items=items,
        length=lengths.weights,
        length_bias=lengths.bias,
    )
    return FittedPredictor(
        weights=weights,
        models=data.models,
        theta=theta,
        bias=bias,
        verbosity=lengths.verbosity,
        n_labels=head.n_labels + compared,
    )


def widen(head: SuccessHead, slopes: Floats, shifts: Floats) -> tuple[FeatureMap, Floats, Floats]:
    """The same head with b(q) repeated as a last axis of a(q), so that a slope can be a theta.

    slope * (theta . a - b + c) + shift = (slope * theta) . a + (1 - slope) b - b + (slope c +
    shift): float32 theta [n_models, k + 1] and bias [n_models] of the calibrated head.
    """
    features = head.features
    k1 = features.linear.shape[1] - features.clusters
    doubled = np.r_[np.arange(k1), k1 - 1]  # a, b, b
    per_cluster = (np.arange(features.clusters)[:, None] * k1 + doubled).ravel()
    columns = np.r_[doubled, np.arange(k1, k1 + features.clusters)]
    wide = replace(
        features,
        linear=features.linear[:, columns],
        linear_bias=features.linear_bias[columns],
        experts=features.experts[:, per_cluster],
        expert_bias=features.expert_bias[per_cluster],
    )
    theta = np.hstack([head.theta * slopes[:, None], 1.0 - slopes[:, None]])
    return wide, theta.astype(np.float32), (head.bias * slopes + shifts).astype(np.float32)


def calibrate_models(data: PredictorData, logits: Floats, rows: Bools) -> tuple[Floats, Floats]:
    """Each model's slope and shift of its out-of-fold logits, float32 [n_models] each.

    Platt scaling with a prior that keeps models with few labels where they are.
    """
    slopes = np.ones(len(data.models), dtype=np.float32)
    shifts = np.zeros(len(data.models), dtype=np.float32)
    as_is = Ability(
        name="",
        theta=(1.0,),
        bias=0.0,
        verbosity=0.0,
        input_cost=None,
        output_cost=None,
        n_labels=0,
    )
    spread = np.diag([1.0 / _SLOPE_PRECISION, 1.0 / _SHIFT_PRECISION])
    usable = rows & ~np.isnan(data.labels) & np.isfinite(logits)
    for model in np.unique(data.row_model[usable]):
        at = usable & (data.row_model == model)
        zeros = np.zeros(int(at.sum()), dtype=np.float32)
        found = fit_ability(
            logits[at, None], zeros, data.labels[at] > 0.5, as_is, covariance=spread
        )
        slopes[model], shifts[model] = found.theta[0], found.bias
    return slopes, shifts


def out_of_fold(
    outcomes: Outcomes,
    *,
    aliases: Mapping[str, str],
    folds: int = 5,
    work: Path | None = None,
    settings: SuccessSettings | None = None,
    exclude_sources: Sequence[str] = (),
    logits: bool = False,
    say: Report = lambda _: None,
) -> Floats:
    """p_success of every row by a head fitted without the row's question; float32 [rows].

    Questions are told apart by group. Rows that may not train are predicted too. A model without
    a label in the other folds has what `fill_unseen` makes of it. Each fold is kept under `work`,
    so an interrupted run goes on where it stopped.
    """
    table = distil_vocabulary(cache=work)
    data = collect(outcomes, table, aliases=aliases, exclude_sources=exclude_sources, cache=work)
    found, _ = fold_logits(data, table, folds=folds, work=work, settings=settings, say=say)
    return found if logits else np.asarray(0.5 * (1.0 + np.tanh(0.5 * found)), dtype=np.float32)


def fold_logits(
    data: PredictorData,
    table: StaticTable,
    *,
    folds: int = 5,
    work: Path | None = None,
    settings: SuccessSettings | None = None,
    labels: Floats | None = None,
    say: Report = lambda _: None,
) -> tuple[Floats, Floats]:
    """Out-of-fold logits of every row's model and of the average model, float32 [rows] each.

    `labels` stands in for data.labels.
    """
    chosen = settings or SuccessSettings()
    fold = data.folds(folds, _SEED)[data.row_prompt]
    pooled = None
    out = np.full((2, len(data.row_prompt)), np.nan, dtype=np.float32)
    key = _key(data, chosen, folds, labels)
    for number in range(folds):
        kept = work / f"fold-{key}-{number}.npy" if work else None
        at = fold == number
        if kept is not None and kept.is_file():
            out[:, at] = np.load(kept)
            continue
        say(f"fold {number + 1} of {folds}")
        pooled = pooled or pool(data.texts, table)
        head = fit_success(data, pooled, data.trainable & ~at, chosen, labels)
        known = head.n_labels > 0
        items = head.features.items(*pooled, data.texts.shape)
        middle = items[np.unique(data.row_prompt[data.trainable & ~at])].mean(axis=0)
        head, _ = fill_unseen(head, data, middle, data.countable & ~at)
        a, b = items[:, :-1][data.row_prompt[at]], items[:, -1][data.row_prompt[at]]
        model = data.row_model[at]
        out[0, at] = np.einsum("nk,nk->n", a, head.theta[model]) - b + head.bias[model]
        out[1, at] = a @ head.theta[known].mean(axis=0) - b + head.bias[known].mean()
        if kept is not None:
            np.save(kept, out[:, at])
    return out[0], out[1]


def _key(data: PredictorData, chosen: SuccessSettings, folds: int, labels: Floats | None) -> str:
    digest = hashlib.sha256(json.dumps([asdict(chosen), folds, _SEED], default=dict).encode())
    modules = ("success_head.py", "prompt_kinds.py", "ability_prior.py")
    code = b"".join(Path(__file__).with_name(name).read_bytes() for name in modules)
    shown = data.labels if labels is None else labels
    for part in (code, data.row_prompt, data.row_model, shown, data.trainable, data.texts.shape):
        digest.update(np.ascontiguousarray(part).tobytes() if not isinstance(part, bytes) else part)
    digest.update("\0".join(data.models).encode())
    return digest.hexdigest()[:16]
