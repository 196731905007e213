"""The predictor's training: the graph computes what was fitted, and fitting finds what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from router.abilities import Abilities
from router.domains import DOMAINS
from router.encoder import pad
from router.text import SHAPE_FEATURES
from tests.tiny_predictor import tiny_fitted, tiny_table
from training.domain_head import DomainSettings
from training.evaluation.success_experiments import new_model_tables
from training.export_predictor import abilities_json
from training.fit_domain import balance, fit_domain
from training.fit_predictor import calibrate_models, fold_logits, widen
from training.length_head import fit_lengths
from training.measure_predictor import (
    calibration_errors,
    models_to_hold_out,
    new_model_test,
    pair_apgr,
    source_aucs,
)
from training.metrics import auc
from training.outcomes import outcomes_from_table
from training.predictor_data import PredictorData, PromptTexts, collect, pool, read_texts
from training.predictor_graph import build_graphs, run_graphs
from training.success_head import SuccessSettings, fit_success, map_features
from training.typos import mistype

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = SuccessSettings(k=2, clusters=2, local_axes=4, gate_axes=4, steps=60, l2=1e-4)


def made_data(n: int = 600, seed: int = 0) -> PredictorData:
    """Prompts of two sorts; three models that differ in what they find hard."""
    rng = np.random.default_rng(seed)
    table = tiny_table()
    size = len(table.weights)
    ids = tuple(rng.integers(4, size, rng.integers(3, 30)).astype(np.int32) for _ in range(n))
    shape = rng.random((n, len(SHAPE_FEATURES))).astype(np.float32)
    texts = PromptTexts(ids=ids, shape=shape)
    hard = 3.0 * (shape[:, 0] - 0.5)
    row_prompt, row_model = np.repeat(np.arange(n), 3), np.tile(np.arange(3), n)
    skill = np.array([2.0, 1.0, 0.0])[row_model]
    chance = 1 / (1 + np.exp(-(skill - 2.0 * hard[row_prompt])))
    return PredictorData(
        prompts=tuple(f"prompt {i}" for i in range(n)),
        texts=texts,
        groups=np.array([f"g{i}" for i in range(n)], dtype=object),
        models=("strong", "middling", "weak"),
        row_prompt=row_prompt,
        row_model=row_model,
        labels=(rng.random(3 * n) < chance).astype(np.float32),
        trainable=np.ones(3 * n, dtype=bool),
        log_tokens=(4.0 + shape[row_prompt, 1] + 0.5 * (row_model == 0)).astype(np.float32),
        sources=np.where(np.arange(3 * n) % 6 < 3, "one", "two").astype(object),
    )


def run_graph(fitted_seed: int, ids: list[list[int]], shape: np.ndarray) -> dict[str, np.ndarray]:
    fitted = tiny_fitted(fitted_seed)
    feeds = {
        "token_ids": pad(ids),
        "shape": shape,
        "theta": np.hstack([fitted.theta, fitted.bias[:, None]]).astype(np.float32),
        "verbosity": fitted.verbosity,
    }
    told = run_graphs(build_graphs(fitted.weights), feeds)
    return {name.split(".")[2]: found for name, found in told.items() if ".out." in name}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_graph_computes_what_training_computes(seed: int) -> None:
    fitted = tiny_fitted(seed)
    weights = fitted.weights
    rng = np.random.default_rng(seed)
    rows = [rng.integers(1, 40, n).tolist() for n in (1, 7, 30)]
    shape = rng.random((3, len(SHAPE_FEATURES))).astype(np.float32)
    texts = PromptTexts(ids=tuple(np.array(row, np.int32) for row in rows), shape=shape)
    found = run_graph(seed, rows, shape)

    mean, mass = pool(texts, weights.table)
    assert found["embedding"] == pytest.approx(
        mean / np.linalg.norm(mean, axis=1, keepdims=True), abs=1e-4
    )
    items = weights.items.items(mean, mass, shape)
    assert found["item"] == pytest.approx(items, abs=2e-4)
    logits = items[:, :-1] @ fitted.theta.T - items[:, -1:] + fitted.bias
    assert found["p_success"] == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-4)
    scores = weights.domain.logits(texts, weights.table) / weights.temperature
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    assert found["domains"] == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=1e-4)
    length = map_features(mean, mass, shape) @ weights.length + weights.length_bias
    expected = np.exp(np.clip(length[:, None] + fitted.verbosity, 0.0, 11.5))
    assert found["output_tokens"] == pytest.approx(expected, rel=1e-3)


def test_the_graph_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    items = tiny_fitted().weights.items
    rng = np.random.default_rng(3)
    mean, shape = rng.normal(size=(5, 8)), rng.random((5, len(SHAPE_FEATURES)))
    mass = rng.uniform(1, 40, 5)
    x = torch.tensor(map_features(*(v.astype(np.float32) for v in (mean, mass, shape))))
    common = x @ torch.tensor(items.linear) + torch.tensor(items.linear_bias)
    gate = torch.softmax(common[:, 4:], dim=1)
    local = torch.cat([x[:, 8:12], x[:, 16:]], dim=1)
    local = ((local - torch.tensor(items.local_mean)) * torch.tensor(items.local_scale)).clip(-6, 6)
    parts = (local @ torch.tensor(items.experts) + torch.tensor(items.expert_bias)).view(5, 2, 4)
    expected = common[:, :4] + (parts * gate[:, :, None]).sum(dim=1)
    found = items.items(*(v.astype(np.float32) for v in (mean, mass, shape)))
    assert found == pytest.approx(expected.numpy(), abs=1e-4)


def test_padding_changes_nothing() -> None:
    shape = np.full((2, len(SHAPE_FEATURES)), 0.3, dtype=np.float32)
    alone = run_graph(0, [[5, 6, 7]], shape[:1])
    padded = run_graph(0, [[5, 6, 7], [9] * 40], shape)
    for name, value in alone.items():
        assert value[0] == pytest.approx(padded[name][0], abs=1e-4), name


def test_success_is_learned_and_the_same_twice() -> None:
    data, table = made_data(), tiny_table()
    pooled = pool(data.texts, table)
    train = np.arange(len(data.labels)) < 1200
    first, second = (fit_success(data, pooled, train, TINY) for _ in range(2))
    assert np.array_equal(first.theta, second.theta)
    items = first.features.items(*pooled, data.texts.shape)
    logits = first.logits(items)[data.row_prompt, data.row_model]
    assert auc(data.labels[~train], logits[~train]) > 0.75
    assert first.bias[0] > first.bias[1] > first.bias[2]


def test_a_model_without_labels_has_no_ability() -> None:
    data, table = made_data(), tiny_table()
    head = fit_success(data, pool(data.texts, table), data.row_model != 1, TINY)
    assert np.isnan(head.bias[1])
    assert np.isfinite(head.bias[[0, 2]]).all()


def test_a_model_has_its_own_level_in_each_kind_of_prompts() -> None:
    """One model fails on a source where the others do not: no shared axis is needed to say so."""
    data, table = made_data(), tiny_table()
    rng = np.random.default_rng(1)
    kind = (data.sources == "two").astype(np.float32)[::3]
    texts = PromptTexts(ids=data.texts.ids, shape=data.texts.shape.copy())
    texts.shape[:, 5] = kind
    chance = np.where((data.row_model == 0) & (data.sources == "two"), 0.1, 0.7)
    labels = (rng.random(len(chance)) < chance).astype(np.float32)
    odd = PredictorData(**{**vars(data), "labels": labels, "texts": texts})
    head = fit_success(odd, pool(texts, table), odd.trainable, TINY)
    items = head.features.items(*pool(texts, table), texts.shape)
    assert items.shape[1] == TINY.k + TINY.clusters + 1
    p = 1 / (1 + np.exp(-head.logits(items)))
    for model, source, expected in ((0, 0.0, 0.7), (0, 1.0, 0.1), (1, 0.0, 0.7), (1, 1.0, 0.7)):
        assert p[kind == source, model].mean() == pytest.approx(expected, abs=0.08)


def test_shares_become_axes_and_change_nothing_else() -> None:
    features = tiny_fitted().weights.items
    rng = np.random.default_rng(0)
    mean, shape = rng.normal(size=(6, 8)), rng.random((6, len(SHAPE_FEATURES)))
    given = tuple(v.astype(np.float32) for v in (mean, rng.uniform(1, 40, 6), shape))
    plain, wide = features.items(*given), features.with_shares().items(*given)
    assert wide[:, [0, 1, 2, -1]] == pytest.approx(plain, abs=1e-6)
    assert wide[:, 3:-1].sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    assert (wide[:, 3:-1] >= 0).all()


def test_a_model_left_out_is_known_from_its_labels() -> None:
    data, table = made_data(900), tiny_table()
    held_out = models_to_hold_out(data, least=500, every=2)
    assert held_out == ["middling"]
    assert models_to_hold_out(data, least=901, every=2) == []
    judged = data.folds(5, 20)[data.row_prompt] == 0
    (found,) = new_model_test(
        data,
        pool(data.texts, table),
        held_out,
        reference=np.where(data.labels > 0.5, 0.9, 0.1),
        judged=judged,
        budgets=(0, 300),
        settings=TINY,
    )
    assert found.trained == 1.0
    assert found.n == judged.sum() / 3
    assert found.aucs[300] > 0.65
    assert found.aucs_within[300] > 0.65
    whole, within = new_model_tables([found])
    assert list(whole.rows[0][2:]) == [found.aucs[0], found.aucs[300], 1.0]
    assert within.rows[2][3] == found.aucs_within[300]
    assert new_model_tables([]) == []


def test_out_of_fold_logits_resume_and_are_the_same(tmp_path: Path) -> None:
    data, table = made_data(300), tiny_table()
    said: list[str] = []
    first, typical = fold_logits(
        data, table, folds=3, work=tmp_path, settings=TINY, say=said.append
    )
    assert len(said) == 3
    again, _ = fold_logits(data, table, folds=3, work=tmp_path, settings=TINY, say=said.append)
    assert len(said) == 3
    assert np.array_equal(first, again)
    assert np.isfinite(first).all()
    assert np.isfinite(typical).all()
    assert auc(data.labels, first) > 0.7


def test_calibration_keeps_predictions_and_mends_a_bias() -> None:
    data, table = made_data(), tiny_table()
    head = fit_success(data, pool(data.texts, table), data.trainable, TINY)
    slopes, shifts = np.array([0.5, 1.0, 2.0], np.float32), np.array([0.1, 0.0, -1.0], np.float32)
    wide, theta, bias = widen(head, slopes, shifts)
    items = head.features.items(*pool(data.texts, table), data.texts.shape)
    wider = wide.items(*pool(data.texts, table), data.texts.shape)
    expected = slopes * head.logits(items) + shifts
    assert wider[:, :-1] @ theta.T - wider[:, -1:] + bias == pytest.approx(expected, abs=1e-4)

    rng = np.random.default_rng(0)
    logits = rng.normal(size=len(data.labels)).astype(np.float32)
    labels = (rng.random(len(logits)) < 1 / (1 + np.exp(-(0.5 * logits + 1)))).astype(np.float32)
    biased = PredictorData(**{**vars(data), "labels": labels})
    found = calibrate_models(biased, logits, data.trainable)
    assert found[0] == pytest.approx([0.5] * 3, abs=0.25)
    assert found[1] == pytest.approx([1.0] * 3, abs=0.3)


def test_lengths_follow_prompt_and_model() -> None:
    data, table = made_data(), tiny_table()
    pooled = pool(data.texts, table)
    head = fit_lengths(data, pooled, data.trainable)
    x = map_features(*pooled, data.texts.shape)
    found = (x @ head.weights + head.bias)[data.row_prompt] + head.verbosity[data.row_model]
    assert np.abs(found - data.log_tokens).mean() < 0.2
    assert head.verbosity[0] > head.verbosity[1]
    silent = PredictorData(**{**vars(data), "log_tokens": np.full(len(data.labels), np.nan)})
    assert np.isfinite(fit_lengths(silent, pooled, data.trainable).bias)


def test_domains_are_learned_and_the_same_twice() -> None:
    table = tiny_table()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    ids = tuple(np.r_[10 + label, rng.integers(20, 40, 6)].astype(np.int32) for label in labels)
    texts = PromptTexts(ids=ids, shape=np.zeros((400, len(SHAPE_FEATURES)), np.float32))
    settings = DomainSettings(
        own_axes=4, hidden=16, epochs=12, dropout=0.0, batch=32, learning_rate=0.02
    )
    weights = balance(labels, ["made"] * 400)
    first, second = (fit_domain([texts], labels, weights, table, settings) for _ in range(2))
    assert np.array_equal(first.w1, second.w1)
    guesses = first.logits(texts, table).argmax(axis=1)
    assert (guesses == labels).mean() > 0.9
    assert first.weights[0] == 0.0
    assert first.c2.shape == (len(DOMAINS),)


def test_the_prior_learns_from_prices_and_names() -> None:
    content = abilities_json(tiny_fitted(), {"x": "gpt-4o", "nobody": "not-shipped"})
    assert content["aliases"] == {"x": "gpt-4o"}
    abilities = Abilities.from_json(content)
    assert abilities.get("gpt-4o").input_cost == 2.5
    assert np.isfinite(abilities.prior("gpt-9", 1.0, 4.0).vector).all()
    assert np.linalg.eigvalsh(abilities.covariance).min() > 0


def test_texts_are_read_once_and_kept(tmp_path: Path) -> None:
    table = tiny_table()
    texts = ["what is the train", "", "why?"]
    first = read_texts(texts, table, cache=tmp_path)
    (kept,) = tmp_path.glob("texts-*.npz")
    before = kept.stat().st_mtime_ns
    again = read_texts(texts, table, cache=tmp_path)
    assert kept.stat().st_mtime_ns == before
    assert [a.tolist() for a in first.ids] == [b.tolist() for b in again.ids]
    assert np.array_equal(first.shape, again.shape)


def test_names_that_differ_in_nothing_but_case_are_one_model() -> None:
    rows = [
        {"source": "s", "prompt_id": str(i), "prompt": f"why {i}", "model": name, "correct": True}
        for i, name in enumerate(["Phi-3-mini", "phi-3-mini", "GPT-4o", "gpt-4o-2024-08-06", "x"])
    ]
    outcomes = outcomes_from_table(pa.Table.from_pylist(rows), name="made")
    data = collect(outcomes, tiny_table(), aliases={"gpt-4o-2024-08-06": "gpt-4o"})
    assert data.models == ("Phi-3-mini", "gpt-4o", "x")
    assert data.row_model.tolist() == [0, 0, 1, 1, 2]
    assert not data.countable.any()


def test_measures_count_what_they_say() -> None:
    data = made_data()
    p = np.where(data.labels > 0.5, 0.9, 0.1).astype(np.float32)
    by_source = source_aucs(data, p, data.trainable)
    assert by_source["one"]["auc"] == 1.0
    assert by_source["one"]["models"] == 3
    assert calibration_errors(data, p, data.trainable)["strong"] == pytest.approx(0.1, abs=1e-6)
    one = pair_apgr(data, p, data.labels, source="one", weak="weak", strong="strong")
    assert one["apgr"] > 0.8
    assert one["low95"] <= one["apgr"] <= one["high95"]
    assert one["n"] == 300


def test_typos_are_lower_case_and_few() -> None:
    from random import Random

    text = "Please Write a Function That Reverses a List " * 10
    found = mistype(text, Random(0))
    assert found == found.lower()
    same = sum(a == b for a, b in zip(found.split(" "), text.lower().split(" "), strict=True))
    assert 0.6 < same / len(text.split(" ")) < 0.95
    assert mistype("", Random(0)) == ""
