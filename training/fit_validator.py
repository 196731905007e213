"""Trains the validator: weights of phrases, and graphs for a draft alone, a draft beside a peer,
and the verifier.

Gradient-boosted trees on the evidence of router/validation: small, quick, calibrated by the log
loss, and monotone where it must be (a peer that agrees never counts against a draft). What one
stage says is an input of the next, so it is always said out of fold: by a model that has not seen
the prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from router.validation.agreement import Agreement
from router.validation.escalation import ESCALATION_FEATURES, TARGETS, escalation_features
from router.validation.features import (
    PAIR_FEATURES,
    SINGLE_FEATURES,
    compare_drafts,
    pair_features,
)
from router.validation.phrases import PhraseWeights

from .draft_rows import DraftRows, group_by_prompt, with_phrases
from .fit_phrases import as_weights, fit_phrases

__all__ = ["OutOfFold", "ValidatorFit", "fit_validator", "fit_validators"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

_COMMON: Final = {
    "objective": "binary",
    "learning_rate": 0.06,
    "min_child_samples": 60,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 127,
    "verbose": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}
_LEAVES: Final = {"single": 31, "pair": 24, "escalation": 16}
_ROUNDS: Final = {"single": 300, "pair": 250, "escalation": 160}
_MAX_ROWS_PER_SOURCE: Final = 30_000
_PAIRS_PER_SOURCE: Final = 30_000
_STRANGE_SHARE: Final = 0.3  # of rows whose phrases are judged as in a source never seen
_RISING: Final = {
    "pair": {"single_logit", "peer_single_logit", "same_answer", "same_exactly", "equivalent"},
    "escalation/verifier": {"verifier_success_logit"},
}


@dataclass(frozen=True, kw_only=True)
class ValidatorFit:
    """One set of boosters, named as the graphs are, and the weights of phrases. `escalation` has
    one booster for each of TARGETS."""

    phrases: PhraseWeights
    single: Any
    pair: Any
    escalation: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class OutOfFold:
    """P(right) by fits that have not seen the prompt: `single` float64 [n] of every draft alone,
    `pair` [n_pairs] of sampled drafts beside a peer, `pair_right` [n_pairs] whether they were."""

    single: Floats
    pair: Floats
    pair_right: Floats


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Sampled draft pairs with a verifier: row numbers, all int64 [n]; verifier -1 for none."""

    one: Ints
    peer: Ints
    verifier: Ints
    agreements: tuple[Agreement, ...]


def fit_validators(
    rows: DraftRows, *, n_folds: int, seed: int, report: Callable[[str], None]
) -> tuple[ValidatorFit, list[ValidatorFit], OutOfFold]:
    """Fits on all trainable rows, and fits that each leave one fold out; and what the latter say
    of the fold that they left out."""
    chosen = _balanced(rows, np.flatnonzero(rows.may_train), _MAX_ROWS_PER_SOURCE, seed)
    phrases, rows = _learn_phrases(rows, chosen, n_folds, seed)
    report("phrases")
    singles = [
        _boost("single", rows.single[kept], rows.correct[kept], seed)
        for kept in (chosen[rows.fold[chosen] != fold] for fold in range(n_folds))
    ]
    report("single drafts")
    pairs = _sample_pairs(rows, np.flatnonzero(rows.may_train), seed)
    single_logits = _out_of_fold(singles, rows.single, rows.fold)
    data = _later_stages(rows, pairs, single_logits)
    folds = rows.fold[pairs.one]
    fits = []
    pair_boosters = [_fit_pair(data, rows, pairs, folds != fold, seed) for fold in range(n_folds)]
    report("pairs of drafts")
    escalation = _escalation_data(rows, pairs, data, pair_boosters, single_logits)
    for fold in range(n_folds):
        fits.append(
            ValidatorFit(
                phrases=phrases[fold],
                single=singles[fold],
                pair=pair_boosters[fold],
                escalation=_fit_escalation(escalation, escalation.fold != fold, seed),
            )
        )
    report("verifiers")
    final = ValidatorFit(
        phrases=phrases[-1],
        single=_boost("single", rows.single[chosen], rows.correct[chosen], seed),
        pair=_fit_pair(data, rows, pairs, np.ones(len(folds), dtype=bool), seed),
        escalation=_fit_escalation(escalation, np.ones(len(escalation.fold), dtype=bool), seed),
    )
    said = OutOfFold(
        single=_sigmoid(single_logits),
        pair=_sigmoid(_out_of_fold(pair_boosters, data[0], folds)),
        pair_right=rows.correct[pairs.one].astype(np.float64),
    )
    return final, fits, said


