"""How sure the domain head may be: its temperature and the confidence below which it abstains.

Both are fitted on texts of sources that the head did not learn from, because in use every prompt
comes from such a source. The hand-written prompts are one of the parts left out, and count half.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.domains import DOMAINS, GENERAL

from .domain_data import HAND_WRITTEN, OWN, DomainSet
from .domain_head import DomainSettings
from .fit_domain import fit_domain
from .vocabulary import StaticTable

__all__ = ["DomainCalibration", "calibrate_domains", "fit_calibration", "unseen_parts"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_TEMPERATURES = np.exp(np.linspace(np.log(0.3), np.log(3.0), 93))
_THRESHOLDS = np.arange(0.0, 0.56, 0.05)
_BINS = 15


@dataclass(frozen=True, kw_only=True)
class DomainCalibration:
    """What the logits are divided by, and below which confidence (0 to 1) GENERAL is said.

    `ece_before` and `ece_after` are the errors of the confidence on unseen sources, at temperature
    1 and at this one; `n` counts the texts.
    """

    temperature: float
    abstain_below: float
    ece_before: float
    ece_after: float
    n: int


def calibrate_domains(
    texts: DomainSet,
    table: StaticTable,
    settings: DomainSettings | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> DomainCalibration:
    """Fit once without each part of the sources, and calibrate on what was left out."""
    part = unseen_parts(texts.sources)
    logits = np.zeros((len(texts.labels), len(DOMAINS)), dtype=np.float32)
    numbers = sorted(set(part[part >= 0].tolist()))
    for number in numbers:
        say(f"domain head without part {number + 1} of {len(numbers)} of its sources")
        kept, left = np.flatnonzero(part != number), np.flatnonzero(part == number)
        one = texts.take(kept)
        head = fit_domain(one.views, one.labels, one.weights, table, settings)
        logits[left] = head.logits(texts.views[0].take(left), table)
    rows = np.flatnonzero(part >= 0)
    written = np.isin(np.array(texts.sources, dtype=str)[rows], HAND_WRITTEN)
    return fit_calibration(logits[rows], texts.labels[rows], _halved(texts.labels[rows], written))


def unseen_parts(sources: tuple[str, ...]) -> Ints:
    """The part that each text is left out with, int64 [n]; -1 for what always trains.

    What the banks make always trains: it is too like itself to tell anything. Part 0 is what was
    written by hand, parts 1 and 2 are every other recorded source.
    """
    recorded = sorted({source for source in sources if not source.startswith(OWN)})
    number = {source: 1 + place % 2 for place, source in enumerate(recorded)}
    number.update(dict.fromkeys(HAND_WRITTEN, 0))
    return np.array([number.get(source, -1) for source in sources], dtype=np.int64)


def fit_calibration(logits: Floats, labels: Ints, weights: Floats) -> DomainCalibration:
    """The temperature of least log-loss, then the threshold of best macro-F1.

    logits float32 [n, 10], labels int64 [n], weights float32 [n].
    """
    if not len(labels):
        return DomainCalibration(
            temperature=1.0, abstain_below=0.4, ece_before=np.nan, ece_after=np.nan, n=0
        )
    at = np.arange(len(labels))
    losses = [
        float(-weights @ np.log(np.maximum(_softmax(logits / t)[at, labels], 1e-9)))
        for t in _TEMPERATURES
    ]
    temperature = float(_TEMPERATURES[int(np.argmin(losses))])
    before, after = _softmax(logits), _softmax(logits / np.float32(temperature))
    scores = [_macro_f1(_decide(after, t), labels, weights) for t in _THRESHOLDS]
    return DomainCalibration(
        temperature=temperature,
        abstain_below=float(np.round(_THRESHOLDS[int(np.argmax(scores))], 2)),
        ece_before=_ece(before, labels, weights),
        ece_after=_ece(after, labels, weights),
        n=len(labels),
    )


def _halved(labels: Ints, written: npt.NDArray[np.bool_]) -> Floats:
    """Weights, mean 1: the written texts count as much as the others, and each domain alike."""
    weights = np.ones(len(labels))
    for side in (written, ~written):
        if side.any():
            weights[side] /= np.bincount(labels[side], minlength=len(DOMAINS))[labels[side]]
            weights[side] /= weights[side].sum()
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def _decide(p: Floats, threshold: float) -> Ints:
    best = p.argmax(axis=1)
    return np.where(p.max(axis=1) >= threshold, best, DOMAINS.index(GENERAL))


def _macro_f1(guess: Ints, labels: Ints, weights: Floats) -> float:
    found = []
    for index in np.unique(labels):
        hit = float(weights[(guess == index) & (labels == index)].sum())
        said, true = float(weights[guess == index].sum()), float(weights[labels == index].sum())
        found.append(2.0 * hit / max(said + true, 1e-9))
    return float(np.mean(found))


def _ece(p: Floats, labels: Ints, weights: Floats) -> float:
    """Weighted mean gap of confidence and accuracy over bins of equal width."""
    sure = p.max(axis=1)
    right = (p.argmax(axis=1) == labels).astype(np.float64)
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    gap = np.bincount(bins, weights=weights * (right - sure), minlength=_BINS)
    return float(np.abs(gap).sum() / weights.sum())
