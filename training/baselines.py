"""What any router must beat: routing rules over recorded outcomes, one row per prompt.

Shared arguments: quality float [n_prompts, n_models] in 0..1, cost_usd float [n_prompts,
n_models], `verifier` the column of the expensive model. Saving and retention are those of
metrics.py. Rules that decide per prompt see each model's mean cost only, since what an answer
will cost is not known before it is written. Plain agreement and single draft + validation are not
here: they run through the production cascade.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from router.errors import UsageError

__all__ = [
    "Curve",
    "Point",
    "always",
    "best_saving",
    "knn_success",
    "oracle",
    "point",
    "pre_dispatch",
    "random_mix",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Point:
    """Saving and retention of one rule; `chosen` int64 [n_prompts]: the model that answers."""

    saving: float
    retention: float
    chosen: Ints


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A rule at each of its thresholds; float64 [n_thresholds], saving not increasing."""

    saving: Floats
    retention: Floats
    threshold: Floats


def point(quality: Floats, cost_usd: Floats, chosen: npt.ArrayLike, *, verifier: int) -> Point:
    """What answering prompt i with model chosen[i] alone gives; chosen: int [n_prompts]."""
    _check(quality, cost_usd, verifier)
    models = np.asarray(chosen, dtype=np.int64)
    rows = np.arange(len(quality))
    return Point(
        saving=float(1 - cost_usd[rows, models].sum() / cost_usd[:, verifier].sum()),
        retention=float(quality[rows, models].sum() / quality[:, verifier].sum()),
        chosen=models,
    )


def always(quality: Floats, cost_usd: Floats, *, model: int, verifier: int) -> Point:
    """Always one model: the drafter, or the verifier, which by definition is (0, 1)."""
    return point(quality, cost_usd, np.full(len(quality), model), verifier=verifier)


def random_mix(
    quality: Floats, cost_usd: Floats, saving: npt.ArrayLike, *, drafter: int, verifier: int
) -> Floats:
    """Expected retention of a coin toss between two models at the given saving(s), any shape.

    A straight line from (0, 1) to the drafter's point; NaN outside, where no coin gets to.
    """
    end = always(quality, cost_usd, model=drafter, verifier=verifier)
    asked = np.asarray(saving, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(asked == 0, 0.0, asked / end.saving)
    share = np.where((share >= 0) & (share <= 1 + 1e-12), share, np.nan)
    return np.asarray(1 - share * (1 - end.retention), dtype=np.float64)


def pre_dispatch(
    p_success: Floats, quality: Floats, cost_usd: Floats, *, verifier: int, n_thresholds: int = 201
) -> Curve:
    """The cheapest model with p_success >= threshold, else the verifier, at many thresholds.

    p_success: [n_prompts, n_models]; the verifier's column is not read. Thresholds are quantiles
    of the drafters' p, with both ends: always the cheapest, always the verifier.
    """
    _check(quality, cost_usd, verifier)
    if p_success.shape != quality.shape:
        found = f"p_success of shape {p_success.shape} for {quality.shape}"
        raise UsageError(f"{found}, expected one for each quality", param="p_success")
    by_cost = np.argsort(cost_usd.mean(axis=0), kind="stable")
    cheaper = by_cost[: int(np.flatnonzero(by_cost == verifier)[0])]
    if not len(cheaper):
        raise UsageError("no model is cheaper than the verifier", param="verifier")
    wishes = p_success[:, cheaper]
    inner = np.quantile(wishes, np.linspace(0, 1, n_thresholds))
    thresholds = np.unique(np.append(inner, np.nextafter(inner[-1], np.inf)))
    points = []
    for threshold in thresholds:
        passes = wishes >= threshold
        chosen = np.where(passes.any(axis=1), cheaper[passes.argmax(axis=1)], verifier)
        points.append(point(quality, cost_usd, chosen, verifier=verifier))
    return Curve(
        saving=np.array([p.saving for p in points]),
        retention=np.array([p.retention for p in points]),
        threshold=np.asarray(thresholds, dtype=np.float64),
    )


def knn_success(
    embedding: npt.NDArray[np.floating],
    quality: Floats,
    groups: npt.ArrayLike,
    *,
    k: int = 30,
    folds: int = 5,
    seed: int,
) -> Floats:
    """Mean quality of each model on the k nearest other prompts; float64 [n_prompts, n_models].

    embedding: [n_prompts, d], compared by cosine. Cross-fitted: a prompt's neighbours come from
    the folds that its group is not in. Give the result to `pre_dispatch` as p_success.
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    if not len(embedding) == len(quality) == len(codes):
        found = f"{len(embedding)} embeddings, {len(quality)} prompts, {len(codes)} groups"
        raise UsageError(f"{found}, expected as many of each")
    n_groups = int(codes.max()) + 1
    if not 2 <= folds <= n_groups:
        raise UsageError(f"folds is {folds}, expected 2..{n_groups} (groups)", param="folds")
    fold = (np.random.default_rng(seed).permutation(n_groups) % folds)[codes]
    found_mean = np.empty(quality.shape, dtype=np.float64)
    for number in range(folds):
        here = fold == number
        near = NearestNeighbors(n_neighbors=min(k, int((~here).sum())), metric="cosine")
        near.fit(embedding[~here])
        found_mean[here] = quality[~here][near.kneighbors(embedding[here])[1]].mean(axis=1)
    return found_mean


def oracle(
    quality: Floats, cost_usd: Floats, *, verifier: int, when_none_is_right: str = "cheapest"
) -> Point:
    """The cheapest model among those that answer this prompt best, known by looking.

    With right/wrong outcomes: the cheapest right one. Where every model scores 0, the "cheapest",
    or the "verifier", as a router that cannot tell would do. Costs are each prompt's own.
    """
    if when_none_is_right not in ("cheapest", "verifier"):
        found = f"when_none_is_right is {when_none_is_right!r}"
        raise UsageError(f"{found}, expected 'cheapest' or 'verifier'", param="when_none_is_right")
    _check(quality, cost_usd, verifier)
    best = quality.max(axis=1, keepdims=True)
    chosen = np.where(quality >= best, cost_usd, np.inf).argmin(axis=1)
    if when_none_is_right == "verifier":
        chosen = np.where(best[:, 0] > 0, chosen, verifier)
    return point(quality, cost_usd, chosen, verifier=verifier)


def best_saving(curve: Curve, target: float) -> float:
    """Largest saving on the curve with retention >= target; NaN if there is none.

    Chosen in-sample, looking at the outcomes: flattering, so a baseline may have it and a
    result may not.
    """
    good = curve.retention >= target - 1e-12
    return float(curve.saving[good].max()) if good.any() else float("nan")


def _check(quality: Floats, cost_usd: Floats, verifier: int) -> None:
    if quality.ndim != 2 or quality.shape != cost_usd.shape or not len(quality):
        found = f"quality of shape {quality.shape} and cost_usd of shape {cost_usd.shape}"
        raise UsageError(f"{found}, expected [n_prompts, n_models] twice")
    if not 0 <= verifier < quality.shape[1]:
        expected = f"a column number below {quality.shape[1]}"
        raise UsageError(f"verifier is {verifier}, expected {expected}", param="verifier")
    if np.isnan(quality).any() or np.isnan(cost_usd).any():
        raise UsageError("found NaN in quality or cost_usd; keep prompts that every model answered")
    if not (quality[:, verifier].sum() > 0 and cost_usd[:, verifier].sum() > 0):
        raise UsageError("the verifier's total quality or cost is 0; nothing to compare with")
