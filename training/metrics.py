"""The figures a result is told in: ranking, calibration, domains, and the router's own curves.

Ties never depend on the order of the rows: equal probabilities count half in an AUC, share a bin
in an equal-mass calibration error, and go to the strong model in random order (in expectation, so
the curve is a straight line across them) in a router curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from router.errors import UsageError

__all__ = [
    "RouterCurve",
    "apgr",
    "auc",
    "brier",
    "cpt",
    "ece",
    "f1_by_class",
    "macro_f1",
    "retention",
    "router_curve",
    "saving",
    "within_model_auc",
]

Floats = npt.NDArray[np.float64]
Values = npt.ArrayLike


def auc(y: Values, p: Values) -> float:
    """Chance that a right answer has a higher p than a wrong one, ties counting half.

    The Mann-Whitney statistic over mid-ranks. y: 0/1 [n]; p: [n]. NaN if one class is absent.
    """
    right, probability = _pair(y, p)
    positive = right > 0.5
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    ranks = rankdata(probability)
    u = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * n_negative))


def within_model_auc(y: Values, p: Values, models: Sequence[Any] | npt.NDArray[Any]) -> float:
    """Unweighted mean of the AUCs of each model's own rows; models: names or numbers [n].

    It gives no credit for knowing which model is the better one. Models with one class only are
    left out; NaN if that leaves none.
    """
    right, probability = _pair(y, p)
    names = np.asarray(models)
    if len(names) != len(right):
        raise UsageError(f"{len(names)} models for {len(right)} rows", param="models")
    scores = [auc(right[names == name], probability[names == name]) for name in np.unique(names)]
    kept = [score for score in scores if not np.isnan(score)]
    return float(np.mean(kept)) if kept else float("nan")


def brier(y: Values, p: Values) -> float:
    """Mean squared difference of probability and outcome (Brier 1950); y may be in 0..1."""
    right, probability = _pair(y, p)
    return float(np.mean((probability - right) ** 2))


def ece(y: Values, p: Values, bins: int = 15, *, equal_mass: bool = False) -> float:
    """Expected calibration error: mean over rows of |mean p - mean y| of the row's bin.

    Bins have equal width over 0..1 (Guo et al. 1706.04599), or with `equal_mass` about equal
    numbers of rows, equal values always sharing a bin. The last bin includes 1.
    """
    right, probability = _pair(y, p)
    if bins < 1:
        raise UsageError(f"bins is {bins}, expected at least 1", param="bins")
    if equal_mass:
        edges = np.unique(np.quantile(probability, np.arange(1, bins) / bins))
    else:
        edges = np.arange(1, bins) / bins
    place = np.searchsorted(edges, probability, side="right")
    gap = np.bincount(place, weights=probability - right, minlength=len(edges) + 1)
    return float(np.abs(gap).sum() / len(right))


def f1_by_class(
    y_true: Sequence[str], y_pred: Sequence[str], labels: Sequence[str]
) -> dict[str, float]:
    """F1 of each label. A truth "A|B" means either is right: it counts as the one predicted.

    Where neither was predicted, it counts as a miss of the first one named. A label that is
    neither true nor predicted anywhere is NaN.
    """
    if len(y_true) != len(y_pred):
        found = f"{len(y_true)} true and {len(y_pred)} predicted labels"
        raise UsageError(f"{found}, expected as many of each", param="y_pred")
    truth = np.array([_resolve(true, guess) for true, guess in zip(y_true, y_pred, strict=True)])
    guesses = np.array(list(y_pred))
    scores: dict[str, float] = {}
    for label in labels:
        n_true, n_guessed = int((truth == label).sum()), int((guesses == label).sum())
        hits = int(((truth == label) & (guesses == label)).sum())
        total = n_true + n_guessed
        scores[label] = 2 * hits / total if total else float("nan")
    return scores


def macro_f1(y_true: Sequence[str], y_pred: Sequence[str], labels: Sequence[str]) -> float:
    """Unweighted mean of `f1_by_class` over `labels`, leaving out those that occur nowhere."""
    scores = [s for s in f1_by_class(y_true, y_pred, labels).values() if not np.isnan(s)]
    return float(np.mean(scores)) if scores else float("nan")


@dataclass(frozen=True, kw_only=True)
class RouterCurve:
    """Performance gap recovered against the share of calls that went to the strong model.

    strong_share, pgr: float64 [n_points], from (0, 0) to (1, 1); straight lines join the points.
    """

    strong_share: Floats
    pgr: Floats


def router_curve(score: Values, weak: Values, strong: Values) -> RouterCurve:
    """PGR at each threshold on `score` (higher: rather ask the strong model).

    score, weak, strong: [n_prompts], the last two the quality of each model's answer.
    PGR(c) = (quality at c - weak) / (strong - weak), RouteLLM 2406.18665 sec. 3.2. One point per
    distinct score. NaN throughout where the strong model is not better on average.
    """
    wish, low = _pair(score, weak)
    high = _pair(score, strong)[1]
    _, place = np.unique(-wish, return_inverse=True)
    gain = np.concatenate([[0.0], np.cumsum(np.bincount(place, weights=high - low))])
    share = np.concatenate([[0.0], np.cumsum(np.bincount(place))]) / len(wish)
    gap = float((high - low).sum())
    pgr = gain / gap if gap > 0 else np.full(len(gain), np.nan)
    return RouterCurve(strong_share=share, pgr=pgr)


def apgr(score: Values, weak: Values, strong: Values) -> float:
    """Area under the router curve; 0.5 is a random router's expectation.

    The exact trapezoid area, which RouteLLM's evaluation code takes too; its paper writes the
    mean over ten shares. Above 1 is possible where the mix beats the strong model.
    """
    curve = router_curve(score, weak, strong)
    return float(np.trapezoid(curve.pgr, curve.strong_share))


def cpt(score: Values, weak: Values, strong: Values, recovered: float) -> float:
    """Smallest share of strong calls that recovers `recovered` (0..1) of the gap: CPT(50%), ...

    Between points of the curve by linear interpolation, as a random choice among ties would.
    """
    if not 0 < recovered <= 1:
        raise UsageError(f"recovered is {recovered}, expected in 0..1", param="recovered")
    curve = router_curve(score, weak, strong)
    reached = curve.pgr >= recovered - 1e-12
    if not reached.any():
        return float("nan")
    at = int(np.argmax(reached))
    before, after = curve.pgr[at - 1], curve.pgr[at]
    part = min(1.0, (recovered - before) / (after - before))
    left, right = curve.strong_share[at - 1], curve.strong_share[at]
    return float(left + part * (right - left))


def retention(quality: Values, verifier_quality: Values) -> float:
    """Mean quality of the routed answers / mean quality of always using the verifier."""
    return _ratio(*_pair(quality, verifier_quality))


def saving(cost_usd: Values, verifier_cost_usd: Values) -> float:
    """1 - cost of the routed answers, drafts and all / cost of always using the verifier."""
    return 1.0 - _ratio(*_pair(cost_usd, verifier_cost_usd))


def _ratio(above: Floats, below: Floats) -> float:
    total = float(below.sum())
    return float(above.sum()) / total if total > 0 else float("nan")


def _resolve(true: str, guess: str) -> str:
    accepted = true.split("|")
    return guess if guess in accepted else accepted[0]


def _pair(left: Values, right: Values) -> tuple[Floats, Floats]:
    """Both as float64 [n] of the same, positive length and without NaN."""
    first, second = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        found = f"arrays of shape {first.shape} and {second.shape}"
        raise UsageError(f"{found}, expected two of one same positive length")
    if np.isnan(first).any() or np.isnan(second).any():
        raise UsageError("found NaN among the values, expected numbers; leave those rows out")
    return first, second
