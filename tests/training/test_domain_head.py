"""The domain head: its ends, the parity of torch, NumPy and graph, and its calibration."""

from __future__ import annotations

import numpy as np
import pytest

from router.domains import DOMAINS
from router.encoder import pad
from router.text import SHAPE_FEATURES
from tests.tiny_predictor import tiny_fitted, tiny_table
from training.domain_calibration import calibrate_domains, fit_calibration, unseen_parts
from training.domain_data import DomainSet
from training.domain_head import DomainSettings, end_windows
from training.fit_domain import balance, fit_domain
from training.predictor_data import PromptTexts
from training.predictor_graph import build_graphs, run_graphs

SMALL = DomainSettings(
    own_axes=4, end_axes=3, filters=5, window=4, hidden=16, epochs=12, dropout=0.0, batch=32,
    learning_rate=0.02,
)  # fmt: skip


pytestmark = pytest.mark.usefixtures("one_thread")


def made_texts(lengths: list[int], seed: int = 0) -> PromptTexts:
    rng = np.random.default_rng(seed)
    size = len(tiny_table().weights)
    return PromptTexts(
        ids=tuple(rng.integers(3, size, n).astype(np.int32) for n in lengths),
        shape=rng.random((len(lengths), len(SHAPE_FEATURES))).astype(np.float32),
    )


def graph_domains(rows: list[list[int]], shape: np.ndarray) -> np.ndarray:
    fitted = tiny_fitted()
    feeds = {
        "token_ids": pad(rows),
        "shape": shape,
        "theta": np.hstack([fitted.theta, fitted.bias[:, None]]).astype(np.float32),
        "verbosity": fitted.verbosity,
    }
    return run_graphs(build_graphs(fitted.weights), feeds)["predictor.out.domains"]


def test_windows_hold_both_ends_and_a_neighbour() -> None:
    ids = np.arange(10, 20, dtype=np.int32)
    found = end_windows([ids, ids[:2], np.zeros(1, np.int32)], 3)
    assert found[0].tolist() == [[0, 10, 11, 12, 13], [16, 17, 18, 19, 0]]
    assert found[1].tolist() == [[0, 10, 11, 0, 0], [0, 0, 10, 11, 0]]
    assert not found[2].any()


@pytest.mark.parametrize("mark", [1, 2])
def test_windows_end_where_the_user_message_ends(mark: int) -> None:
    ids = np.array([7, 8, 9, mark, 10, 11], dtype=np.int32)
    assert end_windows([ids], 2)[0].tolist() == [[0, 7, 8, 9], [7, 8, 9, 0]]


# One token, around the window's width, far beyond it, a marked system message, nothing at all.
ROWS = [
    [5], [5, 6, 7], [5, 6, 7, 8], [5, 6, 7, 8, 9], [5, 6, 7, 8, 9, 10], list(range(3, 40)),
    [5, 6, 1, 7, 8, 2, 9], [0], [1, 9, 9],
]  # fmt: skip


def test_the_graph_looks_at_the_ends_as_the_head_does() -> None:
    shape = made_texts([1] * len(ROWS)).shape
    texts = PromptTexts(ids=tuple(np.array(row, np.int32) for row in ROWS), shape=shape)
    weights = tiny_fitted().weights
    logits = weights.domain.logits(texts, weights.table) / weights.temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    together = graph_domains(ROWS, shape)
    assert together == pytest.approx(expected, abs=1e-4)
    for index, row in enumerate(ROWS):
        alone = graph_domains([row], shape[index : index + 1])
        assert alone[0] == pytest.approx(together[index], abs=1e-5), row


def test_the_folded_head_computes_what_torch_computes() -> None:
    torch = pytest.importorskip("torch")
    from training.domain_network import Network

    table = tiny_table()
    torch.manual_seed(0)
    net = Network(table, len(SHAPE_FEATURES), SMALL)
    with torch.no_grad():
        for parameter in net.tables()[1:3]:
            parameter += 0.1 * torch.randn_like(parameter)
        net.norm.running_mean += 0.1
        net.norm.running_var *= 2.0
    net.eval()
    texts = made_texts([1, 3, 5, 30])
    texts = PromptTexts(ids=(*texts.ids[:3], np.r_[texts.ids[3], 1, 5, 6].astype(np.int32)),
                        shape=texts.shape)  # fmt: skip
    with torch.no_grad():
        expected = net(list(texts.ids), torch.tensor(texts.shape)).numpy()
    assert net.fold().logits(texts, table) == pytest.approx(expected, abs=5e-3)


