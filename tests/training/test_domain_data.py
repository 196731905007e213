"""What the domain head may learn from, and how often each text counts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from router.domains import DOMAINS
from tests.tiny_predictor import tiny_table
from training.domain_data import OWN, DomainSet, training_texts
from training.domain_texts import DomainTexts
from training.fit_domain import balance

ROWS = [
    ("free one", "MATH", "gsm8k", "train", True),
    ("free two", "CODE", "mbpp", "train", True),
    ("measured only", "CODE", "mbpp", "val", True),
    ("not free", "FINANCE", "financemath-val", "train", False),
    ("real chat", "CREATIVE", "arena-hard-v2", "train", True),
]


@pytest.fixture(scope="module")
def learned() -> DomainSet:
    names = ("text", "domain", "source", "split", "train_ok")
    columns = dict(zip(names, map(list, zip(*ROWS, strict=True)), strict=True))
    return training_texts(DomainTexts(table=pa.table(columns)), tiny_table(), generated=10)


def test_only_free_texts_of_the_training_split_are_learned(learned: DomainSet) -> None:
    recorded = [source for source in learned.sources if not source.startswith(OWN)]
    assert recorded == ["gsm8k", "mbpp"]
    assert learned.labels[:2].tolist() == [DOMAINS.index("MATH"), DOMAINS.index("CODE")]


def test_every_kind_of_our_own_prompts_is_there(learned: DomainSet) -> None:
    assert {"own-written", "own-joined", "own-plain"} <= set(learned.sources)
    assert set(learned.labels.tolist()) == set(range(len(DOMAINS)))


def test_views_weights_and_sources_belong_to_the_same_texts(learned: DomainSet) -> None:
    n = len(learned.labels)
    assert [len(view) for view in learned.views] == [n, n, n]
    assert len(learned.sources) == len(learned.weights) == n
    assert learned.weights.mean() == pytest.approx(1.0, abs=1e-3)
    part = learned.take(np.array([1, 0]))
    assert part.sources == ("mbpp", "gsm8k")
    assert part.views[0].ids[0].tolist() == learned.views[0].ids[1].tolist()


def test_a_written_prompt_counts_more_than_one_of_the_banks(learned: DomainSet) -> None:
    counts = learned.weights / balance(learned.labels, learned.sources)
    math = learned.labels == DOMAINS.index("MATH")
    sources = np.array(learned.sources)
    written, recorded, banks = (
        counts[math & (sources == source)].mean()
        for source in ("own-written", "gsm8k", "own-plain")
    )
    assert written / recorded == pytest.approx(2.0, rel=1e-3)
    assert banks < recorded
