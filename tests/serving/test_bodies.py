"""Bodies with half an emoji in them: mended, and quickly however large they are."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bodies import _decode

PIECES = (r"\ud83d", r"\uDE00", r"\uD800", r"\\", r"\n", r"\u0041", r"\"", "ud800", "u", "é")


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_only_lone_surrogates_are_replaced(text: str) -> None:
    quoted = f'"{text}"'
    read = json.loads(quoted)  # it joins pairs, and lets the others stand
    mended = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in read)
    assert _decode(quoted.encode()) == mended


@pytest.mark.parametrize("escape", [r"\u0041", r"\\", r"\ud83d\ude00", r"\ud800", r"\udc00"])
def test_a_large_body_is_mended_quickly(escape: str) -> None:
    body = b'"%b"' % (escape * (20_000_000 // len(escape)) + r"\ud83d").encode()
    begin = time.perf_counter()
    assert _decode(body).endswith("\ufffd")
    assert time.perf_counter() - begin < 2.0