def fit_validator(rows: DraftRows, *, without_source: str, n_folds: int, seed: int) -> ValidatorFit:
    """The fit on all trainable rows of the other sources: what meets a set it has never seen."""
    kept = rows.may_train & (rows.source != without_source)
    chosen = _balanced(rows, np.flatnonzero(kept), _MAX_ROWS_PER_SOURCE, seed)
    phrases, rows = _learn_phrases(rows, chosen, n_folds, seed)
    inner = [
        _boost("single", rows.single[part], rows.correct[part], seed)
        for part in (chosen[rows.fold[chosen] != fold] for fold in range(n_folds))
    ]
    pairs = _sample_pairs(rows, np.flatnonzero(kept), seed)
    single_logits = _out_of_fold(inner, rows.single, rows.fold)
    data = _later_stages(rows, pairs, single_logits)
    every = np.ones(len(pairs.one), dtype=bool)
    pair = _fit_pair(data, rows, pairs, every, seed)
    escalation = _escalation_data(rows, pairs, data, [pair] * n_folds, single_logits)
    return ValidatorFit(
        phrases=phrases[-1],
        single=_boost("single", rows.single[chosen], rows.correct[chosen], seed),
        pair=pair,
        escalation=_fit_escalation(escalation, np.ones(len(escalation.fold), dtype=bool), seed),
    )


def _learn_phrases(
    rows: DraftRows, chosen: Ints, n_folds: int, seed: int
) -> tuple[list[PhraseWeights], DraftRows]:
    """Weights without each fold, then with all; and the rows with what phrases say of each draft.

    What is said is always out of fold and, for a part of the rows, by weights that have not seen
    the row's source at all, so that the later stages learn what phrases are worth on both.
    """
    counts = rows.phrases

    def fit(kept: Ints) -> Floats:
        return fit_phrases(counts, rows.correct, kept, source=rows.source, model=rows.model)

    logits, known = np.zeros(len(rows)), np.zeros(len(rows))
    found = []
    for fold in range(n_folds):
        weights = fit(chosen[rows.fold[chosen] != fold])
        own = rows.fold == fold
        logits[own], known[own] = counts.logits(weights)[own], counts.known_share(weights)[own]
        found.append(as_weights(counts, weights))
    found.append(as_weights(counts, fit(chosen)))
    strange = np.random.default_rng(seed).random(len(rows)) < _STRANGE_SHARE
    sources = sorted(set(rows.source[chosen].tolist()))
    for source in sources if len(sources) > 1 else []:
        weights = fit(chosen[rows.source[chosen] != source])
        own = strange & (rows.source == source)
        logits[own], known[own] = counts.logits(weights)[own], counts.known_share(weights)[own]
    return found, with_phrases(rows, logits, known)


def _boost(stage: str, features: Matrix, labels: npt.NDArray[np.bool_], seed: int) -> Any:
    columns = {"single": SINGLE_FEATURES, "pair": PAIR_FEATURES, "escalation": ESCALATION_FEATURES}
    kind = stage.partition("/")[0]
    rising = _RISING.get(stage, set())
    parameters = {
        **_COMMON,
        "num_leaves": _LEAVES[kind],
        "seed": seed,
        "monotone_constraints": [int(name in rising) for name in columns[kind]],
    }
    data = lgb.Dataset(features, labels.astype(np.float32), free_raw_data=True)
    return lgb.train(parameters, data, num_boost_round=_ROUNDS[kind])


def _balanced(rows: DraftRows, candidates: Ints, limit: int, seed: int) -> Ints:
    """At most `limit` rows of each source, so that no source drowns the others."""
    generator = np.random.default_rng(seed)
    kept = []
    for source in sorted(set(rows.source[candidates].tolist())):
        own = candidates[rows.source[candidates] == source]
        kept.append(np.sort(generator.permutation(own)[:limit]))
    return np.concatenate(kept)


def _out_of_fold(boosters: list[Any], features: Matrix, folds: Ints) -> Floats:
    """Raw log-odds of each row by the booster of its own fold."""
    out = np.zeros(len(features))
    for fold, booster in enumerate(boosters):
        own = folds == fold
        if own.any():
            out[own] = booster.predict(features[own], raw_score=True)
    return out


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)


