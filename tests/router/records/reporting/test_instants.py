"""Moments are read as people and programs write them, and anything else is refused by name."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import InputError
from router.records.instants import read_instant, write_instant


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-25", 1_795_564_800.0),
        ("2026-11-25T12:00:00Z", 1_795_608_000.0),
        ("2026-11-25T12:00:00", 1_795_608_000.0),
        ("2026-11-25 12:00", 1_795_608_000.0),
        ("2026-11-25T14:00:00+02:00", 1_795_608_000.0),
        ("2026-11-25T12:00:00.500Z", 1_795_608_000.5),
        ("1795608000", 1_795_608_000.0),
        ("1795608000.25", 1_795_608_000.25),
        ("0", 0.0),
    ],
)
def test_moments_are_read(text: str, at: float) -> None:
    assert read_instant(text, param="from") == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "nan",
        "inf",
        "-1",
        "1e9",
        "2026-13-01",
        "999999999999",
        "١٢٣",
        "1\x00",
        " 1",
    ],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match="'from' should") as refused:
        read_instant(text, param="from")
    assert refused.value.param == "from"


def test_a_plus_that_a_url_lost_is_explained() -> None:
    with pytest.raises(InputError, match="%2B"):
        read_instant("2026-11-25T14:00:00 02:00", param="to")


@given(st.floats(min_value=0, max_value=4e9))
def test_what_is_written_is_read_again(at: float) -> None:
    assert read_instant(write_instant(at), param="at") == pytest.approx(at, abs=1e-6)


@given(st.text(max_size=40))
def test_no_text_does_harm(text: str) -> None:
    with suppress(InputError):
        assert 0 <= read_instant(text, param="from") < 1e12
