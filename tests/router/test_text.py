"""The shape of a text: the shares that are counted on bytes are those of its characters."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.text import SHAPE_FEATURES, shape

TEXTS = (
    "",
    "12.5 and 1,000",
    "١٢٣ ५ ² ½",
    "“quoted” – €5… 🙂👩‍👧 한국 é",
    "\ud800 {[(",
    "\x00\x1c_\u3000",
)


def share(text: str, name: str) -> float:
    return float(shape(text, total_chars=len(text))[SHAPE_FEATURES.index(name)])


def check_shares(text: str) -> None:
    n = max(len(text), 1)
    assert np.isfinite(shape(text, total_chars=len(text))).all()
    for name, pattern in (
        ("digit_share", r"\d"),
        ("symbol_share", r"[^\w\s]"),
        ("space_share", " "),
        ("non_ascii_share", r"[^\x00-\x7f]"),
    ):
        assert share(text, name) == pytest.approx(len(re.findall(pattern, text)) / n), name


@pytest.mark.parametrize("text", TEXTS)
def test_shares_of_odd_texts(text: str) -> None:
    check_shares(text)


@given(st.text(max_size=80))
def test_shares_of_any_text(text: str) -> None:
    check_shares(text)


def test_numbers_are_read_with_their_commas_and_fractions() -> None:
    assert share("1,000 apples", "log_largest_number") == pytest.approx(np.log1p(1000) / 20)
    assert share("it is 2.5", "fractional_numbers") == 1.0
    assert share("it is 2. 5", "fractional_numbers") == 0.0
    assert share("٣ apples", "log_numbers") == 0.0