def _sample_pairs(rows: DraftRows, candidates: Ints, seed: int) -> _Pairs:
    """Random pairs of different models on the same prompt, with a verifier at least as strong."""
    generator = np.random.default_rng(seed)
    strength = _strength(rows)
    ones, peers, verifiers = [], [], []
    for source in sorted(set(rows.source[candidates].tolist())):
        own = candidates[rows.source[candidates] == source]
        prompts = [drafts for drafts in group_by_prompt(rows, own) if len(drafts) >= 2]
        if not prompts:
            continue
        each = max(1, math.ceil(_PAIRS_PER_SOURCE / len(prompts)))
        for drafts in prompts:
            for _ in range(each):
                one, peer = generator.choice(drafts, 2, replace=False)
                floor = max(strength[one], strength[peer])
                above = drafts[(strength[drafts] >= floor) & (drafts != one) & (drafts != peer)]
                ones.append(one)
                peers.append(peer)
                verifiers.append(generator.choice(above) if len(above) else -1)
    agreements = tuple(
        compare_drafts(rows.evidence[i], rows.evidence[j]) for i, j in zip(ones, peers, strict=True)
    )
    return _Pairs(
        one=np.array(ones),
        peer=np.array(peers),
        verifier=np.array(verifiers),
        agreements=agreements,
    )


def _strength(rows: DraftRows) -> Floats:
    """Each row's model's accuracy on its source."""
    keys = np.array([f"{s}\0{m}" for s, m in zip(rows.source, rows.model, strict=True)])
    _, inverse = np.unique(keys, return_inverse=True)
    return np.asarray(
        (np.bincount(inverse, rows.correct) / np.bincount(inverse))[inverse], dtype=np.float64
    )


def _later_stages(rows: DraftRows, pairs: _Pairs, logits: Floats) -> tuple[Matrix, Matrix]:
    """Pair features of `one` beside `peer`, and of `peer` beside `one`."""
    p = _sigmoid(logits)
    forth, back = [], []
    for i, j, agreement in zip(pairs.one, pairs.peer, pairs.agreements, strict=True):
        one, peer = rows.evidence[i], rows.evidence[j]
        forth.append(pair_features(one, peer, agreement, single=p[i], peer_single=p[j]))
        back.append(pair_features(peer, one, agreement, single=p[j], peer_single=p[i]))
    return np.stack(forth), np.stack(back)


def _fit_pair(
    data: tuple[Matrix, Matrix],
    rows: DraftRows,
    pairs: _Pairs,
    kept: npt.NDArray[np.bool_],
    seed: int,
) -> Any:
    return _boost("pair", data[0][kept], rows.correct[pairs.one[kept]], seed)


@dataclass(frozen=True, kw_only=True)
class _EscalationData:
    """`right` is bool [n, len(TARGETS)]."""

    features: Matrix
    right: npt.NDArray[np.bool_]
    fold: Ints


def _escalation_data(
    rows: DraftRows,
    pairs: _Pairs,
    data: tuple[Matrix, Matrix],
    boosters: list[Any],
    logits: Floats,
) -> _EscalationData:
    """Rows for the verifier's graph: after one draft, and after two."""
    kept = np.flatnonzero(pairs.verifier >= 0)
    folds = rows.fold[pairs.one[kept]]
    forth = _out_of_fold(boosters, data[0][kept], folds)
    back = _out_of_fold(boosters, data[1][kept], folds)
    vectors, best = [], []
    for position, index in enumerate(kept):
        i, j, v = pairs.one[index], pairs.peer[index], pairs.verifier[index]
        asked, p_verifier = rows.asked[i], float(rows.p_success[v])
        alone, _, _ = escalation_features(
            asked,
            (rows.evidence[i],),
            (None,),
            (logits[i],),
            (logits[i],),
            p_verifier=p_verifier,
        )
        both, first, _ = escalation_features(
            asked,
            (rows.evidence[i], rows.evidence[j]),
            (pairs.agreements[index], pairs.agreements[index]),
            (logits[i], logits[j]),
            (forth[position], back[position]),
            p_verifier=p_verifier,
        )
        vectors += [alone, both]
        best += [i, (i, j)[first]]
    verifier = np.repeat(rows.correct[pairs.verifier[kept]], 2)
    draft = rows.correct[np.array(best, dtype=np.int64)]
    targets = {"verifier": verifier, "rescue": verifier & ~draft, "harm": draft & ~verifier}
    return _EscalationData(
        features=np.stack(vectors),
        right=np.stack([targets[name] for name in TARGETS], axis=1),
        fold=np.repeat(folds, 2),
    )


def _fit_escalation(
    data: _EscalationData, kept: npt.NDArray[np.bool_], seed: int
) -> tuple[Any, ...]:
    return tuple(
        _boost(f"escalation/{name}", data.features[kept], data.right[kept, target], seed)
        for target, name in enumerate(TARGETS)
    )