def test_a_request_at_either_end_of_a_long_text_is_found() -> None:
    """The same words in between say something else; only their place tells the labels apart."""
    table = tiny_table()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 500)
    ids = []
    for number, label in enumerate(labels):
        ask, other = np.array([10 + label]), np.array([11 - label])
        middle = rng.integers(20, 40, 20)
        whole = np.concatenate([middle[:10], other, middle[10:]])
        ids.append((np.r_[ask, whole] if number % 2 else np.r_[whole, ask]).astype(np.int32))
    texts = PromptTexts(ids=tuple(ids), shape=np.zeros((500, len(SHAPE_FEATURES)), np.float32))
    head = fit_domain([texts], labels, balance(labels, ["made"] * 500), table, SMALL)
    assert (head.logits(texts, table).argmax(axis=1) == labels).mean() > 0.95


def test_the_same_seed_gives_the_same_bytes() -> None:
    texts, labels = made_texts([6] * 60), np.arange(60) % 3
    first, second = (
        fit_domain([texts], labels, balance(labels, ["made"] * 60), tiny_table(), SMALL)
        for _ in range(2)
    )
    for name, value in vars(first).items():
        assert np.asarray(value).tobytes() == np.asarray(getattr(second, name)).tobytes(), name


def test_parts_keep_hand_written_prompts_together_and_banks_in() -> None:
    sources = ("own-written", "own-border", "own-joined", "own-plain", "gsm8k", "medqa", "crux")
    assert unseen_parts(sources).tolist() == [0, 0, 0, -1, 2, 1, 1]


def test_calibration_finds_a_temperature_and_lowers_the_error() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(4000, len(DOMAINS))).astype(np.float32)
    p = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(len(DOMAINS), p=row / row.sum()) for row in p])
    found = fit_calibration(2.0 * true, labels, np.ones(4000, np.float32))
    assert found.temperature == pytest.approx(2.0, rel=0.1)
    assert found.ece_after < 0.03 < found.ece_before
    assert 0.0 <= found.abstain_below <= 0.55


def test_calibration_abstains_where_the_unsure_are_general() -> None:
    general = DOMAINS.index("GENERAL")
    labels = np.array([0, 1, 2, general] * 50)
    logits = np.zeros((200, len(DOMAINS)), np.float32)
    logits[np.arange(200), labels] = 4.0
    unsure = labels == general
    logits[unsure] = 0.0
    logits[unsure, 0] = 0.5
    found = fit_calibration(logits, labels, np.ones(200, np.float32))
    assert found.abstain_below > 0.0


def test_nothing_unseen_leaves_the_confidence_as_it_is() -> None:
    empty = np.zeros((0, len(DOMAINS)), np.float32)
    found = fit_calibration(empty, np.zeros(0, np.int64), np.zeros(0, np.float32))
    assert (found.temperature, found.n) == (1.0, 0)


def test_domains_are_calibrated_on_sources_left_out() -> None:
    table, said = tiny_table(), list[str]()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    ids = tuple(np.r_[10 + label, rng.integers(20, 40, 6)].astype(np.int32) for label in labels)
    texts = PromptTexts(ids=ids, shape=np.zeros((300, len(SHAPE_FEATURES)), np.float32))
    sources = tuple(np.array(["own-written", "own-plain", "a", "b"])[np.arange(300) % 4].tolist())
    whole = DomainSet(
        views=(texts,), labels=labels, weights=balance(labels, sources), sources=sources
    )
    found = calibrate_domains(whole, table, SMALL, say=said.append)
    assert found.n == 225
    assert len(said) == 3
    assert found.ece_after <= found.ece_before + 0.02
